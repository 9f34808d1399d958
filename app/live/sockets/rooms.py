"""Which sockets watch which productions, and which the list of them all.

A room is opened when the first socket comes, and kept for a moment when the last has left, as pages
join and leave all the time. What is asked while the database is away is kept, and done when it is
back; the socket is told then to load what it may have missed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import asyncpg
from pydantic_core import to_json

from app.database.database import Database
from app.errors import (
    AmbiguousId,
    BadRequest,
    NotJoined,
    ProductionNotFound,
    Unavailable,
)
from app.live.feed.entries import Page, page
from app.live.feed.hub import Hub
from app.live.feed.listener import Listener
from app.live.sockets.broadcast import Broadcast, refuse_large
from app.live.sockets.limits import SocketLimits
from app.live.sockets.pending_joins import PendingJoins
from app.live.sockets.presence import Person, Presence, Shown
from app.live.sockets.production_list import ProductionListRoom
from app.live.sockets.requests import ChangeAnnouncement, Join, Leave, error_ack
from app.live.sockets.room import Room, plain
from app.live.sockets.rooms_sql import BY_LABEL, BY_UUID
from app.live.sockets.send_queue import SendQueue, event
from app.model.schemas import known_uuid

_CHANGE: Final = "production:change"
_PRESENT: Final = "presence:update"


class Rooms:
    """The rooms of one process. ``outbox`` gives a socket's queue while it is there."""

    def __init__(
        self,
        database: Database,
        listener: Listener,
        hub: Hub,
        outbox: Callable[[str], SendQueue | None],
        limits: SocketLimits,
    ) -> None:
        self._database, self._hub, self._outbox, self._limits = database, hub, outbox, limits
        self._presence = Presence(database, listener, self._show, sweep=limits.sweep)
        self._relay = Broadcast(database, listener, self._relayed)
        self._rooms: dict[UUID, Room] = {}
        self._opening: dict[UUID, asyncio.Task[Room]] = {}
        # What each socket watches, and what it called that.
        self._of: dict[str, dict[UUID, set[str]]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._list = ProductionListRoom(hub, outbox, retry=limits.retry, linger=limits.linger)
        self._wishes = PendingJoins(self._join, self._send, limits)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve while the block runs; then watch nothing any more."""
        async with self._presence.running():
            try:
                yield
            finally:
                for task in tuple(self._tasks):
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)
                await self._wishes.close()
                for room in self._rooms.values():
                    await room.close()
                await self._list.close()

    def came(self, socket: str) -> None:
        """A socket is there."""
        self._of[socket] = {}

    def gone(self, socket: str) -> None:
        """A socket is no longer there."""
        for uuid in self._of.pop(socket, ()):
            self._left(self._rooms[uuid], socket)
        self._list.leave(socket)
        self._wishes.forget(socket)

    async def join_list(self, socket: str) -> dict[str, Any]:
        """Tell a socket of all productions."""
        if socket in self._of:
            await self._list.enter(socket)
        return {}

    def leave_list(self, socket: str) -> dict[str, Any]:
        """Tell a socket no longer of all productions."""
        self._list.leave(socket)
        return {}

    async def join(self, socket: str, asked: Join) -> dict[str, Any]:
        """Let a socket watch a production. Raises ProductionNotFound, AmbiguousId, BadRequest where
        it watches too many, and Unavailable: then it is let in as soon as the database answers.
        """
        self._wishes.drop(socket, asked.productionId)
        try:
            return await self._join(socket, asked, lambda: True)
        except Unavailable:
            if socket in self._of:
                self._wishes.keep(socket, asked)
            raise

    async def _join(self, socket: str, asked: Join, still: Callable[[], bool]) -> dict[str, Any]:
        room, place = await self._found(asked.productionId), None
        if asked.since is not None:
            place = await page(self._database, room.uuid, asked.since, limit=0)
        theirs = self._of.get(socket)
        if theirs is None or self._rooms.get(room.uuid) is not room or not still():
            raise Unavailable("The connection has ended, or the service stops: join again.")
        if room.uuid not in theirs and len(theirs) >= self._limits.rooms:
            raise BadRequest(f"One socket may watch {self._limits.rooms} productions: leave one.")
        theirs.setdefault(room.uuid, set()).add(plain(asked.productionId))
        room.called(asked.productionId)
        told = _entered(room, socket, place)
        self._presence.enter(room.uuid, socket, Person(*asked.person))
        if (shown := self._presence.told(room.uuid)) is not None:
            self._send(socket, _PRESENT, shown)
        return told

    def leave(self, socket: str, asked: Leave) -> dict[str, Any]:
        """Let a socket watch a production no longer, whether it did or not."""
        self._wishes.drop(socket, asked.productionId)
        room = self._watched(socket, asked.productionId)
        if room is not None:
            del self._of[socket][room.uuid]
            self._left(room, socket)
        return {}

    async def change(self, socket: str, asked: ChangeAnnouncement) -> dict[str, Any]:
        """Tell the others who watch a production. Raises NotJoined, Invalid, BodyTooLarge, and what
        the database does; those of this process have been told then.
        """
        room, text = self._watched(socket, asked.productionId), asked.text()
        if room is None:
            raise NotJoined("Join the production before you tell others who watch it.")
        refuse_large(text)
        room.say(_CHANGE, text, but=socket)
        await self._relay.send(room.uuid, text)
        return {}

    # Rooms

    def _watched(self, socket: str, key: str) -> Room | None:
        """Find the room of a socket that a key names, or named when it joined."""
        uuid, past = known_uuid(key), None
        for mine, called in self._of.get(socket, {}).items():
            room = self._rooms[mine]
            if mine == uuid or key == room.label:
                return room
            if plain(key) in called:
                past = room
        return past

    async def _found(self, key: str) -> Room:
        """Give the room of a live production, opened. Raises what ``join`` does."""
        name = plain(key)
        if known := next((room for room in self._rooms.values() if name in room.keys), None):
            return known
        uuid, label, seq = await self._place(key)
        if opened := self._rooms.get(uuid):
            opened.found(label, seq)
            return opened
        task = self._opening.get(uuid)
        if task is None:
            task = self._opening[uuid] = asyncio.create_task(self._opened(uuid, label, seq))
            task.add_done_callback(lambda _: self._opening.pop(uuid, None))
        return await asyncio.shield(task)

    async def _place(self, key: str) -> tuple[UUID, str, int]:
        async with self._database.connection() as connection:
            rows: Sequence[asyncpg.Record] = []
            if uuid := known_uuid(key):
                rows = await connection.fetch(BY_UUID, uuid)
            rows = rows or await connection.fetch(BY_LABEL, key)
        if not rows:
            raise ProductionNotFound(f"No production is called {key!r}.", productionId=key)
        if len(rows) > 1:
            raise AmbiguousId(f"Several productions are called {key!r}: use the uuid.")
        return rows[0]["uuid"], rows[0]["id"], rows[0]["change_seq"]

    async def _opened(self, uuid: UUID, label: str, seq: int) -> Room:
        room = Room(uuid, label, self._hub, self._outbox, self._limits)
        await room.open(seq)
        self._rooms[uuid] = room
        self._close_later(room)
        return room

    def _left(self, room: Room, socket: str) -> None:
        room.leave(socket)
        self._presence.leave(room.uuid, socket)
        if not room.members:
            self._close_later(room)

    def _close_later(self, room: Room) -> None:
        asyncio.get_running_loop().call_later(self._limits.linger, self._close_if_empty, room)

    def _close_if_empty(self, room: Room) -> None:
        if not room.members and self._rooms.get(room.uuid) is room:
            del self._rooms[room.uuid]
            self._begin(room.close())

    # What others tell

    def _show(self, uuid: UUID, shown: Shown) -> None:
        if room := self._rooms.get(uuid):
            room.say(_PRESENT, to_json(shown).decode())

    def _relayed(self, uuid: UUID, text: str) -> None:
        if room := self._rooms.get(uuid):
            room.say(_CHANGE, text)

    def _send(self, socket: str, name: str, payload: Any) -> None:
        if outbox := self._outbox(socket):
            outbox.put_nowait(event(name, to_json(payload).decode()))

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _entered(room: Room, socket: str, place: Page | None) -> dict[str, Any]:
    """Let a socket in, after its place in the log if it has one; give what it is answered."""
    if place is None:
        room.enter(socket)
        return room.described()
    if place.lost is not None:
        room.leave(socket)
        room.enter(socket)
        return room.described() | error_ack(place.lost)
    room.enter_after(socket, place.since)
    return room.described()
