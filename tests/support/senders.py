"""Sends requests to any of several processes, some of which may be dying, and tells what it knows.

A request that never left is sent again elsewhere. One that was cut off may have been done: with an
Idempotency-Key it is sent again, else nobody knows.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import httpx

from app.store.idempotency import HEADER

REPLAYED: Final = "idempotency-replayed"
# Seconds until an answer must be there: the service's own waits are shorter, so it hangs.
HANG: Final = 40.0
_TRIES: Final = 200
_PAUSE: Final = 0.05


@dataclass
class Sender:
    """Sends to ``roots``, the URLs of processes, as ``random`` chooses.

    ``faults`` collects what must never be answered, ``counts`` what was.
    """

    client: httpx.AsyncClient
    roots: list[str]
    random: Random
    faults: list[str]
    counts: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    """Seconds that the slowest answer took."""

    async def ask(self, path: str) -> Any:
        """Return what a GET answers, asked until there is an answer."""
        while True:
            answer = await self.send("GET", path)
            if answer is not None and answer.status_code == 200:
                return answer.json()
            await asyncio.sleep(_PAUSE)  # no event tells when the service is back

    async def send(
        self, method: str, path: str, body: Any = None, *, name: str = "", key: str = ""
    ) -> httpx.Response | None:
        """Return the answer, or None where nobody knows what became of the request."""
        headers = ({"X-Request-Id": name} if name else {}) | ({HEADER: key} if key else {})
        for _ in range(_TRIES):
            root = self.random.choice(self.roots)
            try:
                answer = await self.client.request(
                    method, f"{root}{path}", json=body, headers=headers
                )
            except (httpx.ConnectError, httpx.ConnectTimeout):
                await asyncio.sleep(_PAUSE)
                continue
            except httpx.TransportError as error:
                self._cut_off(method, path, error)
            else:
                if self._is_final(method, path, answer):
                    return answer
            self.counts["uncertain"] += 1
            if not key:
                return None
            await asyncio.sleep(_PAUSE)
        self.faults.append(f"NO ANSWER: {method} {path} was tried {_TRIES} times")
        return None

    def _cut_off(self, method: str, path: str, error: httpx.TransportError) -> None:
        if isinstance(error, httpx.TimeoutException):
            self.faults.append(f"HANG: {method} {path} took more than {HANG:g} seconds")

    def _is_final(self, method: str, path: str, answer: httpx.Response) -> bool:
        """Return whether it is known what became of the request; note what must never be."""
        self.counts[str(answer.status_code)] += 1
        self.slowest = max(self.slowest, answer.elapsed.total_seconds())
        if answer.status_code < 500:
            return True
        told = answer.headers.get("content-type", "").startswith("application/problem+json")
        if answer.status_code != 503 or not told or "retry-after" not in answer.headers:
            what = f"{answer.status_code} {answer.text[:300]}"
            self.faults.append(f"BAD ANSWER: {method} {path}: {what}")
        return False
