"""Compares writes with the events that readers got: how soon, whether once, and in order.

All times are readings of CLOCK_MONOTONIC in nanoseconds. On Linux that is one clock for all
processes of a machine, which Python does not promise of its own clocks.
"""

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from scripts.benchmarks.workloads import NUMBER

NOTE: Final = f"Moved {NUMBER} times."
"""The text of each write; its number is never sent twice."""
_NUMBER: Final = re.compile(r"Moved (\d+) times")


class Write(NamedTuple):
    """A write: its number, the time just before its request was sent, and that of its answer."""

    number: int
    sent_at: int
    answered_at: int


class Event(NamedTuple):
    """An event: the number of the change, that of the write, and when a reader got it."""

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
    """What some readers got. Each of ``expected`` events should have come once, in order.

    ``repeated`` also counts events of writes that were not sent here. ``disordered`` counts events
    that came after one with a higher number.
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
    """Return the number of the write that wrote this note; 0 for any other note."""
    match = _NUMBER.match(note)
    return int(match[1]) if match else 0


def account_of(
    readers: Iterable[tuple[Sequence[Write], Sequence[Event]]], warm_up: int = 0
) -> Account:
    """Compare the events that each reader should have got with those that it got.

    The first ``warm_up`` writes are not timed.
    """
    expected = lost = repeated = disordered = 0
    since_sent: list[int] = []
    since_answered: list[int] = []
    for writes, events in readers:
        numbers = {write.number for write in writes}
        arrived = numbers & {event.number for event in events}
        expected += len(numbers)
        lost += len(numbers) - len(arrived)
        repeated += len(events) - len(arrived)
        disordered += _disordered(events)
        timed = {write.number: write for write in writes[warm_up:]}
        for event in events:
            if write := timed.get(event.number):
                since_sent.append(event.at - write.sent_at)
                since_answered.append(event.at - write.answered_at)
    return Account(expected, lost, repeated, disordered, spread(since_sent), spread(since_answered))


def _disordered(events: Sequence[Event]) -> int:
    highest = wrong = 0
    for event in events:
        wrong += event.seq < highest
        highest = max(highest, event.seq)
    return wrong


def spread(nanoseconds: Sequence[int]) -> Spread:
    """Return the spread of some times; zeros if there are none."""
    times = sorted(nanoseconds) or [0]
    chosen = times[len(times) // 2], times[len(times) * 99 // 100], times[-1]
    return Spread(*(chosen_one / 1e6 for chosen_one in chosen))
