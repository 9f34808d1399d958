"""Joins that the database did not let be done: kept, and done as soon as it answers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

import structlog

from app.entities import root
from app.errors import SignalbookError, Unavailable
from app.live.sockets.limits import SocketLimits
from app.live.sockets.requests import Join, error_ack

_log: Final = structlog.get_logger()
Send = Callable[[str, str, Any], None]


class Let(Protocol):
    """Lets a socket watch a production if ``still`` is true when all that takes time is done."""

    def __call__(
        self, socket: str, asked: Join, still: Callable[[], bool]
    ) -> Awaitable[dict[str, Any]]: ...


class PendingJoins:
    """What sockets have asked for and did not get; the last of each socket and production counts.

    ``send`` is called with a socket, an event's name and its argument.
    """

    def __init__(self, let: Let, send: Send, limits: SocketLimits) -> None:
        self._let, self._send, self._limits = let, send, limits
        self._of: dict[str, dict[str, Join]] = {}
        self._task: asyncio.Task[None] | None = None

    def keep(self, socket: str, asked: Join) -> None:
        """Let the socket in later."""
        kept = self._of.setdefault(socket, {})
        if len(kept) < self._limits.rooms:
            kept[asked.productionId] = asked
        if self._task is None:
            self._task = asyncio.create_task(self._keep_trying())

    def drop(self, socket: str, key: str) -> None:
        """It is not wished any more."""
        self._of.get(socket, {}).pop(key, None)

    def forget(self, socket: str) -> None:
        """The socket is no longer there."""
        self._of.pop(socket, None)

    async def close(self) -> None:
        """Try no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep_trying(self) -> None:
        while any(self._of.values()):
            await asyncio.sleep(self._limits.retry)
            wished = [
                (socket, asked) for socket, kept in self._of.items() for asked in kept.values()
            ]
            for socket, asked in wished:
                if self._is_wished(socket, asked) and not await self._tried(socket, asked):
                    break
        self._of.clear()
        self._task = None

    async def _tried(self, socket: str, asked: Join) -> bool:
        """Try one; tell whether the others are worth a try."""
        try:
            told = await self._let(socket, asked, lambda: self._is_wished(socket, asked))
        except Unavailable:
            return not self._is_wished(socket, asked)
        except SignalbookError as refused:
            self._refuse(socket, asked, refused)
        except Exception:  # noqa: BLE001  # one that fails must not be the last
            _log.exception("unforeseen", event_name="production:join")
            self._refuse(socket, asked, SignalbookError("Something failed here; it was logged."))
        else:
            self.drop(socket, asked.productionId)
            if asked.since is None or "code" in told:
                self._send(socket, "resync", _all_of(told) | told)
        return True

    def _is_wished(self, socket: str, asked: Join) -> bool:
        return self._of.get(socket, {}).get(asked.productionId) is asked

    def _refuse(self, socket: str, asked: Join, why: SignalbookError) -> None:
        if self._is_wished(socket, asked):
            self.drop(socket, asked.productionId)
            self._send(socket, "refused", {"productionId": asked.productionId, **error_ack(why)})


def _all_of(told: Mapping[str, Any]) -> dict[str, Any]:
    """Say where all of a production is to be had."""
    path = f"/api/{root().collection}/{told['productionUuid']}/show"
    return {"latest": told["seq"], "resync": path}
