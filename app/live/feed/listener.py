"""The one connection of a process on which PostgreSQL tells what was announced.

It is outside the pool, because who listens keeps its connection. It goes to the server itself: a
pooler that lends connections by the transaction loses what it is told between two of them. What was
said while nobody listened is not said again; whoever hears must look for themselves after
``on_connect``.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import structlog

from app.background import running
from app.database.url import DatabaseUrl

_log: Final = structlog.get_logger()
_NAME: Final = "signalbook-listener"
_CLOSING: Final = 1.0

Tell = Callable[[str], None]
Do = Callable[[asyncpg.Connection], Awaitable[None]]


@dataclass(frozen=True)
class Pulse:
    """How the listener notices a silence and comes back, in seconds.

    Every ``every`` the server is asked for a sign of life, and given ``within`` for it as for any
    other answer. After a loss the first try comes within ``first``, each next one after up to twice
    as long, up to ``longest``.
    """

    every: float = 5.0
    within: float = 5.0
    first: float = 0.1
    longest: float = 10.0


class Listener:
    """One LISTEN connection per process, outside the pool, reconnecting for ever with jittered
    back-off. It says one line when it loses the database, and one when it is back."""

    def __init__(self, url: DatabaseUrl, pulse: Pulse | None = None) -> None:
        self._url, self._pulse = url, pulse or Pulse()
        self._tell: dict[str, list[Tell]] = {}
        self._do: list[Do] = []
        self._listening = asyncio.Event()
        self._lost = False

    @property
    def connected(self) -> bool:
        """Whether announcements are heard now, as far as is known."""
        return self._listening.is_set()

    async def until_connected(self) -> None:
        """Wait until announcements are heard."""
        await self._listening.wait()

    def listen(self, channel: str, tell: Tell) -> None:
        """Call ``tell`` with the payload of each announcement on a channel. Before ``running``."""
        self._tell.setdefault(channel, []).append(tell)

    def on_connect(self, do: Do) -> None:
        """Await ``do`` after every connect, when all channels are heard. Before ``running``.

        It has the connection to itself until it returns; what it takes there (a lock of the
        session) lasts as long as the connection. Where it fails, the listener connects anew.
        """
        self._do.append(do)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen beside what runs inside, whether or not the database answers; stop with it."""
        async with running(self._keep_listening()):
            yield

    async def _keep_listening(self) -> None:
        wait = self._pulse.first
        while True:
            try:
                async with self._connected() as connection:
                    wait = self._pulse.first
                    await self._attend(connection)
            except Exception as error:  # noqa: BLE001  # one that fails must not be the last
                self._say_lost(error)
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311  # no secret
            wait = min(wait * 2, self._pulse.longest)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(**self._arguments())
        try:
            for channel, heard in self._tell.items():
                await connection.add_listener(channel, _teller(heard))
            async with asyncio.timeout(self._pulse.within):
                for do in self._do:
                    await do(connection)
            self._listening.set()
            self._say_back()
            yield connection
        finally:
            self._listening.clear()
            with suppress(Exception):
                await connection.close(timeout=_CLOSING)
            connection.terminate()

    async def _attend(self, connection: asyncpg.Connection) -> None:
        """Return when the connection has ended. Raises TimeoutError when the server is silent."""
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        while not connection.is_closed():
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), self._pulse.every)
                break
            await connection.execute("SELECT 1", timeout=self._pulse.within)
        raise ConnectionError("the server has ended the connection")

    def _arguments(self) -> dict[str, Any]:
        arguments = self._url.connect_args()
        named = {**arguments.get("server_settings", {}), "application_name": _NAME}
        within = self._pulse.within
        return {**arguments, "timeout": within, "command_timeout": within, "server_settings": named}

    def _say_lost(self, error: Exception) -> None:
        if not self._lost:
            self._lost = True
            _log.warning("listener lost", reason=type(error).__name__,
                         words="Live push waits until the database answers; it is asked again "
                               "and again.")  # fmt: skip

    def _say_back(self) -> None:
        if self._lost:
            self._lost = False
            _log.info("listener back", words="Live push catches up from the change log.")


def _teller(heard: list[Tell]) -> Callable[..., None]:
    def told(_connection: object, _pid: int, _channel: str, payload: object) -> None:
        for tell in heard:
            tell(str(payload))

    return told
