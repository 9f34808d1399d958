"""The hub: every entry reaches every watch of every process once, in order, without a gap."""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from pydantic import ValidationError

from app.changelog import feed
from app.database.database import Database
from app.entities import discovered
from app.errors import Busy, DatabaseAway, DuplicateUuid, LogTrimmed, NotFound, Unavailable
from app.live.feed import entries, hub
from app.live.feed.entries import PAGE, FeedEntry, Page
from app.live.feed.hub import Hub
from app.live.feed.subscription import CursorSubscription
from app.model.fields import DEEPEST
from app.sql.reads import statements
from tests.legacy import connected
from tests.support import databases
from tests.support.live import KILL, Ear, Process, logged, process, processes

COUNT = "UPDATE productions SET change_seq = change_seq + 1 WHERE uuid = $1"
TRIM = "DELETE FROM changes WHERE production_uuid = $1 AND seq <= $2"


@pytest.fixture
async def one(shared_database: str) -> AsyncIterator[Process]:
    async with process(shared_database) as made:
        yield made
        assert made.hub.idle, "a test closes its watches"


@pytest.fixture
async def raw(shared_database: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(shared_database) as made:
        yield made


# Delivery


async def test_each_write_reaches_every_process_as_the_feed_gives_it(shared_database: str) -> None:
    ears = [Ear() for _ in range(3)]
    async with processes(shared_database, 3) as made:
        place = await made[0].show()
        watches = [await p.hub.subscribe(place, e.hear) for p, e in zip(made, ears, strict=True)]
        assert [watch.seq for watch in watches] == [1, 1, 1]
        ccu = await made[1].create("ccus", place, name="C")
        await made[2].update("ccus", ccu["uuid"], name="D")
        await made[0].delete("ccus", ccu["uuid"])
        page = json.loads(await feed.page(made[0].database, str(place), 1, 100))
        for ear, watch in zip(ears, watches, strict=True):
            assert await ear.until(3) == [2, 3, 4]
            assert [entry.raw for entry in ear.heard] == page["changes"]
            await watch.close()
            assert watch.seq == 4
    first = ears[0].heard[0]
    assert (first.production, first.collection, first.operation) == (place, "ccus", "CREATE")
    assert (first.entity, first.body, first.raw["version"]) == (ccu["uuid"], ccu, 1)
    assert (first.entity_type, first.user_id, first.user_name) == ("ccu", "u1", "Ann")
    assert ears[0].heard[1].changes == {"name": ["C", "D"]}
    assert first.raw["timestamp"] == page["changes"][0]["timestamp"]
    assert first.label == ccu["productionId"]


async def test_listeners_that_are_killed_lose_and_repeat_nothing(own_database: str) -> None:
    ears = [Ear(), Ear(), Ear()]
    async with processes(own_database, 3, every=60) as made, connected(own_database) as raw:
        place = await made[0].show()
        watches = [await p.hub.subscribe(place, e.hear) for p, e in zip(made, ears, strict=True)]
        killing, count = asyncio.create_task(_killed(own_database, made)), 0
        while not killing.done() or count <= 30:
            await logged(raw, place)
            count += 1
        await killing
        for ear, watch in zip(ears, watches, strict=True):
            assert await ear.until(count) == [*range(2, count + 2)]
            await watch.close()


async def _killed(url: str, made: list[Process]) -> None:
    """Kill all listeners again and again, each time when they have just come back."""
    for _ in range(5):
        for each in made:
            await asyncio.wait_for(each.listener.listening.wait(), 60)
        [count] = await databases.column(url, KILL)
        assert int(str(count)) >= len(made), "one killed before may still be there"
        connected = [each.listener.listening for each in made]
        async with asyncio.timeout(60):
            while any(each.is_set() for each in connected):  # noqa: ASYNC110  # no event of it
                await asyncio.sleep(0.001)


async def test_writers_at_once_are_heard_in_the_order_of_their_commits(
    one: Process, shared_database: str
) -> None:
    ear, place = Ear(), await one.show()
    watch = await one.hub.subscribe(place, ear.hear)

    async def write() -> None:
        async with connected(shared_database) as own:
            for _ in range(40):
                await logged(own, place)

    await asyncio.gather(write(), write(), write())
    assert await ear.until(120) == [*range(2, 122)]
    await watch.close()


async def test_what_nobody_announced_is_only_late(one: Process, raw: asyncpg.Connection) -> None:
    ear, place = Ear(), await one.show()
    watch = await one.hub.subscribe(place, ear.hear)
    for _ in range(3):
        await logged(raw, place, told=False)
    assert await ear.until(3) == [2, 3, 4]
    await logged(raw, place, told=False)
    assert await ear.until(4) == [2, 3, 4, 5]
    await watch.close()


async def test_what_is_no_announcement_of_ours_is_passed_over(
    one: Process, raw: asyncpg.Connection
) -> None:
    ear, place = Ear(), await one.show()
    watch = await one.hub.subscribe(place, ear.hear)
    for words in ("", "x", "a b c", f"{place} 2", f"{place} two ccus", f"{uuid4()} 5 ccus"):
        await raw.execute("SELECT pg_notify('signalbook_changes', $1)", words)
    await logged(raw, place)
    assert await ear.until(1) == [2]
    await watch.close()


async def test_a_watch_begins_where_it_is_told_to_and_reads_in_pages(
    one: Process, raw: asyncpg.Connection
) -> None:
    place = await one.show()
    for _ in range(2 * PAGE + 50):
        await logged(raw, place, told=False)
    last = 2 * PAGE + 51
    ears = {since: Ear() for since in (0, 7, last - 1, last)}
    watches = [await one.hub.subscribe(place, ear.hear, since) for since, ear in ears.items()]
    assert [watch.seq for watch in watches] == [*ears]
    await logged(raw, place)
    for since, ear in ears.items():
        assert await ear.until(last + 1 - since) == [*range(since + 1, last + 2)]
        assert ear.largest <= PAGE
    for watch in watches:
        await watch.close()


async def test_many_announcements_are_few_reads_one_at_a_time(
    one: Process, raw: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, now, page = [0], [0], entries.read_page

    async def counted(*arguments: Any) -> Any:
        reads[0] += 1
        now[0] += 1
        assert now[0] == 1
        try:
            return await page(*arguments)
        finally:
            now[0] -= 1

    place, ears = await one.show(), [Ear() for _ in range(10)]
    watches = [await one.hub.subscribe(place, ear.hear) for ear in ears]
    monkeypatch.setattr(hub, "read_page", counted)
    async with raw.transaction():
        for _ in range(100):
            await logged(raw, place)
    for ear, watch in zip(ears, watches, strict=True):
        assert await ear.until(100) == [*range(2, 102)]
        await watch.close()
    assert reads[0] <= 3


# Slow, held, failing


async def test_a_slow_watch_holds_nobody_up_keeps_little_and_loses_nothing(
    one: Process, raw: asyncpg.Connection
) -> None:
    slow, quick, place = Ear(), Ear(), await one.show()
    slow.open.clear()
    watches = [await one.hub.subscribe(place, ear.hear) for ear in (slow, quick)]
    for n in range(3 * PAGE):
        await logged(raw, place)
        if n % 50 == 49:
            await quick.until(n + 1)
    waiting = watches[0].__dict__["_backlog"]
    assert 0 < len(waiting) <= PAGE
    assert slow.heard == []
    slow.open.set()
    assert await slow.until(3 * PAGE) == quick.seqs == [*range(2, 3 * PAGE + 2)]
    assert slow.largest <= PAGE
    for watch in watches:
        await watch.close()


async def test_nothing_is_told_while_a_watch_is_held(one: Process, raw: asyncpg.Connection) -> None:
    """So who joins is caught up from the log to exactly where the watch stands."""
    ear, other, place = Ear(), Ear(), await one.show()
    watch = await one.hub.subscribe(place, ear.hear)
    beside = await one.hub.subscribe(place, other.hear)
    await logged(raw, place)
    await ear.until(1)
    async with watch.delivering:
        for _ in range(5):
            await logged(raw, place)
        await other.until(6)
        assert (ear.seqs, watch.seq) == ([2], 2)
        caught_up = await one.hub.read(place, 0)
        assert [e.seq for e in caught_up.entries if e.seq <= watch.seq] == [1, 2]
    assert await ear.until(6) == [2, 3, 4, 5, 6, 7]
    await watch.close()
    await beside.close()


async def test_who_subscribes_once_more_is_told_what_followed_a_number(
    one: Process, raw: asyncpg.Connection
) -> None:
    """As a slow socket does: it reads the log by itself, without holding up the first."""
    first, behind, place = Ear(), Ear(), await one.show()
    watch = await one.hub.subscribe(place, first.hear)
    for _ in range(3):
        await logged(raw, place)
    assert await first.until(3) == [2, 3, 4]
    behind.open.clear()
    late = one.hub.resume(place, behind.hear, 2, behind.trimmed)
    await logged(raw, place)
    assert await first.until(4) == [2, 3, 4, 5]
    behind.open.set()
    assert await behind.until(3) == [3, 4, 5]
    late.stop()
    await logged(raw, place)
    assert await first.until(5) == [2, 3, 4, 5, 6]
    assert (behind.seqs, one.hub.subscribers) == ([3, 4, 5], 1)
    await watch.close()


async def test_who_fails_is_told_the_next_all_the_same(
    one: Process, raw: asyncpg.Connection
) -> None:
    ear, place, told = Ear(), await one.show(), asyncio.Event()

    async def fails(entries: Any) -> None:
        if not told.is_set():
            told.set()
            raise RuntimeError
        await ear.hear(entries)

    watch = await one.hub.subscribe(place, fails)
    await logged(raw, place)
    await asyncio.wait_for(told.wait(), 60)
    await logged(raw, place)
    assert await ear.until(1) == [3]
    await watch.close()


async def test_a_watch_may_be_closed_while_it_tells_and_from_inside(
    one: Process, raw: asyncpg.Connection
) -> None:
    place, ear = await one.show(), Ear()

    async def leaves(entries: Any) -> None:
        await watch.close()
        await ear.hear(entries)

    watch = await one.hub.subscribe(place, leaves)
    stuck = Ear()
    stuck.open.clear()
    held = await one.hub.subscribe(place, stuck.hear)
    assert one.hub.subscribers == 2
    await logged(raw, place)
    assert await ear.until(1) == [2]
    await asyncio.wait_for(stuck.begun.wait(), 60)
    await held.close()
    await held.close()
    assert one.hub.idle
    await logged(raw, place)
    assert (ear.seqs, stuck.seqs) == ([2], [])


async def test_a_database_that_does_not_answer_makes_nothing_lost(
    one: Process, raw: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ear, place, page, tries = Ear(), await one.show(), entries.read_page, asyncio.Queue[None]()
    watch = await one.hub.subscribe(place, ear.hear)

    async def away(*_: Any) -> Any:
        tries.put_nowait(None)
        raise DatabaseAway("away")

    monkeypatch.setattr(hub, "read_page", away)
    for _ in range(3):
        await logged(raw, place)
    for _ in range(3):
        await asyncio.wait_for(tries.get(), 60)
    assert ear.heard == []
    monkeypatch.setattr(hub, "read_page", page)
    assert await ear.until(3) == [2, 3, 4]
    await watch.close()


async def test_a_watch_of_nothing_leaves_nothing_behind(one: Process, shared_database: str) -> None:
    with pytest.raises(NotFound):
        await one.hub.subscribe(uuid4(), Ear().hear)
    assert one.hub.idle
    hub = Hub(one.database, one.listener)
    with pytest.raises(Unavailable):
        await hub.subscribe(await one.show(), Ear().hear)
    with pytest.raises(Unavailable):
        await hub.subscribe_to_productions(Ear().hear)


# A log that was trimmed


async def test_a_watch_cannot_begin_where_the_log_does_not_reach(
    one: Process, raw: asyncpg.Connection
) -> None:
    place = await one.show()
    for _ in range(4):
        await logged(raw, place, told=False)
    await raw.execute(TRIM, place, 3)
    for since in (0, 2, 6):
        with pytest.raises(LogTrimmed) as lost:
            await one.hub.subscribe(place, Ear().hear, since)
        assert (lost.value.members["oldest"], lost.value.members["latest"]) == (4, 5)
    assert one.hub.idle
    ear = Ear()
    watch = await one.hub.subscribe(place, ear.hear, 3)
    assert await ear.until(2) == [4, 5]
    await watch.close()


async def test_a_log_that_is_trimmed_under_a_slow_watch_is_told(
    one: Process, raw: asyncpg.Connection
) -> None:
    slow, quick, place = Ear(), Ear(), await one.show()
    slow.open.clear()
    watch = await one.hub.subscribe(place, slow.hear, on_trimmed=slow.trimmed)
    beside = await one.hub.subscribe(place, quick.hear, on_trimmed=quick.trimmed)
    for n in range(2 * PAGE + 100):
        await logged(raw, place)
        if n % 50 == 0:
            await quick.until(n + 1)
    last = 2 * PAGE + 101
    assert await quick.until(last - 1) == [*range(2, last + 1)]
    await raw.execute(TRIM, place, last - 2)
    slow.open.set()
    await slow.when(lambda: bool(slow.lost))
    assert slow.seqs == [*range(2, len(slow.heard) + 2)]
    assert slow.lost[0].members["latest"] == last
    await logged(raw, place)
    await slow.when(lambda: slow.seqs[-1] == last + 1)
    assert len(slow.lost) == 1
    assert quick.lost == []
    await watch.close()
    await beside.close()


async def test_a_number_that_was_counted_by_hand_is_told_as_lost(
    one: Process, raw: asyncpg.Connection
) -> None:
    """Nobody can say what changed then, so whoever watches must load again."""
    ear, place = Ear(), await one.show()
    watch = await one.hub.subscribe(place, ear.hear, on_trimmed=ear.trimmed)
    await logged(raw, place)
    await ear.until(1)
    await raw.execute(COUNT, place)
    await ear.when(lambda: bool(ear.lost))
    assert ear.lost[0].members["latest"] == watch.seq == 3
    await logged(raw, place)
    assert await ear.until(2) == [2, 4]
    await watch.close()


async def test_what_cannot_be_read_at_once_is_read_in_pieces(
    one: Process, raw: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large rows make a page that takes too long, or that PostgreSQL cannot build."""
    whole, ear, place = entries.read_page, Ear(), await one.show()

    async def small(database: Database, production: UUID, since: int, limit: int) -> Page | None:
        if limit > 50:
            raise Busy("too much at once")
        return await whole(database, production, since, limit)

    for _ in range(120):
        await logged(raw, place, told=False)
    monkeypatch.setattr(hub, "read_page", small)
    watch = await one.hub.subscribe(place, ear.hear, 1)
    assert await ear.until(120) == [*range(2, 122)]
    await watch.close()


async def test_what_cannot_be_parsed_is_told_as_lost(one: Process, raw: asyncpg.Connection) -> None:
    """Else it would be read again and again, and nothing after it ever told."""
    ear, place = Ear(), await one.show()
    watch = await one.hub.subscribe(place, ear.hear, on_trimmed=ear.trimmed)
    deep = "UPDATE changes SET entity = $2::text::jsonb WHERE production_uuid = $1 AND seq = 2"
    async with raw.transaction():
        await logged(raw, place, told=False)
        await raw.execute(deep, place, "[" * 300 + "]" * 300)
    await raw.execute("SELECT pg_notify('signalbook_changes', $1)", f"{place} 2 ccus")
    await ear.when(lambda: bool(ear.lost))
    assert ear.lost[0].members["latest"] == watch.seq == 2
    await logged(raw, place)
    assert await ear.until(1) == [3]
    await watch.close()


async def test_what_is_nested_as_deeply_as_is_taken_is_told(one: Process) -> None:
    ear, place = Ear(), await one.show()
    watch = await one.hub.subscribe(place, ear.hear, on_trimmed=ear.trimmed)
    deep = json.loads("[" * DEEPEST + "]" * DEEPEST)
    made = await one.create("connections", place, destination_type="x", signal_path=deep)
    await one.update("connections", made["uuid"], signal_path=deep[0])
    assert await ear.until(2) == [2, 3]
    assert ear.heard[0].body == made
    assert not ear.lost
    await watch.close()
    with pytest.raises(ValidationError, match=f"nested {DEEPEST} deep"):
        await one.create("connections", place, destination_type="x", signal_path=[deep])


async def test_a_database_from_a_backup_is_told_as_lost(
    one: Process, raw: asyncpg.Connection
) -> None:
    ear, place = Ear(), await one.show()
    watch = await one.hub.subscribe(place, ear.hear, on_trimmed=ear.trimmed)
    await logged(raw, place)
    await ear.until(1)
    await raw.execute("DELETE FROM changes WHERE production_uuid = $1 AND seq = 2", place)
    await raw.execute("UPDATE productions SET change_seq = 1 WHERE uuid = $1", place)
    await ear.when(lambda: bool(ear.lost))
    assert watch.seq == 1
    await logged(raw, place)
    assert await ear.until(2) == [2, 2]
    await watch.close()


# What never was


async def test_what_was_refused_or_rolled_back_is_not_told(
    one: Process, raw: asyncpg.Connection
) -> None:
    ear, shows, place = Ear(), Ear(), await one.show()
    watches = [
        await one.hub.subscribe(place, ear.hear),
        await one.hub.subscribe_to_productions(shows.hear),
    ]
    ccu = await one.create("ccus", place, name="C")
    assert await ear.until(1) == [2]
    with pytest.raises(DuplicateUuid):
        await _copy(one, place, ccu["uuid"])
    undone = raw.transaction()
    await undone.start()
    await logged(raw, place)
    await logged(raw, place, collection="productions")
    await undone.rollback()
    await one.update("ccus", ccu["uuid"], name="C")  # differs in nothing
    await one.update("ccus", ccu["uuid"], name="D")
    await one.update("productions", str(place), client="x", version=1)
    assert await ear.until(3) == [2, 3, 4]
    assert await shows.until(1) == [4]
    for watch in watches:
        await watch.close()


async def test_what_is_older_than_the_margin_is_not_told_again(own_database: str) -> None:
    """Each scan begins a margin earlier, and what leaves it between two scans was delivered."""
    shows = Ear()
    async with process(own_database, every=0.05, margin=0.3) as one:
        watch = await one.hub.subscribe_to_productions(shows.hear)
        first = await one.show()
        await shows.until(1)
        async with asyncio.timeout(60):
            while (first, 1) in one.hub._productions._recent:  # noqa: ASYNC110, SLF001  # no event
                await asyncio.sleep(0.01)
        last = await one.show()
        await shows.until(2)
        assert [entry.production for entry in shows.heard] == [first, last]
        await watch.close()


async def _copy(one: Process, place: UUID, uuid: str) -> None:
    """Make a row with a uuid that is taken."""
    await one.create("ccus", place, uuid=UUID(uuid), name="Copy")


# Rows that read differently


Made = dict[str, Any]


async def _camera(one: Process, place: UUID) -> tuple[str, Made, Made]:
    ccu = await one.create("ccus", place, name="C")
    return "ccus", ccu, await one.create("cameras", place, name="A", ccu_uuid=ccu["uuid"])


async def _sourced(one: Process, place: UUID) -> tuple[str, Made, Made]:
    source = await one.create("sources", place, name="S", type="LAPTOP")
    path = {"source_uuid": source["uuid"], "destination_type": "PATCHBAY"}
    return "sources", source, await one.create("connections", place, **path)


def _ending(collection: str, kind: str, **values: Any) -> Any:
    async def made(one: Process, place: UUID) -> tuple[str, Made, Made]:
        device = await one.create(collection, place, **values)
        path = {"destination_type": kind, "destination_uuid": device["uuid"]}
        return collection, device, await one.create("connections", place, **path)

    return made


POINTING = {
    "cameras.ccu": (_camera, "ccuId"),
    "connections.source": (_sourced, "sourceId"),
    "connections.send": (_ending("sends", "SEND", name="S", type="WALL"), "destinationId"),
    "connections.ccu": (_ending("ccus", "CCU", name="S"), "destinationId"),
}
pointing = pytest.mark.parametrize("which", POINTING)


@pointing
async def test_a_rename_tells_the_rows_that_show_the_label(one: Process, which: str) -> None:
    make, member = POINTING[which]
    place, ear = await one.show(), Ear()
    collection, target, row = await make(one, place)
    await make(one, place)  # others, which must not be told
    watch = await one.hub.subscribe(place, ear.hear)
    await one.update(collection, target["uuid"], name="Renamed in name only")
    await one.update(collection, target["uuid"], id="NEW LABEL")
    await ear.until(2)
    assert ear.heard[0].derived == ()
    [derived] = ear.heard[1].derived
    assert (derived.uuid, derived.body[member]) == (row["uuid"], "NEW LABEL")
    kind = row.get("destinationType")
    assert derived.collection == ("connections" if kind else "cameras")
    assert derived.entity_type == ("connection" if kind else "camera")
    assert derived.body == {**row, member: "NEW LABEL"}
    await watch.close()


@pointing
async def test_a_delete_leaves_no_row_that_reads_differently_untold(
    one: Process, which: str
) -> None:
    """A deleted device keeps its label where it stays named; what is cleared is logged itself."""
    make, member = POINTING[which]
    place, ear = await one.show(), Ear()
    collection, target, row = await make(one, place)
    watch = await one.hub.subscribe(place, ear.hear)
    await one.delete(collection, target["uuid"])
    cleared = which == "cameras.ccu"
    await ear.until(2 if cleared else 1)
    told = {entry.entity: entry.body for entry in ear.heard}
    now = await _today(one, row)
    assert told.get(row["uuid"], row) == now
    assert (now[member] is None) == cleared
    await watch.close()


async def _today(one: Process, row: Made) -> Made:
    name = "connections" if "destinationType" in row else "cameras"
    body = await one.database.read(statements(discovered()[name]).one, row["uuid"])
    assert body is not None
    made: Made = json.loads(body)
    return made


async def test_a_row_restored_under_another_label_tells_who_names_it(
    one: Process, raw: asyncpg.Connection
) -> None:
    place, ear = await one.show(), Ear()
    _, source, row = await _sourced(one, place)
    await one.delete("sources", source["uuid"])
    watch = await one.hub.subscribe(place, ear.hear)
    async with raw.transaction():  # as the service writes: a number is never seen without its entry
        number = await raw.fetchval(f"{COUNT} RETURNING change_seq", place)
        await raw.execute("UPDATE sources SET id = 'BACK', is_deleted = false WHERE uuid = $1",
                          source["uuid"])  # fmt: skip
        await raw.execute(
            "INSERT INTO changes (production_uuid, seq, collection, entity_uuid, operation, "
            "version, changes, user_id, user_name, at) VALUES ($1, $2, 'sources', $3, 'CREATE', 3, "
            """'{"isDeleted": [true, false], "id": ["SRC 1", "BACK"]}', 'u', 'U', now())""",
            place, number, source["uuid"],
        )  # fmt: skip
    await ear.until(1)
    [derived] = ear.heard[0].derived
    assert (derived.uuid, derived.body["sourceId"]) == (row["uuid"], "BACK")
    await watch.close()


async def test_a_device_made_with_a_uuid_that_an_older_row_names_is_told(
    one: Process, raw: asyncpg.Connection
) -> None:
    place, ear, uuid = await one.show(), Ear(), uuid4()
    path = {"destination_type": "PATCHBAY", "destination_id": "as it was"}
    row = await one.create("connections", place, **path)
    await raw.execute("UPDATE connections SET destination_uuid = $1 WHERE uuid = $2",
                      uuid, row["uuid"])  # fmt: skip
    watch = await one.hub.subscribe(place, ear.hear)
    await _copy(one, place, str(uuid))
    await ear.until(1)
    [derived] = ear.heard[0].derived
    assert derived.body["destinationId"] == ear.heard[0].raw["entityData"]["id"]
    await watch.close()


async def test_a_production_that_is_renamed_tells_all_its_rows(one: Process) -> None:
    place, ear = await one.show(), Ear()
    rows = [row for made, _ in POINTING.values() for row in (await made(one, place))[1:]]
    watch = await one.hub.subscribe(place, ear.hear)
    label = f"SHOW OF {place}"[:40]
    await one.update("productions", str(place), id=label, version=1)
    await ear.until(1)
    told = {row.uuid: row.body["productionId"] for row in ear.heard[0].derived}
    assert told == {row["uuid"]: label for row in rows}
    await watch.close()


# The productions themselves


async def _renamed(one: Process, show: UUID, version: int) -> None:
    await one.update("productions", str(show), client=f"v{version}", version=version)


async def test_a_list_of_shows_hears_of_every_show_and_of_nothing_else(
    shared_database: str,
) -> None:
    ears = [Ear(), Ear()]
    async with processes(shared_database, 2) as made:
        watches = [
            await p.hub.subscribe_to_productions(e.hear) for p, e in zip(made, ears, strict=True)
        ]
        shows = [await made[0].show(), await made[1].show()]
        await made[0].create("ccus", shows[0], name="not told")
        await _renamed(made[1], shows[0], 1)
        await made[0].delete("productions", str(shows[1]))
        for ear in ears:
            await ear.when(partial(_enough, ear, shows, 4))
            assert sorted(_of(ear, shows)) == sorted(
                [(shows[0], 1, "CREATE"), (shows[1], 1, "CREATE"), (shows[0], 3, "UPDATE"),
                 (shows[1], 2, "DELETE")]
            )  # fmt: skip
            assert {entry.collection for entry in ear.heard} == {"productions"}
        for process_, watch in zip(made, watches, strict=True):
            await watch.close()
            assert process_.hub.idle


def _enough(ear: Ear, shows: list[UUID], count: int) -> bool:
    return len(_of(ear, shows)) >= count


def _of(ear: Ear, shows: list[UUID]) -> list[tuple[UUID, int, str]]:
    return [(e.production, e.seq, e.operation) for e in ear.heard if e.production in shows]


async def test_a_list_of_shows_catches_up_when_the_listener_is_back(own_database: str) -> None:
    async with process(own_database, every=60) as one, connected(own_database) as raw:
        shows = [await one.show() for _ in range(3)]
        ear = Ear()
        watch = await one.hub.subscribe_to_productions(ear.hear)
        killing, count = asyncio.create_task(_killed(own_database, [one])), 0
        while not killing.done():
            for show in shows:
                await logged(raw, show, collection="productions")
            count += 1
        await killing
        await ear.until(count * len(shows))
        for show in shows:
            assert [s for _, s, _ in _of(ear, [show])] == [*range(2, count + 2)]
        await watch.close()


async def test_a_show_written_long_before_its_commit_is_told_once(own_database: str) -> None:
    """Its time is that of its statement; the announcement may be lost as well."""
    async with process(own_database, every=0.1) as one, connected(own_database) as late:
        first, second = await one.show(), await one.show()
        ear = Ear()
        watch = await one.hub.subscribe_to_productions(ear.hear)
        open_ = late.transaction()
        await open_.start()
        await logged(late, first, collection="productions", told=False)
        for version in range(1, 6):
            await _renamed(one, second, version)
        await ear.until(5)
        await asyncio.sleep(0.3)  # several looks, after which the time of the first is long past
        await open_.commit()
        await ear.until(6)
        await asyncio.sleep(0.3)
        assert ear.seqs == [2, 3, 4, 5, 6, 2]
        await watch.close()


async def test_many_shows_at_once_are_told_in_pages(one: Process, raw: asyncpg.Connection) -> None:
    ear, show = Ear(), await one.show()
    watch = await one.hub.subscribe_to_productions(ear.hear)
    count = 2 * PAGE + 150
    async with raw.transaction():
        for _ in range(count):
            await logged(raw, show, collection="productions")
    await ear.when(lambda: len(_of(ear, [show])) >= count)
    assert [seq for _, seq, _ in _of(ear, [show])] == [*range(2, count + 2)]
    assert ear.largest <= PAGE
    await watch.close()


async def test_who_begins_to_watch_shows_again_hears_only_what_is_new(one: Process) -> None:
    show = await one.show()
    for version in (1, 2):
        ear = Ear()
        watch = await one.hub.subscribe_to_productions(ear.hear)
        await _renamed(one, show, version)
        await ear.when(partial(_enough, ear, [show], 1))
        assert _of(ear, [show]) == [(show, version + 1, "UPDATE")]
        await watch.close()
        assert one.hub.idle


async def test_the_end_of_a_process_closes_what_is_open(shared_database: str) -> None:
    async with process(shared_database) as one:
        place = await one.show()
        for since in (None, 0):
            await one.hub.subscribe(place, Ear().hear, since)
        await one.hub.subscribe_to_productions(Ear().hear)
        assert one.hub.subscribers == 3
    assert one.hub.idle
    assert one.hub.subscribers == 0
    left = [t for t in asyncio.all_tasks() if "app/live" in str(t.get_coro())]
    assert left == []
    assert await databases.column(shared_database, "SELECT 1") == [1]


# Pages that overlap with where a watch stands


def _page(since: int, through: int) -> Page:
    raw = {"productionUuid": str(uuid4()), "productionId": "SHOW 1", "entityData": None}
    words = ("collection", "operation", "entityType", "entityId", "userId", "userName", "timestamp")
    rest = {**dict.fromkeys(words, "x"), "version": 1, "changes": {}}
    made = [FeedEntry.read({**raw, **rest, "seq": seq}) for seq in range(since + 1, through + 1)]
    return Page(since, through, through, made)


async def test_what_a_watch_has_already_is_not_told_again() -> None:
    """A watch may begin ahead of its pump, and be offered what it is just reading by itself."""
    ear, reading, read = Ear(), asyncio.Event(), asyncio.Event()

    async def slowly(_: UUID, since: int) -> Page:
        reading.set()
        await read.wait()
        return _page(since, 12)

    watch = CursorSubscription(uuid4(), ear.hear, None, slowly, lambda _: None)
    watch.start(8, 8)
    watch.offer(_page(5, 10))
    assert await ear.until(2) == [9, 10]
    watch.offer(_page(11, 12))  # after a gap: it must read by itself
    await asyncio.wait_for(reading.wait(), 60)
    watch.offer(_page(10, 11))
    read.set()
    await ear.when(lambda: ear.seqs[-1] == 12)
    watch.offer(_page(7, 13))
    assert await ear.until(5) == [9, 10, 11, 12, 13]
    await watch.close()
