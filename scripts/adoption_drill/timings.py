"""How long each operation of a writer took, and whatever went wrong."""

import heapq
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

_KEPT: Final = 20


class Slow(NamedTuple):
    """One operation: seconds, who did what, and what the operator was doing meanwhile."""

    seconds: float
    who: str
    what: str
    during: str


class Failed(Exception):
    """An operation failed, or gave another answer than it should."""


class Timings:
    """Times the operations of all writers; ``during`` says what the operator is doing."""

    def __init__(self, during: Callable[[], str]) -> None:
        self._during = during
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []
        self._slowest: list[Slow] = []

    @contextmanager
    def timed(self, who: str, what: str) -> Iterator[None]:
        """Time one operation. Raises Failed in place of what it raises, and notes it."""
        during, began = self._during(), time.monotonic()
        try:
            yield
        except Exception as error:
            words = f"{who}, {what}, during {during}: {type(error).__name__}: {error}"
            self.failures.append(words)
            raise Failed(words) from error
        finally:
            self.counts[f"{who.split(maxsplit=1)[0]}: {what.split(maxsplit=1)[0]}"] += 1
            slow = Slow(time.monotonic() - began, who, what, during)
            heapq.heappush(self._slowest, slow)
            if len(self._slowest) > _KEPT:
                heapq.heappop(self._slowest)

    @property
    def slowest(self) -> list[Slow]:
        """The slowest operations, the slowest first."""
        return sorted(self._slowest, reverse=True)

    @property
    def total(self) -> int:
        """How many operations there were."""
        return self.counts.total()


class Board:
    """What each writer wrote last and had acknowledged: the others must be able to read it."""

    def __init__(self) -> None:
        self.last: dict[str, int] = {}
        self.read: Counter[str] = Counter()
        """How often each side read the other's."""

    def of(self, side: str) -> dict[str, int]:
        """Give the last numbers of one side's writers."""
        return {who: number for who, number in self.last.items() if who.startswith(side)}


def message(number: int) -> str:
    """Give the text under which a writer's number travels."""
    return f"message {number}"


def number_in(text: str | None) -> int:
    """Read the number of a message; -1 for anything else."""
    word, _, number = (text or "").partition(" ")
    return int(number) if word == "message" and number.isdigit() else -1
