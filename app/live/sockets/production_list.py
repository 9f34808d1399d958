"""The sockets of one process that watch the list of all productions."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from pydantic_core import to_json

from app.entities import root
from app.live.feed.entries import FeedEntry
from app.live.feed.hub import Hub
from app.live.feed.subscriber import Subscriber
from app.live.sockets.messages import of_list
from app.live.sockets.send_queue import SendQueue, event

_log: Final = structlog.get_logger()


class ProductionListRoom:
    """Tells its sockets of every production. Times in seconds: ``retry`` is the pause until the
    database is asked again, ``linger`` how long nobody need be there before it is left in peace.
    """

    def __init__(
        self, hub: Hub, outbox: Callable[[str], SendQueue | None], *, retry: float, linger: float
    ) -> None:
        self._hub, self._outbox = hub, outbox
        self._retry, self._linger = retry, linger
        self.sockets: set[str] = set()
        self._watch: Subscriber | None = None
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()

    async def enter(self, socket: str) -> None:
        """Tell a socket from now on: return when that is so, or when it cannot be yet, since the
        database does not answer; then the socket is told when it is."""
        self.sockets.add(socket)
        if self._task is None:
            self._tried.clear()
            self._task = asyncio.create_task(self._keep_watching())
        await self._tried.wait()

    def leave(self, socket: str) -> None:
        """Tell a socket nothing more."""
        self.sockets.discard(socket)

    async def close(self) -> None:
        """Watch no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._tried.set()

    async def _keep_watching(self) -> None:
        """Watch while somebody is there, and for a moment more, as pages come and go."""
        watch = await self._opened()
        try:
            while self.sockets:  # noqa: ASYNC110  # to stay a moment longer is meant
                await asyncio.sleep(self._linger)
        finally:
            self._task = None
            await watch.close()

    async def _opened(self) -> Subscriber:
        late = False
        while True:
            try:
                watch = await self._hub.subscribe_to_productions(self._hear)
            except Exception as error:  # noqa: BLE001  # one that fails must not be the last
                _log.warning("list of shows", reason=f"cannot be watched: {type(error).__name__}")
                late = True
                self._tried.set()
                await asyncio.sleep(self._retry)
                continue
            self._tried.set()
            if late:
                self._say("resync", to_json({"resync": f"/api/{root().collection}"}).decode())
            return watch

    async def _hear(self, entries: Sequence[FeedEntry]) -> None:
        for entry in entries:
            for message in of_list(entry):
                self._say(*message)
            await asyncio.sleep(0)  # so that what was put is taken before the next

    def _say(self, name: str, payload: str) -> None:
        packet = event(name, payload)
        for socket in tuple(self.sockets):
            if outbox := self._outbox(socket):
                outbox.put_nowait(packet)
