"""Turns measurements into the tables of docs/performance.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from scripts.benchmarks.contenders import CONTENDERS, OURS
from scripts.benchmarks.load import Measurement
from scripts.benchmarks.workloads import WORKLOADS, Workload

Results = Mapping[str, Mapping[str, Sequence[Measurement]]]
"""By workload and contender, a measurement for each round."""

PAGE: Final = Path("docs/performance.md")
_BEGIN, _END = "<!-- bench:begin -->", "<!-- bench:end -->"
_INTRODUCTION: Final = """# Performance

Written by `scripts/bench` between the two markers; notes around them stay.
"""


@dataclass(frozen=True)
class Target:
    """A promise: ours is at least ``ratio`` times as fast as another."""

    workload: str
    against: str
    ratio: float


TARGETS: Final = (Target("list-20", "textbook", 6.0), Target("list-20", "bare", 0.7))


@dataclass(frozen=True)
class Ratio:
    """How many times as fast ours is, with the lowest and the highest round."""

    middle: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        return f"{self.middle:.2f} ({self.lowest:.2f}–{self.highest:.2f})"


def ratio(ours: Sequence[Measurement], theirs: Sequence[Measurement]) -> Ratio:
    """Compare the rates round by round, since a busy machine slows both of a round."""
    each = [mine.rate / other.rate for mine, other in zip(ours, theirs, strict=True)]
    return Ratio(median(each), min(each), max(each))


def table(results: Results) -> str:
    """Give the tables in Markdown."""
    lines = [
        "| workload | server | requests/s | p50 ms | p99 ms | Signalbook is … times as fast |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for workload in WORKLOADS:
        if workload.name in results:
            lines += _rows(workload, results[workload.name])
    return "\n".join([*lines, "", *_targets(results)])


def _rows(workload: Workload, measured: Mapping[str, Sequence[Measurement]]) -> list[str]:
    ours, rows = measured[OURS.name], []
    for contender in CONTENDERS:
        if turns := measured.get(contender.name):
            compared = "" if contender is OURS else str(ratio(ours, turns))
            numbers = [median(turn.rate for turn in turns), median(turn.p50 for turn in turns),
                       median(turn.p99 for turn in turns)]  # fmt: skip
            cells = f"{numbers[0]:,.0f} | {numbers[1]:.2f} | {numbers[2]:.2f}"
            rows.append(f"| {workload.title} | {contender.title} | {cells} | {compared} |")
    return rows


def _targets(results: Results) -> list[str]:
    return [
        _judged(target, ratio(turns[OURS.name], turns[target.against]))
        for target in TARGETS
        if target.against in (turns := results.get(target.workload, {}))
    ]


def _judged(target: Target, found: Ratio) -> str:
    title = next(workload.title for workload in WORKLOADS if workload.name == target.workload)
    other = next(one.title for one in CONTENDERS if one.name == target.against)
    verdict = "met" if found.middle >= target.ratio else "MISSED"
    return f"- {title}, at least {target.ratio} × {other}: {found.middle:.2f}, {verdict}."


def write(report: str, page: Path = PAGE) -> None:
    """Put the report between the page's markers; make the page where there is none."""
    text = page.read_text() if page.exists() else f"{_INTRODUCTION}\n{_BEGIN}\n{_END}\n"
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{page} has lost its markers: put {_BEGIN} and {_END} back.")
    page.parent.mkdir(exist_ok=True)
    page.write_text(f"{before}{_BEGIN}\n{report}\n{_END}{after}")
