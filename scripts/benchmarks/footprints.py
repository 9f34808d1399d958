"""Turns memory and start-up into their table, and judges their bars."""

from collections.abc import Sequence
from typing import Final

from scripts.benchmarks.memory import Kept, StartUp

IDLE_MEGABYTES: Final = 120.0
GROWTH_PERCENT: Final = 5.0
GROWTH_REQUESTS: Final = 1_000_000
START_SECONDS: Final = 1.5


def table(started: StartUp, kept: Sequence[Kept], requests: int) -> str:
    """Give the tables in Markdown, and which bars are met."""
    lines = [
        "### Memory and start-up", "",
        "| from the start of a process (median of 5) | seconds |", "|---|--:|",
        f"| `import app.server` | {started.imported:.2f} |",
        f"| the same of FastAPI + SQLModel's module | {started.textbook_imported:.2f} |",
        f"| first 200 of /livez | {started.alive:.2f} |",
        f"| first 200 of a list of 20 cameras | {started.first_list:.2f} |",
        "", *_memory(kept), "", *_judged(started, kept, requests),
    ]  # fmt: skip
    return "\n".join(lines)


def _memory(kept: Sequence[Kept]) -> list[str]:
    if not kept:
        return ["Memory is not measured here: this system has no `/proc`."]
    idle, warm = kept[0], kept[1]
    lines = [
        "| one process of Signalbook | MB | more than idle | more than warm | open files |",
        "|---|--:|--:|--:|--:|",
    ]
    for at in kept:
        since_idle = "" if at is idle else f"{at.growth(idle):+.1f} %"
        since_warm = "" if at in {idle, warm} else f"{at.growth(warm):+.1f} %"
        cells = f"{at.megabytes:.1f} | {since_idle} | {since_warm} | {at.files}"
        lines.append(f"| {at.when} | {cells} |")
    return lines


def _judged(started: StartUp, kept: Sequence[Kept], requests: int) -> list[str]:
    lines = [
        (
            f"- Start to the first 200 of a list, at most {START_SECONDS} s: "
            f"{_verdict(started.first_list, START_SECONDS, 's')}."
        )
    ]
    if kept:
        idle, warm, after = kept[:3]
        lines += [
            (
                f"- Memory when idle, at most {IDLE_MEGABYTES:.0f} MB: "
                f"{_verdict(idle.megabytes, IDLE_MEGABYTES, 'MB')}."
            ),
            (
                f"- Memory after {requests:,} requests, below {GROWTH_PERCENT:.0f} % over warm: "
                f"{_verdict(after.growth(warm), GROWTH_PERCENT, '%')}{_fewer(requests)}."
            ),
        ]
    return lines


def _verdict(found: float, bar: float, unit: str) -> str:
    return f"{found:.2f} {unit}, {'met' if found < bar else '**MISSED**'}"


def _fewer(requests: int) -> str:
    if requests >= GROWTH_REQUESTS:
        return ""
    return f" (the bar is for {GROWTH_REQUESTS:,}: `--requests {GROWTH_REQUESTS}`)"
