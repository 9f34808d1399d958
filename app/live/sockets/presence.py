"""Who watches which show, on all processes.

Every process writes its own sockets into the table ``presence``, under a number for which it holds
an advisory lock on the listener's connection. PostgreSQL lets go of the lock when the process dies,
however it dies; then its rows no longer count, and whoever sweeps next removes them. So nobody
writes that he is still there. The number is a new one with each connection.

What a socket does is noted at once and written a moment later, many together; what others did is
announced on a channel, and read.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from secrets import randbelow
from typing import Any, Final, NamedTuple
from uuid import UUID

import structlog

from app.background import running
from app.database.database import Database, DatabaseConnection
from app.live.feed.listener import Listener
from app.live.sockets.presence_sql import CHANNEL, LEAVE, NOTICE, SHOWN, SWEEP, TAKE, WRITE
from app.model.schemas import known_uuid

_log: Final = structlog.get_logger()
_TOGETHER: Final = 0.05  # seconds in which changes are taken together
_SWEEP: Final = 5.0  # seconds between two sweeps
_RETRY: Final = 1.0  # seconds until what failed is tried again
_AT_THE_END: Final = 2.0  # seconds for removing our rows when the service stops
# A room of thousands is told less often: seconds for each person shown to each socket.
_PER_LINE: Final = 1e-6


class Person(NamedTuple):
    """Who sits at a socket."""

    user_id: str
    user_name: str


Shown = list[dict[str, str]]
Seat = tuple[UUID, str]


class Presence:
    """Keeps the rows of this process's sockets, and tells who is in a room where that changed.

    ``tell`` is called with a room that has sockets here, and one entry for each socket in it.
    """

    def __init__(
        self,
        database: Database,
        listener: Listener,
        tell: Callable[[UUID, Shown], None],
        *,
        sweep: float = _SWEEP,
        together: float = _TOGETHER,
    ) -> None:
        self._database, self._tell = database, tell
        self._sweep, self._together = sweep, together
        self._seats: defaultdict[UUID, dict[str, Person]] = defaultdict(dict)
        self._written: dict[Seat, Person] = {}
        self._dirty: set[Seat] = set()
        self._due: set[UUID] = set()
        self._told: dict[UUID, Shown] = {}
        self._not_before: dict[UUID, float] = {}
        self._numbers: list[int] = []
        self._something = asyncio.Event()
        listener.listen(CHANNEL, self._announced)
        listener.on_connect(self._connected)

    def enter(self, room: UUID, socket: str, person: Person) -> None:
        """Note that a socket is in a room, as this person."""
        if self._seats[room].get(socket) != person:
            self._seats[room][socket] = person
            self._note((room, socket))

    def leave(self, room: UUID, socket: str) -> None:
        """Note that a socket has left a room."""
        if self._seats[room].pop(socket, None) is not None:
            self._note((room, socket))
        if not self._seats[room]:
            for forgotten in (self._seats, self._told, self._not_before):
                forgotten.pop(room, None)

    def told(self, room: UUID) -> Shown | None:
        """Give what was told of a room last, None where nothing was."""
        return self._told.get(room)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write, read and sweep beside what runs inside; leave no rows behind."""
        try:
            async with running(self._keep_settling(), self._keep_sweeping()):
                yield
        finally:
            # A database that is away will be swept by whoever is there when it is back.
            with suppress(Exception):
                async with asyncio.timeout(_AT_THE_END):
                    await self._run(LEAVE, self._numbers)

    async def before_write(self) -> None:
        """Write what was noted, read and tell what has changed. Raises what the database does."""
        await self._write()
        now = asyncio.get_running_loop().time()
        due = {room for room in self._due if self._not_before.get(room, 0.0) <= now}
        self._due -= due
        here = [room for room in due if room in self._seats]
        if not here:
            return
        try:
            found = await self._read(here)
        except BaseException:
            self._due |= due
            raise
        for room in here:
            self._tell_if_new(room, found[room], now)

    def _tell_if_new(self, room: UUID, shown: Shown, now: float) -> None:
        if room in self._seats and self._told.get(room) != shown:
            self._told[room] = shown
            self._not_before[room] = now + len(shown) * len(self._seats[room]) * _PER_LINE
            self._tell(room, shown)

    async def _write(self) -> None:
        if not self._dirty or not self._numbers:
            return
        taken, number = self._dirty, self._numbers[-1]
        self._dirty = set()
        now_there = {seat: person for seat in taken if (person := self._person(seat))}
        came = {seat: who for seat, who in now_there.items() if self._written.get(seat) != who}
        gone = [seat for seat in taken if seat not in now_there]
        try:
            await self._run(
                WRITE,
                number,
                *_columns(gone, 2),
                *_columns([(*seat, *person) for seat, person in came.items()], 4),
            )
        except BaseException:
            self._dirty |= taken
            raise
        for seat in gone:
            self._written.pop(seat, None)
        if number == self._numbers[-1]:
            self._written |= came

    def _person(self, seat: Seat) -> Person | None:
        room, socket = seat
        return self._seats[room].get(socket) if room in self._seats else None

    async def _read(self, rooms: list[UUID]) -> dict[UUID, Shown]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(SHOWN, rooms)
        found: dict[UUID, Shown] = {room: [] for room in rooms}
        for row in rows:
            found[row["room"]].append({"userId": row["user_id"], "userName": row["user_name"],
                                       "socketId": row["socket_id"]})  # fmt: skip
        return found

    async def _run(self, sql: str, *args: object) -> None:
        async with self._database.connection() as connection:
            await connection.fetch(sql, *args)

    async def _connected(self, connection: DatabaseConnection) -> None:
        """Take a number on a new connection, and write and read everything again."""
        number = randbelow(2**31 - 1) + 1
        while not await connection.fetchval(TAKE, number):
            number = randbelow(2**31 - 1) + 1
        await connection.fetchval(NOTICE)
        self._numbers.append(number)
        self._written.clear()
        self._dirty |= {(room, socket) for room, seats in self._seats.items() for socket in seats}
        self._due |= set(self._seats)
        self._something.set()

    def _announced(self, payload: str) -> None:
        room = known_uuid(payload)
        if room is not None and room in self._seats:
            self._due.add(room)
            self._something.set()

    def _note(self, seat: Seat) -> None:
        self._dirty.add(seat)
        self._something.set()

    async def _keep_settling(self) -> None:
        while True:
            await self._something.wait()
            await asyncio.sleep(self._together)
            self._something.clear()
            try:
                await self.before_write()
            except Exception as error:  # noqa: BLE001  # one that fails must not be the last
                _log.warning("presence", reason=f"cannot keep it yet: {type(error).__name__}")
                self._something.set()
                await asyncio.sleep(_RETRY)
            if self._due:
                self._something.set()

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(self._sweep)
            with suppress(Exception):  # the next one comes soon, and others sweep too
                await self._run(SWEEP)


def _columns(rows: Iterable[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Turn rows into columns, empty ones where there are no rows."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]
