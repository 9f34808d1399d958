"""Carries what one socket says to the sockets of its room on the other processes.

A message travels in one statement, so it arrives whole or not at all, as notifications of at most
``_CHUNK`` bytes: PostgreSQL takes no longer ones. Nothing of it is stored.
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
from app.model.schemas import known_uuid
from app.sql.registry import statement

CHANNEL: Final = "signalbook_relay"
LARGEST: Final = 256 * 1024
# Announce each of the texts $1, in this order.
SEND: Final = statement(f"SELECT pg_notify('{CHANNEL}', chunk) FROM unnest($1::text[]) AS chunk")
_CHUNK: Final = 7_000
_WITHIN: Final = 10.0  # seconds in which the rest of a message must come
_AT_ONCE: Final = 64  # messages of which a part has come


@dataclass
class _Partial:
    room: UUID
    until: float
    chunks: dict[int, str] = field(default_factory=dict)


class Broadcast:
    """Sends texts to the rooms of other processes; ``tell`` gets those that others sent."""

    def __init__(
        self,
        database: Database,
        listener: Listener,
        tell: Callable[[UUID, str], None],
        *,
        within: float = _WITHIN,
    ) -> None:
        self._database, self._tell, self._within = database, tell, within
        self._process = token_hex(8)
        self._partial: dict[str, _Partial] = {}
        listener.listen(CHANNEL, self._heard)
        listener.on_connect(self._connected)

    async def send(self, room: UUID, text: str) -> None:
        """Send a text to a room's sockets on the other processes. Raises what the database does."""
        chunks = list(_chunks(text))
        name = f"{self._process} {token_hex(8)} {room} {len(chunks)}"
        payloads = [f"{name} {number} {chunk}" for number, chunk in enumerate(chunks)]
        async with self._database.connection() as connection:
            await connection.fetch(SEND, payloads)

    def _heard(self, payload: str) -> None:
        words = payload.split(" ", 5)
        if len(words) < 6 or words[0] == self._process:
            return
        _, message, place, count, number, chunk = words
        room = known_uuid(place)
        if room is None or not count.isdecimal() or not number.isdecimal():
            return
        partial = self._collected(message, room)
        partial.chunks[int(number)] = chunk
        if len(partial.chunks) == int(count):
            del self._partial[message]
            self._tell(room, "".join(partial.chunks[n] for n in sorted(partial.chunks)))

    def _collected(self, message: str, room: UUID) -> _Partial:
        """Give what has come of a message, and forget those of which the rest will never come."""
        now = asyncio.get_running_loop().time()
        for name in [name for name, other in self._partial.items() if other.until < now]:
            del self._partial[name]
        if message not in self._partial:
            while len(self._partial) >= _AT_ONCE:
                del self._partial[next(iter(self._partial))]
            self._partial[message] = _Partial(room, now + self._within)
        return self._partial[message]

    async def _connected(self, _: DatabaseConnection) -> None:
        """Forget the messages that were cut off with the last connection."""
        self._partial.clear()


def refuse_large(text: str) -> None:
    """Raise BodyTooLarge for what is more than one message may hold."""
    if len(text.encode()) > LARGEST:
        raise BodyTooLarge(f"One message may have {LARGEST} bytes: say it in fewer words.")


def _chunks(text: str) -> list[str]:
    """Cut a text where its bytes would be too many, never within a character."""
    whole, found, start = text.encode(), [], 0
    while start < len(whole):
        end = min(start + _CHUNK, len(whole))
        while end < len(whole) and whole[end] & 0xC0 == 0x80:
            end -= 1
        found.append(whole[start:end].decode())
        start = end
    return found
