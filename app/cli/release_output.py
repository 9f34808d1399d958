"""The release gate's output: sentences and progress bars for people, one object for machines."""

import json
import time
from itertools import groupby
from typing import Final

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from app.releases.gate.run import Ended
from app.releases.output import GateOutput
from app.releases.plan.plan import Plan

_MARKS: Final = {"done": "✓", "skipped": "·", "stopped": "✗"}
_EVERY: Final = 5.0  # seconds between two lines about the same work where there is no terminal


class Terminal(GateOutput):
    """Prints on standard error. On a terminal long work has a bar, elsewhere a line at times."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._task: tuple[str, TaskID] | None = None
        self._last_lines: dict[str, float] = {}

    def say(self, line: str) -> None:
        """Print a sentence."""
        self._console.print(f"  {line}", markup=False)

    def stage(self, name: str) -> None:
        """Print the stage that begins, on a terminal."""
        if self._console.is_terminal:
            self._console.print(f"… {name}", markup=False, style="dim")

    def stage_over(self, name: str, outcome: str, words: str, seconds: float) -> None:
        """Print how a stage ended; why one stopped is printed at the end."""
        self._close_bar()
        shown_words = "" if outcome == "stopped" else words
        line = f"{_MARKS[outcome]} {name:<12} {seconds:6.1f} s  {shown_words}"
        self._console.print(line.rstrip(), markup=False)

    def progress(
        self, what: str, units_done: int, total: int, rate: float, seconds_left: float | None
    ) -> None:
        """Move the bar, or print a line at times."""
        if self._console.is_terminal:
            self._move(what, units_done, total, rate)
        elif (
            time.monotonic() - self._last_lines.get(what, -_EVERY) >= _EVERY
            or units_done >= total > 0
        ):
            self._last_lines[what] = time.monotonic()
            rest = "" if seconds_left is None else f", {seconds_left:.0f} s left"
            self.say(f"{what}: {units_done} of {total} ({rate:.0f} a second{rest})")

    def _move(self, what: str, units_done: int, total: int, rate: float) -> None:
        if self._task is None or self._task[0] != what:
            self._close_bar()
            self._bar = Progress(
                TextColumn("  {task.description}"), BarColumn(), TaskProgressColumn(),
                TextColumn("{task.completed:.0f} of {task.total:.0f}, {task.fields[rate]:.0f}/s"),
                TimeRemainingColumn(), console=self._console, transient=True,
            )  # fmt: skip
            self._bar.start()
            self._task = (what, self._bar.add_task(what, total=total, rate=rate))
        assert self._bar is not None
        self._bar.update(self._task[1], completed=units_done, total=total, rate=rate)

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = None


def print_end(ended: Ended, *, as_json: bool) -> None:
    """Print the verdict, as one JSON object on standard output or in words on standard error."""
    if as_json:
        typer.echo(json.dumps(ended.as_json(), default=str))
        return
    name = ended.verdict.name.lower().replace("_", " ")
    typer.echo(f"\n{name} (exit {int(ended.verdict)}): {ended.words}", err=True)


def planned(plan: Plan) -> list[str]:
    """Return a plan in lines: each revision, each transaction's lock, each statement."""
    lines = []
    for revision, statements in groupby(plan.statements, key=lambda s: s.revision):
        lines.append(f"\n-- {revision}")
        for _, together in groupby(statements, key=lambda s: s.step):
            step = list(together)
            lock = next((f"{s.lock} on {', '.join(s.tables)}" for s in step if s.lock), "no lock")
            lines.append(f"-- {step[0].way}, {lock}")
            lines += [f"{statement.sql};" for statement in step]
    return [*lines, f"\n-- digest {plan.digest}"]
