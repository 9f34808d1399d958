"""Carries what one socket sends to the sockets of its room on the other processes.

PostgreSQL limits the size of a notification, so a message travels in chunks. One statement sends
them all, so it arrives whole or not at all. Nothing of it is stored.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Final
from uuid import UUID

from app.database.database import Database, DatabaseConnection
from app.errors import BodyTooLarge
from app.live.feed.listener import Listener
from app.live.sockets.limits import LARGEST_BROADCAST
from app.model.schemas import known_uuid
from app.sql.registry import statement

CHANNEL: Final = "signalbook_relay"
# Announce each of the texts $1, in this order.
SEND: Final = statement(f"SELECT pg_notify('{CHANNEL}', chunk) FROM unnest($1::text[]) AS chunk")
_CHUNK: Final = 7_000  # bytes
_WITHIN: Final = 10.0  # seconds in which the rest of a message must come
_MOST_PARTIAL: Final = 64  # messages of which a part has come


@dataclass
class _Partial:
    room: UUID
    until: float
    chunks: dict[int, str] = field(default_factory=dict)


class Broadcast:
    """Sends texts to the rooms of other processes, and calls ``on_text`` with those they send."""

    def __init__(
        self, database: Database, listener: Listener, on_text: Callable[[UUID, str], None]
    ) -> None:
        self._database, self._on_text = database, on_text
        self._process = token_hex(8)
        self._partial: dict[str, _Partial] = {}
        listener.listen(CHANNEL, self._on_chunk)
        listener.on_connect(self._on_connect)

    async def send(self, room: UUID, text: str) -> None:
        """Send a text to a room's sockets on the other processes. Raises what the database does."""
        chunks = list(_chunks(text))
        name = f"{self._process} {token_hex(8)} {room} {len(chunks)}"
        payloads = [f"{name} {number} {chunk}" for number, chunk in enumerate(chunks)]
        async with self._database.connection() as connection:
            await connection.fetch(SEND, payloads)

    def _on_chunk(self, payload: str) -> None:
        words = payload.split(" ", 5)
        if len(words) < 6 or words[0] == self._process:
            return
        _, message, uuid, count, number, chunk = words
        room = known_uuid(uuid)
        if room is None or not count.isdecimal() or not number.isdecimal():
            return
        partial = self._find_partial(message, room)
        partial.chunks[int(number)] = chunk
        if len(partial.chunks) == int(count):
            del self._partial[message]
            self._on_text(room, "".join(partial.chunks[n] for n in sorted(partial.chunks)))

    def _find_partial(self, message: str, room: UUID) -> _Partial:
        """Return what has come of a message; forget those of which the rest is overdue."""
        now = asyncio.get_running_loop().time()
        for name in [name for name, other in self._partial.items() if other.until < now]:
            del self._partial[name]
        if message not in self._partial:
            while len(self._partial) >= _MOST_PARTIAL:
                del self._partial[next(iter(self._partial))]
            self._partial[message] = _Partial(room, now + _WITHIN)
        return self._partial[message]

    async def _on_connect(self, _: DatabaseConnection) -> None:
        """Forget the messages of which the last connection brought only a part."""
        self._partial.clear()


def require_small(text: str) -> None:
    """Raise BodyTooLarge for more than one message may hold."""
    if len(text.encode()) > LARGEST_BROADCAST:
        raise BodyTooLarge(
            f"One message may have {LARGEST_BROADCAST} bytes: say it in fewer words."
        )


def _chunks(text: str) -> list[str]:
    """Cut a text into chunks of bounded bytes, never within a character."""
    whole, chunks, start = text.encode(), [], 0
    while start < len(whole):
        end = min(start + _CHUNK, len(whole))
        while end < len(whole) and whole[end] & 0xC0 == 0x80:
            end -= 1
        chunks.append(whole[start:end].decode())
        start = end
    return chunks
