"""The sockets of one process that watch the list of all productions."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

import structlog
from pydantic_core import to_json

from app.background import cancel
from app.entities import root
from app.live.feed.entries import FeedEntry
from app.live.feed.hub import Hub
from app.live.feed.subscription import Subscription
from app.live.sockets.callers import SocketCallers
from app.live.sockets.limits import SocketLimits
from app.live.sockets.messages import of_list
from app.live.sockets.send_queue import FindQueue, event

_log: Final = structlog.get_logger()


class ProductionListRoom:
    """Sends its sockets the changes of every production.

    It unsubscribes a moment after the last socket has left, as pages come and go.
    """

    def __init__(
        self, hub: Hub, send_queue: FindQueue, callers: SocketCallers, limits: SocketLimits
    ) -> None:
        self._hub, self._send_queue, self._limits = hub, send_queue, limits
        self._callers = callers
        self.sockets: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        self._first_try = asyncio.Event()

    async def enter(self, socket: str) -> None:
        """Send a socket what changes from now on.

        Return once that is so, or once a first try has failed because the database is away. In that
        case the socket gets ``resync`` when the database is back.
        """
        self.sockets.add(socket)
        if self._task is None:
            self._first_try.clear()
            self._task = asyncio.create_task(self._stay_subscribed())
        await self._first_try.wait()

    def leave(self, socket: str) -> None:
        self.sockets.discard(socket)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve while the block runs, then unsubscribe."""
        try:
            yield
        finally:
            if self._task is not None:
                await cancel(self._task)
            self._first_try.set()

    async def _stay_subscribed(self) -> None:
        """Subscribe while there are sockets, and a moment longer."""
        subscription = await self._subscribe()
        try:
            while self.sockets:  # noqa: ASYNC110  # it checks only now and then, on purpose
                await asyncio.sleep(self._limits.linger)
        finally:
            self._task = None
            await subscription.close()

    async def _subscribe(self) -> Subscription:
        late = False
        while True:
            try:
                subscription = await self._hub.subscribe_to_productions(self._on_entries)
            except Exception as error:  # noqa: BLE001  # one that fails must not be the last
                _log.warning("list of shows", reason=f"cannot be watched: {type(error).__name__}")
                late = True
                self._first_try.set()
                await asyncio.sleep(self._limits.retry)
            else:
                self._first_try.set()
                if late:
                    for socket in tuple(self.sockets):
                        self.resync(socket)
                return subscription

    async def _on_entries(self, entries: Sequence[FeedEntry]) -> None:
        for entry in entries:
            for message in of_list(entry):
                self._send(entry.production, *message)
            await asyncio.sleep(0)  # so that sockets can send before the next is queued

    def resync(self, socket: str) -> None:
        """Let a socket load the list anew, if it watches it."""
        if socket in self.sockets and (queue := self._send_queue(socket)):
            content = to_json({"resync": f"/api/{root().collection}"}).decode()
            queue.put_nowait(event("resync", content))

    def _send(self, production: UUID, name: str, payload: str) -> None:
        """Send an event about a production to those for whom it exists."""
        packet = event(name, payload)
        for socket in tuple(self.sockets):
            if self._callers.sees(socket, production) and (queue := self._send_queue(socket)):
                queue.put_nowait(packet)
