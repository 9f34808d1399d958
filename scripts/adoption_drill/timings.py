"""How long each operation of a writer took, and which failed."""

import heapq
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

_SLOWEST: Final = 20


class Slow(NamedTuple):
    """One operation: seconds, who did what, and what the operator was doing meanwhile."""

    seconds: float
    who: str
    what: str
    during: str


class Failed(Exception):
    """An operation failed, or had a wrong answer."""


class Timings:
    """Times the operations of all writers; ``during`` says what the operator is doing."""

    def __init__(self, during: Callable[[], str]) -> None:
        self._during = during
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []
        self._slowest: list[Slow] = []

    @contextmanager
    def timed(self, who: str, what: str) -> Iterator[None]:
        """Time one operation. Record what it raises, and raise Failed instead."""
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
            if len(self._slowest) > _SLOWEST:
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
    """The last acknowledged write of each writer, which the others must be able to read."""

    def __init__(self) -> None:
        self.last: dict[str, int] = {}
        self.read: Counter[str] = Counter()
        """How often each side read the other's writes."""

    def of(self, side: str) -> dict[str, int]:
        """Return the last numbers of one side's writers."""
        return {who: number for who, number in self.last.items() if who.startswith(side)}


def message(number: int) -> str:
    """Return the text that carries a writer's number."""
    return f"message {number}"


def number_in(text: str | None) -> int:
    """Read the number of a message; -1 for anything else."""
    word, _, number = (text or "").partition(" ")
    return int(number) if word == "message" and number.isdigit() else -1
