"""The one connection of a process on which PostgreSQL announces what was written.

It is outside the pool, because LISTEN needs a connection of its own. It goes to the server itself:
a pooler that lends connections by the transaction loses what is announced between two of them.
Announcements that were made while nobody listened are not repeated, so after every ``on_connect``
the reader of a channel must look for itself.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import asyncpg
import structlog

from app.background import running
from app.database.url import DatabaseUrl

_log: Final = structlog.get_logger()
_NAME: Final = "signalbook-listener"
_CLOSING: Final = 1.0

OnAnnouncement = Callable[[str], None]
OnConnect = Callable[[asyncpg.Connection], Awaitable[None]]


@dataclass(frozen=True)
class Pulse:
    """How the listener notices a silent server and reconnects, in seconds.

    Every ``every`` seconds it sends a query, and waits ``within`` for any answer. After a loss the
    first try comes within ``first``, each next one after up to twice as long, up to ``longest``.
    """

    every: float = 5.0
    within: float = 5.0
    first: float = 0.1
    longest: float = 10.0


class Listener:
    """One LISTEN connection per process, which reconnects for ever with jittered back-off.

    It logs one line when it loses the database, and one when it is back.
    """

    def __init__(self, url: DatabaseUrl, pulse: Pulse | None = None) -> None:
        self._url, self._pulse = url, pulse or Pulse()
        self._on_announcement: list[tuple[str, OnAnnouncement]] = []
        self._on_connect: list[OnConnect] = []
        self.listening = asyncio.Event()
        """Set while announcements arrive, as far as the listener can tell."""
        self._lost = False

    def listen(self, channel: str, callback: OnAnnouncement) -> None:
        """Call back with the payload of each announcement on a channel. Before ``running``."""
        self._on_announcement.append((channel, callback))

    def on_connect(self, callback: OnConnect) -> None:
        """Await the callback after every connect, once all channels are open. Before ``running``.

        The callback has the connection to itself until it returns. A session lock that it takes
        lasts as long as the connection. If the callback fails, the listener reconnects.
        """
        self._on_connect.append(callback)

    def running(self) -> AbstractAsyncContextManager[None]:
        """Listen while the block runs, whether or not the database answers."""
        return running(self._keep_listening())

    async def _keep_listening(self) -> None:
        wait = self._pulse.first
        while True:
            try:
                async with self._connect() as connection:
                    wait = self._pulse.first
                    await self._keep_alive(connection)
            except Exception as error:  # noqa: BLE001  # one that fails must not be the last
                if not self._lost:
                    _log.warning("listener lost", reason=type(error).__name__,
                                 words="Live push waits until the database answers; it is asked "
                                       "again and again.")  # fmt: skip
                self._lost = True
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311  # no secret
            wait = min(wait * 2, self._pulse.longest)

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[asyncpg.Connection]:
        timeouts = dict.fromkeys(("timeout", "command_timeout"), self._pulse.within)
        arguments = self._url.connect_args(application_name=_NAME) | timeouts
        connection = await asyncpg.connect(**arguments)
        try:
            for channel, on_announcement in self._on_announcement:
                await connection.add_listener(channel, _calling(on_announcement))
            async with asyncio.timeout(self._pulse.within):
                for callback in self._on_connect:
                    await callback(connection)
            self.listening.set()
            if self._lost:
                _log.info("listener back", words="Live push catches up from the change log.")
            self._lost = False
            yield connection
        finally:
            self.listening.clear()
            with suppress(Exception):
                await connection.close(timeout=_CLOSING)
            connection.terminate()

    async def _keep_alive(self, connection: asyncpg.Connection) -> None:
        """Query until the connection ends. Raises ConnectionError, or TimeoutError on silence."""
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        while not connection.is_closed():
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), self._pulse.every)
                break
            await connection.execute("SELECT 1", timeout=self._pulse.within)
        raise ConnectionError("the server has ended the connection")


def _calling(callback: OnAnnouncement) -> Callable[..., None]:
    return lambda _connection, _pid, _channel, payload: callback(str(payload))
