"""Who watches which show, on all processes.

Every process writes its own sockets into the table ``presence``, under a process number for which
it holds an advisory lock on the listener's connection. When the process dies, however it dies,
PostgreSQL releases the lock. Then its rows no longer count, and the next sweep removes them. So no
process has to renew its rows. Each new connection gets a new number.

What a socket does is queued at once and written a moment later, many changes together. What other
processes write is announced on a channel, and then read.

A person is shown once, however many sockets she has. The table says which of them is the newest, so
every process shows the same.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from secrets import randbelow
from typing import Any, Final
from uuid import UUID

import structlog

from app.background import running
from app.database.database import Database, DatabaseConnection
from app.live.feed.listener import Listener
from app.live.sockets.socket_requests import SYSTEM
from app.model.schemas import known_uuid
from app.sql.registry import statement

_log: Final = structlog.get_logger()
_BATCH_TIME: Final = 0.05  # seconds in which changes are gathered before a write
_RETRY: Final = 1.0  # seconds
_CLEANUP: Final = 2.0  # seconds to remove our rows when the service stops
# Seconds between two updates, for each person shown to each socket: large rooms get fewer.
_SECONDS_PER_PERSON: Final = 1e-6

CHANNEL: Final = "signalbook_presence"
_LOCKS: Final = 7305792  # the first key of the lock; the second is the process's number

_ALIVE: Final = (
    "SELECT objid::int4 FROM pg_locks WHERE locktype = 'advisory' AND granted "
    f"AND classid = {_LOCKS} AND objsubid = 2 AND database = "
    "(SELECT oid FROM pg_database WHERE datname = current_database())"
)
_ANNOUNCED: Final = f"SELECT pg_notify('{CHANNEL}', room::text)"
# Take process number $1 for as long as the connection lives.
TAKE: Final = statement(f"SELECT pg_try_advisory_lock({_LOCKS}, $1::int4)")
# Let the server notice within half a minute that this machine is down or unreachable.
NOTICE: Final = statement(
    "SELECT set_config('tcp_keepalives_idle', '10', false), "
    "set_config('tcp_keepalives_interval', '5', false), "
    "set_config('tcp_keepalives_count', '4', false)"
)
# The sockets in the rooms $1, of processes that are alive.
SHOWN: Final = statement(
    "SELECT production_uuid AS room, socket_id, user_id, user_name FROM presence "
    f"WHERE production_uuid = ANY($1::uuid[]) AND process IN ({_ALIVE}) ORDER BY at, socket_id"
)
# Remove sockets $3 from rooms $2; put sockets $5 into rooms $4, of process $1, with the user ids $6
# and names $7, which they said at $8. Announce the rooms that changed.
WRITE: Final = statement(
    "WITH gone AS (DELETE FROM presence USING unnest($2::uuid[], $3::text[]) AS past(room, socket) "
    "WHERE production_uuid = past.room AND socket_id = past.socket RETURNING production_uuid), "
    "came AS (INSERT INTO presence (production_uuid, socket_id, process, user_id, user_name, at) "
    "SELECT room, socket, $1::int4, who, called, least(said, statement_timestamp()) "
    "FROM unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::timestamptz[]) "
    "AS new(room, socket, who, called, said) ON CONFLICT (production_uuid, socket_id) "
    "DO UPDATE SET process = excluded.process, user_id = excluded.user_id, "
    f"user_name = excluded.user_name, at = excluded.at RETURNING production_uuid) {_ANNOUNCED} "
    "FROM (SELECT production_uuid FROM gone UNION SELECT production_uuid FROM came) "
    "AS changed(room)"
)
# Remove the rows of dead processes; remove nothing while another process sweeps.
SWEEP: Final = statement(
    "WITH RECURSIVE mine AS MATERIALIZED "
    f"(SELECT pg_try_advisory_xact_lock({_LOCKS}, 0) AS locked), "
    "known AS ((SELECT process FROM presence WHERE process > 0 ORDER BY process LIMIT 1) "
    "UNION ALL SELECT "
    "(SELECT process FROM presence WHERE process > known.process ORDER BY process LIMIT 1) "
    "FROM known WHERE known.process IS NOT NULL), "
    "dead AS MATERIALIZED (SELECT process FROM known, mine WHERE locked AND process IS NOT NULL "
    f"AND process NOT IN ({_ALIVE})), "
    "gone AS (DELETE FROM presence WHERE process = ANY(ARRAY(SELECT process FROM dead)) "
    f"RETURNING production_uuid) {_ANNOUNCED} "
    "FROM (SELECT DISTINCT production_uuid FROM gone) AS changed(room)"
)
# Remove all rows of the processes $1.
LEAVE: Final = statement(
    "WITH gone AS (DELETE FROM presence WHERE process = ANY($1::int4[]) RETURNING production_uuid) "
    f"{_ANNOUNCED} FROM (SELECT DISTINCT production_uuid FROM gone) AS changed(room)"
)


Person = tuple[str, str]  # a user's id and name
People = list[dict[str, Any]]
Seat = tuple[UUID, str]  # a room and a socket in it


class Presence:
    """Writes the rows of this process's sockets, and reports who is in a room when that changes.

    ``on_change`` is called with a room that has sockets here, and one item for each person in it.
    ``sweep`` is the pause in seconds between two searches for the rows of dead processes.
    """

    def __init__(
        self, database: Database, listener: Listener, on_change: Callable[[UUID, People], None],
        sweep: float,
    ) -> None:  # fmt: skip
        self._database, self._on_change, self._sweep = database, on_change, sweep
        self._seats: defaultdict[UUID, dict[str, Person]] = defaultdict(dict)
        self._named_at: dict[Seat, datetime] = {}  # when a socket said who it is
        self._rows: dict[Seat, Person] = {}  # ours in the table
        self._to_write: set[Seat] = set()
        self._to_read: set[UUID] = set()
        self.last_sent: dict[UUID, People] = {}
        """What was reported of each room last."""
        self._not_before: dict[UUID, float] = {}  # when a room may be sent an update again
        self._numbers: list[int] = []  # of this process, the current one last
        self._wake = asyncio.Event()
        listener.listen(CHANNEL, self._on_announcement)
        listener.on_connect(self._on_connect)

    def enter(self, room: UUID, socket: str, person: Person) -> None:
        if self._seats[room].get(socket) != person:
            self._seats[room][socket] = person
            self._named_at[room, socket] = datetime.now(UTC)
            self._queue((room, socket))

    def leave(self, room: UUID, socket: str) -> None:
        if self._seats[room].pop(socket, None) is not None:
            del self._named_at[room, socket]
            self._queue((room, socket))
        if not self._seats[room]:
            for by_room in (self._seats, self.last_sent, self._not_before):
                by_room.pop(room, None)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write, read and sweep while the block runs; then remove our rows."""
        try:
            async with running(self._keep_settling(), self._keep_sweeping()):
                yield
        finally:
            # If the database is away, another process removes them when it is back.
            with suppress(Exception):
                async with asyncio.timeout(_CLEANUP):
                    await self._run(LEAVE, self._numbers)

    async def _settle(self) -> None:
        """Write what is queued, then read and report what has changed."""
        await self._write()
        now = asyncio.get_running_loop().time()
        due = {room for room in self._to_read if self._not_before.get(room, 0.0) <= now}
        self._to_read -= due
        here = [room for room in due if room in self._seats]
        if not here:
            return
        try:
            people = await self._read(here)
        except BaseException:
            self._to_read |= due
            raise
        for room in here:
            self._report_if_new(room, people[room], now)

    def _report_if_new(self, room: UUID, people: People, now: float) -> None:
        if room in self._seats and self.last_sent.get(room) != people:
            self.last_sent[room] = people
            pause = len(people) * len(self._seats[room]) * _SECONDS_PER_PERSON
            self._not_before[room] = now + pause
            self._on_change(room, people)

    async def _write(self) -> None:
        if not self._to_write or not self._numbers:
            return
        seats, number = self._to_write, self._numbers[-1]
        self._to_write = set()
        people = {
            (room, socket): person
            for room, socket in seats
            if (person := self._seats.get(room, {}).get(socket))
        }
        arrivals = {seat: who for seat, who in people.items() if self._rows.get(seat) != who}
        departures = [seat for seat in seats if seat not in people]
        try:
            rows = [(*seat, *who, self._named_at[seat]) for seat, who in arrivals.items()]
            await self._run(WRITE, number, *_columns(departures, 2), *_columns(rows, 5))
        except BaseException:
            self._to_write |= seats
            raise
        for seat in departures:
            self._rows.pop(seat, None)
        if number == self._numbers[-1]:
            self._rows |= arrivals

    async def _read(self, rooms: list[UUID]) -> dict[UUID, People]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(SHOWN, rooms)
        people: dict[UUID, dict[Any, dict[str, Any]]] = {room: {} for room in rooms}
        for room, socket, user, name in rows:
            faces = people[room]
            # Two sockets that do not say whose they are may be two people's.
            key = (user, socket) if user == SYSTEM else user
            older = faces.get(key)
            faces[key] = {"userId": user, "userName": name, "socketId": socket,
                          "sockets": older["sockets"] + 1 if older else 1}  # fmt: skip
        return {room: list(faces.values()) for room, faces in people.items()}

    async def _run(self, sql: str, *args: object) -> None:
        async with self._database.connection() as connection:
            await connection.fetch(sql, *args)

    async def _on_connect(self, connection: DatabaseConnection) -> None:
        """Take a process number on a new connection, and write and read everything again."""
        number = randbelow(2**31 - 1) + 1
        while not await connection.fetchval(TAKE, number):
            number = randbelow(2**31 - 1) + 1
        await connection.fetchval(NOTICE)
        self._numbers.append(number)
        self._rows.clear()
        self._to_write |= {(room, socket) for room in self._seats for socket in self._seats[room]}
        self._to_read |= set(self._seats)
        self._wake.set()

    def _on_announcement(self, payload: str) -> None:
        room = known_uuid(payload)
        if room is not None and room in self._seats:
            self._to_read.add(room)
            self._wake.set()

    def _queue(self, seat: Seat) -> None:
        self._to_write.add(seat)
        self._wake.set()

    async def _keep_settling(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(_BATCH_TIME)
            self._wake.clear()
            try:
                await self._settle()
            except Exception as error:  # noqa: BLE001  # one that fails must not be the last
                _log.warning("presence", reason=f"cannot keep it yet: {type(error).__name__}")
                self._wake.set()
                await asyncio.sleep(_RETRY)
            if self._to_read:
                self._wake.set()

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(self._sweep)
            with suppress(Exception):  # the next one comes soon, and others sweep too
                await self._run(SWEEP)


def _columns(rows: Iterable[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Turn rows into columns; without rows, return empty columns."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]
