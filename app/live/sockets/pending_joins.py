"""Joins that failed because the database was away: done as soon as it answers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog

from app.background import cancel
from app.entities import root
from app.errors import SignalbookError, Unavailable
from app.live.sockets.limits import SocketLimits
from app.live.sockets.socket_requests import Join

_log: Final = structlog.get_logger()
Send = Callable[[str, str, Any], None]
JoinRoom = Callable[[str, Join, Callable[[], bool]], Awaitable[dict[str, Any]]]


class PendingJoins:
    """The joins that are to be tried again; the last of each socket and production counts.

    ``join`` is called with a socket, its request, and whether it is still wanted after all that
    takes time. ``send`` is called with a socket, an event's name and its argument.
    """

    def __init__(self, join: JoinRoom, send: Send, limits: SocketLimits) -> None:
        self._join, self._send, self._limits = join, send, limits
        self._requests: dict[str, dict[str, Join]] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, socket: str, request: Join) -> None:
        requests = self._requests.setdefault(socket, {})
        if len(requests) < self._limits.rooms:
            requests[request.productionId] = request
        if self._task is None:
            self._task = asyncio.create_task(self._keep_trying())

    def drop(self, socket: str, key: str) -> None:
        """Drop a socket's join of one production."""
        self._requests.get(socket, {}).pop(key, None)

    def forget(self, socket: str) -> None:
        self._requests.pop(socket, None)

    async def close(self) -> None:
        if self._task is not None:
            await cancel(self._task)

    async def _keep_trying(self) -> None:
        while any(self._requests.values()):
            await asyncio.sleep(self._limits.retry)
            waiting = [(s, r) for s, each in self._requests.items() for r in each.values()]
            for socket, request in waiting:
                if self._is_wanted(socket, request) and not await self._try(socket, request):
                    break
        self._requests.clear()
        self._task = None

    async def _try(self, socket: str, request: Join) -> bool:
        """Try one join; return whether the others are worth a try."""
        try:
            ack = await self._join(socket, request, lambda: self._is_wanted(socket, request))
        except Unavailable:
            return not self._is_wanted(socket, request)
        except SignalbookError as error:
            self._reject(socket, request, error)
        except Exception:  # noqa: BLE001  # one that fails must not be the last
            _log.exception("unforeseen", event_name="production:join")
            unforeseen = SignalbookError("Something failed here; it was logged.")
            self._reject(socket, request, unforeseen)
        else:
            self.drop(socket, request.productionId)
            if request.since is None or "code" in ack:
                path = f"/api/{root().collection}/{ack['productionUuid']}/show"
                self._send(socket, "resync", {"latest": ack["seq"], "resync": path} | ack)
        return True

    def _is_wanted(self, socket: str, request: Join) -> bool:
        return self._requests.get(socket, {}).get(request.productionId) is request

    def _reject(self, socket: str, request: Join, error: SignalbookError) -> None:
        if self._is_wanted(socket, request):
            self.drop(socket, request.productionId)
            payload = {"productionId": request.productionId, **error.acknowledgement()}
            self._send(socket, "refused", payload)
