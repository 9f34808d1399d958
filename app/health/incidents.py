"""Counts the requests of the last half minute, and which of them failed and why, by the second."""

import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

WINDOW: Final = 30  # seconds
LEAST: Final = 3  # failures; fewer count as a passing problem
SHARE: Final = 0.1  # of the requests
_CODES: Final = 20  # codes that are counted separately in a second


class Incidents:
    """Counts requests and their failures over the last half minute, in bounded memory."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds: deque[tuple[int, list[int], Counter[str]]] = deque(maxlen=WINDOW)

    def count_request(self) -> None:
        self._now()[1][0] += 1

    def count_failure(self, code: str) -> None:
        """Count a request that failed for a reason that is not the client's."""
        codes = self._now()[2]
        codes[code if code in codes or len(codes) < _CODES else "OTHER"] += 1

    def summary(self, at_once: frozenset[str] = frozenset()) -> str | None:
        """Return what fails, None if it is no more than a passing problem.

        One failure of a code in ``at_once`` is enough.
        """
        recent = [second for second in self._seconds if second[0] > self._clock() - WINDOW]
        codes: Counter[str] = sum((second[2] for second in recent), Counter())
        count = codes.total()
        requests = max(count, sum(second[1][0] for second in recent))
        if (count < LEAST or count < requests * SHARE) and not at_once & codes.keys():
            return None
        causes = ", ".join(f"{code} {number} times" for code, number in codes.most_common(3))
        return (
            f"{count} of {requests} requests in the last {WINDOW} seconds failed ({causes}): "
            "the log names the causes."
        )

    def _now(self) -> tuple[int, list[int], Counter[str]]:
        now = int(self._clock())
        if not self._seconds or self._seconds[-1][0] != now:
            self._seconds.append((now, [0], Counter()))
        return self._seconds[-1]
