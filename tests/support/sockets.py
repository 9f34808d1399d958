"""Tabs of a browser: Socket.IO clients that remember what they were told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aiohttp
import socketio

from app.database.url import DatabaseUrl
from app.live.sockets.limits import SocketLimits
from app.main import create_app
from tests.support.processes import plain
from tests.support.service import running, settings

Told = tuple[str, Any]


@dataclass
class Tab:
    """One connection; ``told`` holds the events in the order in which they came."""

    client: Any
    told: list[Told] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _more: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def sid(self) -> str:
        """What presence calls this socket."""
        return str(self.client.get_sid())

    async def hear(self, name: str, *args: Any) -> None:
        """Remember an event."""
        async with self._more:
            self.told.append((name, args[0] if args else None))
            self._more.notify_all()

    async def end(self, *_: Any) -> None:
        """Remember that the server, or the network, has ended it."""
        self.ended.set()

    def of(self, name: str) -> list[Any]:
        """Return what was told under a name."""
        return [payload for told, payload in self.told if told == name]

    async def until(self, is_enough: Callable[[], Any], within: float = 60.0) -> Any:
        """Wait for what was told to be enough; give what ``is_enough`` does."""
        try:
            async with asyncio.timeout(within), self._more:
                await self._more.wait_for(is_enough)
        except TimeoutError:
            raise AssertionError(f"not told in time; only {self.told[-5:]}") from None
        return is_enough()

    async def one(self, name: str, **members: Any) -> Any:
        """Wait for an event with these members, and give it."""

        def found() -> Any:
            return [
                payload
                for payload in self.of(name)
                if all(payload.get(key) == value for key, value in members.items())
            ]

        return (await self.until(found))[0]

    async def ask(self, name: str, payload: Any = None) -> Any:
        """Send an event, and give its acknowledgement."""
        return await self.client.call(name, payload, timeout=10)

    async def join(self, production: Any, user: str = "ann", **more: Any) -> Any:
        """Watch a production."""
        who = {"userId": user, "userName": user.title()}
        return await self.ask("production:join", {"productionId": production, **who, **more})

    async def seen(self, *users: str) -> Any:
        """Wait until exactly these users are shown, each once."""

        def shown() -> bool:
            lists = self.of("presence:update")
            return bool(lists) and sorted(one["userId"] for one in lists[-1]) == sorted(users)

        await self.until(shown)
        return self.of("presence:update")[-1]


@asynccontextmanager
async def tab(root: str, *transports: str, **options: Any) -> AsyncIterator[Tab]:
    """Connect, by a WebSocket or what is named, and disconnect in the end.

    Raises what the client does.
    """
    async with aiohttp.ClientSession() as session:
        made = Tab(socketio.AsyncClient(reconnection=False, http_session=session))
        made.client.on("*", made.hear)
        made.client.on("disconnect", made.end)
        ways = list(transports) or ["websocket"]
        await made.client.connect(root, transports=ways, wait_timeout=10, **options)
        try:
            yield made
        finally:
            await made.client.disconnect()


async def refused(root: str, transport: str = "websocket", **options: Any) -> tuple[Any, bool]:
    """Try to connect; give what the server says to that, and whether it then ends the session."""
    async with aiohttp.ClientSession() as session:
        made = Tab(socketio.AsyncClient(reconnection=False, http_session=session))
        made.client.on("connect_error", partial(made.hear, "connect_error"))
        made.client.eio.on("disconnect", made.end)
        await made.client.connect(root, transports=[transport], wait=False, **options)
        await made.until(lambda: made.told)
        async with asyncio.timeout(60):
            await made.ended.wait()
        await made.client.shutdown()
        return made.told[0][1], made.ended.is_set()


@contextmanager
def served(url: str, limits: SocketLimits | None = None, **changes: Any) -> Iterator[str]:
    """Serve a database; give the root URL."""
    app = create_app(settings(**changes), DatabaseUrl.parse(url), limits)
    with running(app) as root:
        yield root


@contextmanager
def several(url: str, count: int, **changes: Any) -> Iterator[list[str]]:
    """Serve one database ``count`` times, as so many processes do."""
    with ExitStack() as stack:
        yield [stack.enter_context(served(url, **changes)) for _ in range(count)]


async def posted(root: str, collection: str, /, **body: Any) -> dict[str, Any]:
    """Create a row over HTTP and give it."""
    async with plain(base_url=root, timeout=30) as client:
        answer = await client.post(f"/api/{collection}", json=body)
        row: dict[str, Any] = answer.raise_for_status().json()
        return row
