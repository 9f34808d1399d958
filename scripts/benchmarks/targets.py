"""The bars: what Signalbook promises about its speed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from statistics import median
from typing import Final

from scripts.benchmarks.load import Measurement
from scripts.benchmarks.workloads import TITLES

Results = Mapping[str, Mapping[str, Sequence[Measurement]]]
"""By workload and contender, a measurement for each round."""
Lane = tuple[str, str]
"""A workload, and a contender."""


OURS: Final = "ours"


@dataclass(frozen=True)
class Target:
    """A bar: the rate of ``ours`` is at least ``ratio`` times that of ``against``.

    With ``late``, the p99 of ``ours`` is at most ``ratio`` times the other's instead.
    """

    ours: Lane
    against: Lane
    ratio: float
    late: bool = False


def _beside(workload: str, other: str, ratio: float, *, late: bool = False) -> Target:
    return Target((workload, OURS), (workload, other), ratio, late)


TARGETS: Final = (
    _beside("list-20", "bare", 0.85),
    _beside("list-20", "textbook", 8.0),
    _beside("list-20", "node", 1.6),
    _beside("list-20", "bare", 1.5, late=True),
    _beside("list-500", "bare", 0.9),
    _beside("list-500", "textbook", 10.0),
    _beside("get", "bare", 0.85),
    Target(("304", OURS), ("list-20", OURS), 1.5),
    _beside("create", "bare", 0.7),
    _beside("create", "node", 1.2),
    Target(("show", OURS), ("six-lists", OURS), 2.0),
    Target(("show-six", OURS), ("six-lists", OURS), 2.0),
    Target(("growth-list-20", "at-100000"), ("growth-list-20", "at-10"), 0.9),
)


@dataclass(frozen=True)
class Ratio:
    """A median of the rounds' ratios, with the lowest and the highest round."""

    middle: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        return f"{self.middle:.2f} ({self.lowest:.2f}–{self.highest:.2f})"


def ratio(
    ours: Sequence[Measurement], theirs: Sequence[Measurement], *, late: bool = False
) -> Ratio:
    """Compare rates, or p99s, round by round: a busy machine slows both of a round."""
    each = [
        _times(mine.p99, other.p99) if late else _times(mine.rate, other.rate)
        for mine, other in zip(ours, theirs, strict=True)
    ]
    return Ratio(median(each), min(each), max(each))


def _times(mine: float, other: float) -> float:
    """Return ``mine`` / ``other``; infinite if the other answered nothing in a turn."""
    return mine / other if other else inf


def judged(results: Results, titles: Mapping[str, str]) -> list[str]:
    """Return a line for each bar whose two sides were measured: whether it is met.

    ``titles`` name the contenders. One that could not take part has no title, and its bars are
    listed as not measured.
    """
    lines = []
    for target in TARGETS:
        ours, theirs = _turns(results, target.ours), _turns(results, target.against)
        if ours and theirs:
            measured = ratio(ours, theirs, late=target.late)
            met = (
                measured.middle <= target.ratio if target.late else measured.middle >= target.ratio
            )
            lines.append(
                f"- {_named(target, titles)}: {measured}, {'met' if met else '**MISSED**'}."
            )
        elif ours and target.against[1] not in titles:
            lines.append(f"- {_named(target, titles)}: not measured.")
    return lines


def _turns(results: Results, lane: Lane) -> Sequence[Measurement]:
    return results.get(lane[0], {}).get(lane[1], ())


def _named(target: Target, titles: Mapping[str, str]) -> str:
    (workload, own), (other, contender) = target.ours, target.against
    bound = f"{'p99 at most' if target.late else 'at least'} {target.ratio} ×"
    theirs = titles.get(contender, contender)
    if workload != other:
        return f"{TITLES[workload]}, {bound} our own {TITLES[other]}"
    if own == OURS:
        return f"{TITLES[workload]}, {bound} {theirs}"
    return f"{TITLES[workload]} in a database of {titles[own]}, {bound} in one of {theirs}"
