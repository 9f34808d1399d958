"""How far long work is: a bar on a terminal, a line at times where there is none."""

import io

import pytest
from rich.console import Console

from app.cli.commands.run_release import Terminal

WORK = "cameras: uuid"


@pytest.fixture
def printed() -> io.StringIO:
    return io.StringIO()


def test_a_terminal_has_a_bar_with_rows_and_rate(printed: io.StringIO) -> None:
    terminal = Terminal(Console(file=printed, force_terminal=True, width=120))
    terminal.stage("apply")
    terminal.progress(WORK, 500, 2_000, 250.0, 6.0)
    terminal.progress(WORK, 1_000, 2_000, 250.0, 4.0)
    terminal.stage_over("apply", "done", "0008_cameras_switch in 8.0 s", 8.0)
    shown = printed.getvalue()
    assert "\x1b[?25l" in shown, "no live bar was drawn"
    assert all(part in shown for part in (WORK, "1000 of 2000", "250/s", "50%", "✓ apply"))


def test_elsewhere_it_is_a_line_at_times_and_one_at_the_end(printed: io.StringIO) -> None:
    terminal = Terminal(Console(file=printed, force_terminal=False, width=120))
    for done in (500, 1_000, 1_500, 2_000):
        terminal.progress(WORK, done, 2_000, 250.0, (2_000 - done) / 250)
    assert printed.getvalue().splitlines() == [
        "  cameras: uuid: 500 of 2000 (250 a second, 6 s left)",
        "  cameras: uuid: 2000 of 2000 (250 a second, 0 s left)",
    ]
