"""What readers of the live push heard of what was written: how soon, and whether once and in order.

All times are readings of CLOCK_MONOTONIC in nanoseconds, which on Linux is one clock for all
processes of a machine; Python promises that of none of its own clocks.
"""

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from scripts.benchmarks.workloads import NUMBER

NOTE: Final = f"Moved {NUMBER} times."
"""What each write writes; its number is never sent twice."""
_NUMBER: Final = re.compile(r"Moved (\d+) times")


class Written(NamedTuple):
    """A write: its number, just before its request was sent, and when its answer was there."""

    number: int
    sent: int
    answered: int


class Heard(NamedTuple):
    """An event: the number of the change, that of the write, and when a reader had it."""

    seq: int
    number: int
    at: int


@dataclass(frozen=True)
class Spread:
    """Milliseconds."""

    p50: float
    p99: float
    longest: float


@dataclass(frozen=True)
class Account:
    """What some readers heard. Each of ``expected`` events should have come once, in order.

    ``repeated`` counts those of writes that we did not send, too; ``disordered`` those that came
    after one with a higher number.
    """

    expected: int
    lost: int
    repeated: int
    disordered: int
    since_sent: Spread
    since_answered: Spread

    @property
    def faults(self) -> int:
        """How many events did not come as they should."""
        return self.lost + self.repeated + self.disordered


def now() -> int:
    """Read the clock."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def number_in(note: str) -> int:
    """Give the number of the write that wrote this; 0 for what none of ours wrote."""
    found = _NUMBER.match(note)
    return int(found[1]) if found else 0


def accounted(
    readers: Iterable[tuple[Sequence[Written], Sequence[Heard]]], warm_up: int = 0
) -> Account:
    """Compare what each reader should have heard with what it heard.

    The first writes, ``warm_up`` of them, are not timed.
    """
    expected = lost = repeated = disordered = 0
    since_sent: list[int] = []
    since_answered: list[int] = []
    for written, heard in readers:
        numbers = {write.number for write in written}
        known = numbers & {event.number for event in heard}
        expected += len(numbers)
        lost += len(numbers) - len(known)
        repeated += len(heard) - len(known)
        disordered += _disordered(heard)
        timed = {write.number: write for write in written[warm_up:]}
        for event in heard:
            if write := timed.get(event.number):
                since_sent.append(event.at - write.sent)
                since_answered.append(event.at - write.answered)
    return Account(expected, lost, repeated, disordered, spread(since_sent), spread(since_answered))


def _disordered(heard: Sequence[Heard]) -> int:
    highest = wrong = 0
    for event in heard:
        wrong += event.seq < highest
        highest = max(highest, event.seq)
    return wrong


def spread(nanoseconds: Sequence[int]) -> Spread:
    """Give the spread of some times; noughts where there are none."""
    times = sorted(nanoseconds) or [0]
    chosen = times[len(times) // 2], times[len(times) * 99 // 100], times[-1]
    return Spread(*(chosen_one / 1e6 for chosen_one in chosen))
