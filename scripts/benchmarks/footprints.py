"""The tables of memory and start-up, and whether their bars are met."""

from collections.abc import Sequence
from typing import Final

from scripts.benchmarks.memory import Footprint, StartUp

IDLE_MEGABYTES: Final = 120.0
GROWTH_PERCENT: Final = 5.0
GROWTH_REQUESTS: Final = 1_000_000
START_SECONDS: Final = 1.5


def table(started: StartUp, footprints: Sequence[Footprint], requests: int) -> str:
    """Return the tables in Markdown, and which bars are met."""
    lines = [
        "### Memory and start-up", "",
        "| from the start of a process (median of 5) | seconds |", "|---|--:|",
        f"| `import app.server` | {started.imported:.2f} |",
        f"| the same of FastAPI + SQLModel's module | {started.textbook_imported:.2f} |",
        f"| first 200 of /livez | {started.alive:.2f} |",
        f"| first 200 of a list of 20 cameras | {started.first_list:.2f} |",
        "", *_memory(footprints), "", *_judged(started, footprints, requests),
    ]  # fmt: skip
    return "\n".join(lines)


def _memory(footprints: Sequence[Footprint]) -> list[str]:
    if not footprints:
        return ["Memory is not measured here: this system has no `/proc`."]
    idle, warm = footprints[0], footprints[1]
    lines = [
        "| one process of Signalbook | MB | more than idle | more than warm | open files |",
        "|---|--:|--:|--:|--:|",
    ]
    for at in footprints:
        since_idle = "" if at is idle else f"{at.growth(idle):+.1f} %"
        since_warm = "" if at in {idle, warm} else f"{at.growth(warm):+.1f} %"
        cells = f"{at.megabytes:.1f} | {since_idle} | {since_warm} | {at.files}"
        lines.append(f"| {at.when} | {cells} |")
    return lines


def _judged(started: StartUp, footprints: Sequence[Footprint], requests: int) -> list[str]:
    lines = [
        (
            f"- Start to the first 200 of a list, at most {START_SECONDS} s: "
            f"{_verdict(started.first_list, START_SECONDS, 's')}."
        )
    ]
    if footprints:
        idle, warm, after = footprints[:3]
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


def _verdict(measured: float, bar: float, unit: str) -> str:
    return f"{measured:.2f} {unit}, {'met' if measured < bar else '**MISSED**'}"


def _fewer(requests: int) -> str:
    if requests >= GROWTH_REQUESTS:
        return ""
    return f" (the bar is for {GROWTH_REQUESTS:,}: `--requests {GROWTH_REQUESTS}`)"
