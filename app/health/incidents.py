"""What real requests met lately, by the second: how many there were, and which failed and why."""

import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

WINDOW: Final = 30  # seconds
LEAST: Final = 3  # failures; fewer are a moment's trouble
SHARE: Final = 0.1  # of what was asked
_CODES: Final = 20  # codes that are kept apart in a second


class Incidents:
    """Counts requests and their failures over the last half minute, in bounded memory."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds: deque[tuple[int, list[int], Counter[str]]] = deque(maxlen=WINDOW)

    def count_request(self) -> None:
        """Count a request."""
        self._now()[1][0] += 1

    def count_failure(self, code: str) -> None:
        """Count a request that failed for a reason that is not the client's."""
        codes = self._now()[2]
        codes[code if code in codes or len(codes) < _CODES else "OTHER"] += 1

    def summary(self, at_once: frozenset[str] = frozenset()) -> str | None:
        """Say what fails, where that is more than a moment's trouble; None where it is not.

        One failure of a code in ``at_once`` is enough.
        """
        recent = [one for one in self._seconds if one[0] > self._clock() - WINDOW]
        codes: Counter[str] = sum((one[2] for one in recent), Counter())
        count = codes.total()
        asked = max(count, sum(one[1][0] for one in recent))
        if (count < LEAST or count < asked * SHARE) and not at_once & codes.keys():
            return None
        told = ", ".join(f"{code} {number} times" for code, number in codes.most_common(3))
        return (
            f"{count} of {asked} requests in the last {WINDOW} seconds failed ({told}): "
            "the log names the causes."
        )

    def _now(self) -> tuple[int, list[int], Counter[str]]:
        now = int(self._clock())
        if not self._seconds or self._seconds[-1][0] != now:
            self._seconds.append((now, [0], Counter()))
        return self._seconds[-1]
