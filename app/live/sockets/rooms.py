"""Which sockets watch which productions.

A room is opened for the first socket, and kept for a moment after the last has left, as pages join
and leave all the time. A join that fails because the database is away is done when it is back; the
socket is then told to load what it may have missed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import asyncpg
from pydantic_core import from_json, to_json

from app.access import own_rows
from app.access.caller import Role
from app.access.policies import refusal
from app.background import Tasks
from app.database.database import Database
from app.entities import root
from app.errors import (
    AmbiguousId,
    BadRequest,
    LogTrimmed,
    NotJoined,
    ProductionNotFound,
    Unavailable,
)
from app.live.feed.entries import Page, read_page
from app.live.feed.hub import Hub
from app.live.feed.listener import Listener
from app.live.sockets.broadcast import Broadcast, require_small
from app.live.sockets.callers import SocketCallers
from app.live.sockets.limits import SocketLimits
from app.live.sockets.pending_joins import PendingJoins
from app.live.sockets.presence import People, Presence
from app.live.sockets.room import Room, canonical_key
from app.live.sockets.rooms_sql import BY_LABEL, BY_SPELLINGS, BY_UUID
from app.live.sockets.send_queue import FindQueue, event
from app.live.sockets.socket_requests import ChangeAnnouncement, Join, Leave
from app.model.schemas import known_uuid
from app.rules import labels

_CHANGE: Final = "production:change"
_PRESENCE: Final = "presence:update"


class Rooms:
    """The rooms of one process."""

    def __init__(
        self, database: Database, listener: Listener, hub: Hub, send_queue: FindQueue,
        callers: SocketCallers, limits: SocketLimits,
    ) -> None:  # fmt: skip
        self._database, self._hub, self._limits = database, hub, limits
        self._send_queue, self._callers = send_queue, callers
        self._presence = Presence(database, listener, self._on_presence, limits.sweep)
        self._broadcast = Broadcast(database, listener, self._on_broadcast)
        self._rooms: dict[UUID, Room] = {}
        self._opening: dict[UUID, asyncio.Task[Room]] = {}
        # Per socket: the productions that it watches, and the keys by which it has joined each.
        self._keys: dict[str, dict[UUID, set[str]]] = {}
        self._closing = Tasks()
        self._pending = PendingJoins(self._join, self._send, limits)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve while the block runs, then close every room."""
        async with self._presence.running():
            try:
                yield
            finally:
                await self._closing.cancel()
                await self._pending.close()
                for room in self._rooms.values():
                    await room.close()

    def __contains__(self, socket: str) -> bool:
        return socket in self._keys

    @property
    def sockets(self) -> Collection[str]:
        """Every socket that is connected, whatever it watches."""
        return self._keys.keys()

    def add(self, socket: str) -> None:
        self._keys[socket] = {}

    def remove(self, socket: str) -> None:
        for uuid in self._keys.pop(socket, ()):
            self._leave(self._rooms[uuid], socket)
        self._pending.forget(socket)

    async def join(self, socket: str, request: Join) -> dict[str, Any]:
        """Let a socket watch a production.

        Raises ProductionNotFound, AmbiguousId, BadRequest if it watches too many, and Unavailable.
        After Unavailable the join is done as soon as the database answers.
        """
        self._pending.drop(socket, request.productionId)
        try:
            return await self._join(socket, request, lambda: True)
        except Unavailable:
            if socket in self._keys:
                self._pending.add(socket, request)
            raise

    async def _join(
        self, socket: str, request: Join, still_wanted: Callable[[], bool]
    ) -> dict[str, Any]:
        key = request.productionId
        sees_all = self._callers.of(socket).sees_all
        own_key = key if sees_all else await self._find_own(socket, key)
        room, start = await self._find_room(own_key), None
        if request.since is not None:
            start = await read_page(self._database, room.uuid, request.since, limit=0)
        keys = self._keys.get(socket)
        if keys is None or self._rooms.get(room.uuid) is not room or not still_wanted():
            raise Unavailable("The connection has ended, or the service stops: join again.")
        if room.uuid not in keys and len(keys) >= self._limits.rooms:
            raise BadRequest(f"One socket may watch {self._limits.rooms} productions: leave one.")
        if not self._callers.sees(socket, room.uuid):  # it was taken meanwhile
            raise _not_found(key)
        keys.setdefault(room.uuid, set()).add(canonical_key(key))
        if sees_all:  # for who sees only some, another show may have that label
            room.add_key(key)
        ack = _enter(room, socket, start)
        self._presence.enter(room.uuid, socket, request.person)
        if (people := self._presence.last_sent.get(room.uuid)) is not None:
            self._send(socket, _PRESENCE, people)
        return ack

    async def leave(self, socket: str, request: Leave) -> dict[str, Any]:
        """Let a socket watch a production no longer, whether it did or not."""
        self._pending.drop(socket, request.productionId)
        room = self._joined_room(socket, request.productionId)
        if room is not None:
            del self._keys[socket][room.uuid]
            self._leave(room, socket)
        return {}

    async def change(self, socket: str, request: ChangeAnnouncement) -> dict[str, Any]:
        """Send an announcement to the others who watch a production.

        Raises NotJoined, Forbidden, Invalid, BodyTooLarge, and what the database does; by then the
        sockets of this process have it.
        """
        room, text = self._joined_room(socket, request.productionId), request.text()
        if room is None:
            raise NotJoined("Join the production before you tell others who watch it.")
        caller = self._callers.of(socket)
        if (caller.role_in(room.uuid) or 0) < Role.EDITOR:
            raise refusal(caller, Role.EDITOR)
        require_small(text)
        room.send(_CHANGE, text, exclude=socket)
        await self._broadcast.send(room.uuid, text)
        return {}

    def _joined_room(self, socket: str, key: str) -> Room | None:
        """Find the room of a socket by a key that names it, or named it when the socket joined."""
        uuid, by_old_key = known_uuid(key), None
        for production, keys in self._keys.get(socket, {}).items():
            room = self._rooms[production]
            if production == uuid or key == room.label:
                return room
            if canonical_key(key) in keys:
                by_old_key = room
        return by_old_key

    async def _find_room(self, key: str) -> Room:
        """Return the room of a live production, opened. Raises what ``join`` does."""
        name = canonical_key(key)
        if room := next((room for room in self._rooms.values() if name in room.keys), None):
            return room
        uuid, label, seq = await self._find_production(key)
        if room := self._rooms.get(uuid):
            room.set_label(label, seq)
            return room
        task = self._opening.get(uuid)
        if task is None:
            task = self._opening[uuid] = asyncio.create_task(self._open(uuid, label, seq))
            task.add_done_callback(lambda _: self._opening.pop(uuid, None))
        return await asyncio.shield(task)

    async def _find_own(self, socket: str, key: str) -> str:
        """Return the uuid of a production that who holds a socket may see.

        Raises ProductionNotFound and AmbiguousId.
        """
        shows = self._callers.of(socket).memberships
        rows = await own_rows.find(self._database, root(), key, shows)
        if not rows:
            raise _not_found(key)
        if len(rows) > 1:
            raise AmbiguousId(f"Several productions are called {key!r}: use the uuid.")
        return str(rows[0]["uuid"])

    def expel_from_others(self, socket: str) -> None:
        """Let a socket watch no more what its holder may not see any more, and send it word."""
        for uuid in [uuid for uuid in self._keys.get(socket, ())
                     if not self._callers.sees(socket, uuid)]:  # fmt: skip
            del self._keys[socket][uuid]
            self._leave(self._rooms[uuid], socket)
            error = _not_found(str(uuid))
            self._send(socket, "refused", {**error.acknowledgement(), "productionId": str(uuid)})

    async def _find_production(self, key: str) -> tuple[UUID, str, int]:
        async with self._database.connection() as connection:
            rows: Sequence[asyncpg.Record] = []
            if uuid := known_uuid(key):
                rows = await connection.fetch(BY_UUID, uuid)
            rows = rows or await connection.fetch(BY_LABEL, key)
            if not rows and (alike := await connection.fetch(BY_SPELLINGS, labels.spellings(key))):
                rows = alike if len(alike) > 1 else await connection.fetch(BY_LABEL, alike[0]["id"])
        if not rows:
            raise _not_found(key)
        if len(rows) > 1:
            raise AmbiguousId(f"Several productions are called {key!r}: use the uuid.")
        if former := rows[0].get("former"):
            raise AmbiguousId.of_two_shows(key, rows[0]["uuid"], from_json(former))
        return rows[0]["uuid"], rows[0]["id"], rows[0]["change_seq"]

    async def _open(self, uuid: UUID, label: str, seq: int) -> Room:
        room = Room(uuid, label, self._hub.resume, self._send_queue, self._limits)
        try:
            subscription = await self._hub.subscribe(
                uuid, room.on_entries, seq, on_trimmed=room.on_trimmed
            )
        except LogTrimmed:
            raise Unavailable("The log was trimmed just now: try again in a moment.") from None
        room.open(subscription)
        self._rooms[uuid] = room
        self._close_later(room)
        return room

    def _leave(self, room: Room, socket: str) -> None:
        room.leave(socket)
        self._presence.leave(room.uuid, socket)
        if not room.members:
            self._close_later(room)

    def _close_later(self, room: Room) -> None:
        asyncio.get_running_loop().call_later(self._limits.linger, self._close_if_empty, room)

    def _close_if_empty(self, room: Room) -> None:
        if not room.members and self._rooms.get(room.uuid) is room:
            del self._rooms[room.uuid]
            self._closing.start(room.close())

    def _on_presence(self, uuid: UUID, people: People) -> None:
        if room := self._rooms.get(uuid):
            room.send(_PRESENCE, to_json(people).decode())

    def _on_broadcast(self, uuid: UUID, text: str) -> None:
        if room := self._rooms.get(uuid):
            room.send(_CHANGE, text)

    def _send(self, socket: str, name: str, payload: Any) -> None:
        if queue := self._send_queue(socket):
            queue.put_nowait(event(name, to_json(payload).decode()))


def _not_found(key: str) -> ProductionNotFound:
    return ProductionNotFound(f"No production is called {key!r}.", productionId=key)


def _enter(room: Room, socket: str, start: Page | None) -> dict[str, Any]:
    """Let a socket in, after its position in the log if it has one; return the acknowledgement."""
    if start is None:
        room.enter(socket)
    elif start.gap is None:
        room.enter_after(socket, start.since)
    else:
        room.enter_after(socket, room.seq)
        return room.described() | start.gap.acknowledgement()
    return room.described()
