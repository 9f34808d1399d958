"""Sends every socket of this process what changes in the installation itself.

Equipment, lists and settings have no change log. So what was announced while this process did not
listen, or could not read, is not sent later: pages read it when they begin.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog
from pydantic_core import to_json

from app.background import running
from app.database.database import Database
from app.installation.announcements import CHANNEL, RENDERERS
from app.live.feed.listener import Listener

_log: Final = structlog.get_logger()
_MOST_WAITING: Final = 1_000
"""Announcements that are held at once; what comes above is dropped."""
Send = Callable[[str, str], None]
"""Sends an event, by its name and its argument as JSON, to every socket."""


class InstallationEvents:
    """Reads what was announced once, in the order of the announcements, and sends it to all.

    Equal announcements that wait at the same time are one.
    """

    def __init__(self, database: Database, listener: Listener, send: Send) -> None:
        self._database, self._send = database, send
        self._waiting: dict[str, None] = {}
        self._wake = asyncio.Event()
        listener.listen(CHANNEL, self._on_announcement)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send while the block runs."""
        async with running(self._keep_sending()):
            yield

    def _on_announcement(self, payload: str) -> None:
        if len(self._waiting) < _MOST_WAITING:
            self._waiting[payload] = None
            self._wake.set()

    async def _keep_sending(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                payload = next(iter(self._waiting))
                del self._waiting[payload]
                await self._render_and_send(payload)

    async def _render_and_send(self, payload: str) -> None:
        event, _, key = payload.partition(" ")
        render = RENDERERS.get(event)
        if render is None:  # a newer version's, whose clients are not here
            return
        try:
            async with self._database.connection() as connection:
                rendered = await render(connection, key)
        except Exception as error:  # noqa: BLE001  # one that fails must not be the last
            words = "Everybody hears of it when their page is opened again."
            _log.warning("event lost", event_name=event, reason=type(error).__name__, words=words)
            return
        if rendered is not None:
            self._send(event, to_json(rendered).decode())
