"""What a request costs does not grow with the database: no statement reads more than its answer.

Asserted of plans, and of the blocks that requests look into; never of times.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, Final

import asyncpg
import httpx
import pytest

from app import retention
from app.access import memberships, own_rows, tokens, watches
from app.access.audit import audit_entries
from app.access.refusals import throttle
from app.all_statements import required_statements
from app.changelog import events, feed, log
from app.entities import discovered
from app.live.sockets import broadcast, presence, rooms
from app.model.entity import Entity, Row
from app.sql.projection import table
from app.sql.reads import statements
from app.sql.registry import INSTALLATION, named_statements
from app.store import idempotency, write_context
from app.sync import records
from tests.legacy import connected
from tests.support.bodies import ALL, SCOPED, minimal, named
from tests.support.databases import Server
from tests.support.large import Size, grow, key
from tests.support.plans import blocks, generic, growing, indexes, plan_of, sorts
from tests.support.service import service

SMALL: Final = Size(shows=100)
LARGE: Final = Size(shows=1_000)

# Which statements may read a whole table, by name or by collection and name, and why.
GROWING: Final = {
    "productions: list": "a client drops every show that is missing from it, so it is complete",
    "productions: tag": "the tag of the complete list counts the changes of all shows",
    "productions: list_by_label": "never run: productions are not listed by a production",
    "everywhere": "run until the older service is retired, whose labels are unique everywhere",
    "changes: PRODUCTION": "in its last resort only: a deleted show's history, asked for by label",
    "changes: WITH_OLD_ENTRIES": "in the background, once an hour: whose log is to be trimmed",
    "changes: EVERY_TOKEN": "an operator lists the tokens, at the command line",
    "changes: PAGE_OF_ENTRIES": "an operator reads the audit: as many entries as they ask for",
    "changes: FORGET_ENTRIES": "in the background, once an hour: a batch of the audit's oldest",
    "changes: LIST": "an operator lists the memberships of anybody in any show",
    "whole list": "formats belong to no show: where there are few, they are read whole",
    "deleted": "its last resort: only productions run it, where no live one has the label",
}


@pytest.fixture(scope="module")
def small(postgres_server: Server, template: str) -> Iterator[str]:
    grown = postgres_server.template("small", lambda url: grow(url, SMALL), template)
    with postgres_server.lent(grown) as url:
        yield url


@pytest.fixture(scope="module")
def large(postgres_server: Server, template: str) -> Iterator[str]:
    grown = postgres_server.template("large", lambda url: grow(url, LARGE), template)
    with postgres_server.lent(grown) as url:
        yield url


@pytest.fixture
async def connection(large: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(large) as made:
        yield made


# Plans


def _named() -> dict[str, str]:
    """Return every statement of the code by its name: whose it is, and what it is called there."""
    found: dict[str, str] = {}
    for name, each in required_statements().items():
        entity = discovered().get(name)
        words = _of(entity) if entity else _CONSTANTS
        found |= {f"{name}: {words.get(sql, place)}": sql for place, sql in enumerate(each)}
    return found


def _of(entity: type[Row]) -> dict[str, str]:
    """Of several names of one statement the first is its own."""
    return {sql: word for word, sql in reversed(named_statements(entity).items())}


_CONSTANTS: Final = {
    value: word
    for module in (
        log,
        events,
        feed,
        idempotency,
        presence,
        broadcast,
        retention,
        rooms,
        records,
        write_context,
        tokens,
        memberships,
        own_rows,
        watches,
        audit_entries,
        throttle,
    )
    for word, value in vars(module).items()
    if isinstance(value, str)
}
STATEMENTS: Final = _named()


def _excused(name: str) -> bool:
    return name in GROWING or name.partition(": ")[2] in GROWING


# What belongs to no show does not grow with the shows.
@pytest.mark.parametrize("name", [n for n in STATEMENTS if not n.startswith(f"{INSTALLATION}: ")])
async def test_no_statement_reads_in_proportion_to_the_database(
    connection: asyncpg.Connection, name: str
) -> None:
    """An exception that has become needless is refused too."""
    found = growing(await generic(connection, STATEMENTS[name]))
    assert bool(found) == _excused(name), found


def test_no_statement_is_left_out_and_no_exception_is_left_over() -> None:
    assert set(STATEMENTS.values()) == {
        sql for each in required_statements().values() for sql in each
    }
    assert set(GROWING) <= {*STATEMENTS, *(name.partition(": ")[2] for name in STATEMENTS)}


@pytest.mark.parametrize("entity", SCOPED, ids=named)
@pytest.mark.parametrize("which", ["list", "list_by_label"])
async def test_a_list_comes_in_the_order_of_the_index_of_live_rows(
    connection: asyncpg.Connection, entity: type[Entity], which: str
) -> None:
    plan = await generic(connection, getattr(statements(entity), which))
    assert f"{table(entity)}_production_uuid_created_at_uuid_idx" in indexes(plan)
    # Rows that people order by hand are few, and sorted.
    assert entity.list_order or not [words for words in sorts(plan) if table(entity) in words]


@pytest.mark.parametrize(
    ("index", "name"),
    [
        ("cameras_production_uuid_created_at_uuid_idx", "cameras: list"),
        ("cameras_id_idx", "cameras: keys"),
        ("productions_id_idx", "cameras: list_by_label"),
    ],
)
async def test_a_missing_index_is_noticed(
    connection: asyncpg.Connection, index: str, name: str
) -> None:
    assert index in indexes(await generic(connection, STATEMENTS[name]))
    dropping = connection.transaction()
    await dropping.start()
    await connection.execute(f"DROP INDEX {index}")
    assert growing(await generic(connection, STATEMENTS[name]))
    await dropping.rollback()


async def test_the_feed_is_read_in_the_order_of_the_logs_own_key(
    connection: asyncpg.Connection,
) -> None:
    plan = await generic(connection, feed.FEED)
    assert indexes(plan) == {"changes_pkey", "productions_pkey"}
    assert not [words for words in sorts(plan) if words == "changes.seq"]


# Blocks


@pytest.fixture(scope="module")
def services(small: str, large: str) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    with service(small) as few, service(large) as many:
        yield few, many


def _requests(entity: type[Row]) -> dict[str, tuple[str, str, Any]]:
    """Return requests by name: method, path and body. Each type has a show of its own."""
    number = ALL.index(entity)
    path, show = f"/api/{entity.collection}", str(key("productions", number))
    row = str(key(table(entity), number * LARGE.rows)) if entity in SCOPED else show
    events = f"/api/productions/{show}/events"
    made = minimal(entity, productionId=show)
    own: dict[str, tuple[str, str, Any]] = {
        "one": ("GET", f"{path}/{row}", None),
        "label of many": ("GET", f"{path}/{entity.prefix} 1", None),
        "unknown label": ("GET", f"{path}/NOBODY", None),
        "events of one": ("GET", f"{events}/entity/{row}", None),
        "events of a label": ("GET", f"{events}/entity/{entity.prefix} 3", None),
        "events": ("GET", f"/api/productions/SHOW {number}/events", None),
        "events since": ("GET", f"{events}/since/0", None),
        "changes": ("GET", f"/api/productions/{show}/changes", None),
        "history": ("GET", f"{path}/{row}/history", None),
        "create with a label": ("POST", path, {**made, "id": "MINE"}),
        "edit": ("PUT", f"{path}/{row}", {"note": "new", "client": "new", "version": 1}),
    }
    if entity in SCOPED:
        own |= {
            "list": ("GET", f"{path}/production/{show}", None),
            "list by label": ("GET", f"{path}/production/SHOW {number}", None),
            "create": ("POST", path, made),  # a show's label comes after the highest of all
        }
    return own | {"delete": ("DELETE", f"{path}/{row}", None)}


@contextmanager
def counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Count the blocks that each statement looks into, by running it once more and undoing it."""
    found: list[int] = []
    # Presence is swept in the background, whatever is asked.
    known, run = (
        set(STATEMENTS.values()) - {presence.SWEEP},
        asyncpg.Connection.__dict__["_execute"],
    )

    async def counted(it: asyncpg.Connection, query: str, args: Any, *more: Any, **kw: Any) -> Any:
        if query in known:
            known.discard(query)  # while it is explained
            trial = it.transaction()
            await trial.start()
            try:
                words = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}"
                found.append(blocks(plan_of(await it.fetchval(words, *args))))
            finally:
                await trial.rollback()
                known.add(query)
        return await run(it, query, args, *more, **kw)

    with monkeypatch.context() as patch:
        patch.setattr(asyncpg.Connection, "_execute", counted)
        yield found


@pytest.mark.parametrize("entity", ALL, ids=named)
def test_a_request_looks_into_no_more_blocks_in_a_large_database_than_in_a_small_one(
    services: tuple[httpx.Client, httpx.Client],
    monkeypatch: pytest.MonkeyPatch,
    entity: type[Row],
) -> None:
    """Save for the levels that the indexes of more rows have; ten times the shows, not the work."""
    for name, (method, path, body) in _requests(entity).items():
        found = []
        for client in services:
            with counting(monkeypatch) as counted:
                found.append((client.request(method, path, json=body).status_code, sum(counted)))
        (answered, few), (same, many) = found
        assert answered == same, name
        assert 0 < many <= 2 * few + 10, (name, found)
