"""Watchers of a show: a socket, and a stream of server-sent events, that come back when cut off.

Each watches one process and says, when it comes back, which change it had last. What it got is kept
as it came, in its order.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final

import aiohttp
import httpx
import socketio
from socketio.exceptions import SocketIOError

from tests.support.processes import Process, plain

_PAUSE: Final = 0.2
_SILENCE: Final = 60.0  # seconds; a stream shows that it lives every 15


class Watcher(ABC):
    """Watches the show with uuid ``show``; ``heard`` is what came, ``returns`` how often it did."""

    kind: str

    def __init__(self, root: str, show: str, name: str) -> None:
        self.root, self.show, self.name = root, show, f"{self.kind} of {name}"
        self.heard: list[dict[str, Any]] = []
        self.returns = 0
        self.present = asyncio.Event()
        """Set while it watches."""
        self._news = asyncio.Condition()
        self._last = 0
        self._away = False

    @abstractmethod
    async def _watch_once(self) -> None:
        """Watch until it is cut off. Raises what cuts it off."""

    async def _hear(self, event: dict[str, Any]) -> None:
        self.heard.append(event)
        self._last = event["seq"]
        async with self._news:
            self._news.notify_all()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watch while the block runs, and come back whenever it is cut off."""
        task = asyncio.create_task(self._keep_watching())
        try:
            async with asyncio.timeout(_SILENCE):
                await self.present.wait()
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.present.clear()

    async def _keep_watching(self) -> None:
        while True:
            with suppress(SocketIOError, httpx.HTTPError, OSError, TimeoutError):
                await self._watch_once()
            self.present.clear()
            self.returns += 1
            await asyncio.sleep(_PAUSE)  # no event tells when the process is back

    async def until(self, seq: int, within: float = 60.0) -> None:
        """Wait until a change has come, or ``within`` seconds have gone: then it is missing."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within), self._news:
                await self._news.wait_for(lambda: self._last >= seq)


class Socket(Watcher):
    """A browser's tab: Socket.IO, in the show's room."""

    kind = "socket"

    async def _watch_once(self) -> None:
        gone = asyncio.Event()
        async with _client() as client:
            client.on("disconnect", lambda *_: gone.set())
            client.on("*", self._told)
            await client.connect(self.root, transports=["websocket"], wait_timeout=5)
            asked = {"productionId": self.show, "userId": self.name, "userName": self.name}
            answer = await client.call("production:join", asked | {"since": self._last}, timeout=20)
            assert isinstance(answer, Mapping)
            if "seq" not in answer:
                raise OSError(f"the join was refused: {answer}")
            self.present.set()
            await gone.wait()
        await asyncio.sleep(_PAUSE)  # what came last is still being told

    async def _told(self, name: str, *arguments: Any) -> None:
        told = arguments[0] if arguments else {}
        if isinstance(told, Mapping) and "seq" in told and not told.get("derived"):
            row = told.get("entity")
            if name == "production:updated":
                row = {member: value for member, value in told.items() if member != "seq"}
            key = (row or {}).get("uuid") or told.get("entityId")
            await self._hear({"seq": told["seq"], "key": key, "row": row})


@asynccontextmanager
async def _client() -> AsyncIterator[Any]:
    async with aiohttp.ClientSession() as session:
        client = socketio.AsyncClient(reconnection=False, http_session=session)
        try:
            yield client
        finally:
            await client.shutdown()


class Stream(Watcher):
    """A program: server-sent events, with Last-Event-ID when it comes back."""

    kind = "stream"

    async def _watch_once(self) -> None:
        path = f"{self.root}/api/productions/{self.show}/changes/stream"
        last = {"Last-Event-ID": str(self._last)}
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(plain(timeout=_SILENCE))
            answer = await stack.enter_async_context(client.stream("GET", path, headers=last))
            answer.raise_for_status()
            self.present.set()
            event: dict[str, str] = {}
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                event[name] = value
                if not line:
                    await self._end_of(event)
                    event = {}

    async def _end_of(self, event: Mapping[str, str]) -> None:
        if event.get("event") == "change":
            entry = json.loads(event["data"])
            assert event["id"] == str(entry["seq"])
            await self._hear({"seq": entry["seq"], "key": entry["entityId"], "entry": entry})


def of(servers: list[Process], show: str) -> list[Watcher]:
    """Return a socket and a stream for each process."""
    return [
        kind(one.root, show, f"process {one.number}")
        for one in servers
        for kind in (Socket, Stream)
    ]
