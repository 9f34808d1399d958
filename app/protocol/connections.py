"""The open connections of one process: how many there may be, and one look at all of them a second.

A timer for each connection would be set and taken back with every request. Here a request only
notes what it has come to, and the look finds out for how long.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

from app.access.client_address import AddressCounts, Proxies
from app.settings import Settings

_LOOKS: Final = 1.0
_TOLD: Final = 50
"""So many refused connections of one address are answered; what comes beyond is ended unread."""


class OpenConnection(Protocol):
    """What is known of a connection here."""

    def is_unread(self) -> bool:
        """Whether nothing was understood of it yet, or it only waits for its end."""

    def is_idle(self) -> bool:
        """Whether it waits for the next request."""

    def look(self, now: float, elapsed: float) -> None:
        """End it if it has taken too long; ``elapsed`` are seconds since the last look."""

    def abort(self) -> None:
        """End it at once."""


class Connections:
    """All connections. WebSockets are counted, and looked at no more."""

    def __init__(self, settings: Settings, open_files: int) -> None:
        """Prepare for a process that may open so many files."""
        self.settings = settings
        self._most = settings.max_connections or max(open_files - open_files // 10, 16)
        self._counts = AddressCounts(settings.connections_per_address)
        proxies = settings.trusted_proxies
        self._proxies = Proxies(proxies) if proxies else None
        self._total = 0
        self._looked_at: dict[OpenConnection, None] = {}
        times = (
            settings.first_request_timeout, settings.head_timeout, settings.keep_alive_timeout,
            settings.body_grace,
        )  # fmt: skip
        self._every = min(_LOOKS, *(seconds / 4 for seconds in times))
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, connection: OpenConnection, client: tuple[str, Any] | None) -> bool:
        """Count a new connection. Return whether its address may have one more.

        A connection that is one too many is ended. ``leave`` is called for each all the same.
        """
        address = client[0] if client else ""
        self._total += 1
        self._looked_at[connection] = None
        if self._timer is None:
            self._begin()
        count = 0
        if address and not self._trusts(address):
            count = self._counts.add(address)
        if self._total > self._most:
            self._make_room()
        if self._counts.is_beyond(count, by=_TOLD):
            connection.abort()
        return not self._counts.is_beyond(count)

    def leave(self, client: tuple[str, Any] | None) -> None:
        """Take a connection off the count, when it has ended."""
        self._total -= 1
        if client and not self._trusts(client[0]):
            self._counts.remove(client[0])

    def look_away(self, connection: OpenConnection) -> None:
        """Look at it no more."""
        self._looked_at.pop(connection, None)

    def leaver(self, client: tuple[str, Any] | None) -> Callable[[], None]:
        """Return what is to be called when a WebSocket ends."""
        return partial(self.leave, client)

    def _trusts(self, address: str) -> bool:
        return self._proxies is not None and self._proxies.trusts(address)

    def _make_room(self) -> None:
        """End the connection that has said least for longest, so that others come in.

        The system would end new ones, whoever they are from.
        """
        for is_spare in (lambda one: one.is_unread(), lambda one: one.is_idle(), lambda _: True):
            for connection in self._looked_at:
                if is_spare(connection):
                    connection.abort()
                    return

    def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        self._last = loop.time()
        self._timer = loop.call_later(self._every, self._look)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now, last = loop.time(), self._last
        for connection in tuple(self._looked_at):
            connection.look(now, now - last)
        self._timer = None
        if self._looked_at:
            self._begin()
