"""The SQL of pending revisions: as a plan for one database, or as far as the code alone tells.

Alembic's offline mode runs the revisions, and ``StatementCollector`` notes what they would do. For
a plan the steps' questions are answered from the live catalogue, read-only. Alembic's proxies are
global: nothing here may run beside a migration of the same process.
"""

import json
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from hashlib import sha256
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, cast

import asyncpg
from alembic.util.exc import CommandError
from sqlalchemy import Connection

from app.releases.migrations.alembic_runner import configuration, make_engine, run_upgrade
from app.releases.migrations.backfill_cursors import CURSORS
from app.releases.migrations.revisions import history
from app.releases.output import discard_line
from app.releases.plan.collector import Ask, CollectedStatement, StatementCollector, nothing_known
from app.releases.plan.plan import Statement
from app.releases.sql.effects import describe, qualified
from app.releases.sql.parser import Node, parse_or_unread, quoted
from app.releases.sql.text import normalise
from app.releases.verdict import MigrationContended, MigrationError

# One moment of the catalogue; and whoever holds it locked is waited for no longer than this.
_READ_ONLY: Final = """BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '10s'"""
_TABLES: Final = """SELECT relname::text FROM pg_class
  WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'm')"""
_INDEXES: Final = """SELECT i.relname::text, t.relname::text FROM pg_index
  JOIN pg_class i ON i.oid = indexrelid JOIN pg_class t ON t.oid = indrelid
  WHERE t.relnamespace = 'public'::regnamespace"""

_BUSY: Final = (
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.DeadlockDetectedError,
)


async def plan_statements(
    url: str, revisions: Sequence[str], before: str | None
) -> tuple[Statement, ...]:
    """Return what these revisions would do to the database at ``url``, which is at ``before``.

    Nothing is written there. Raises MigrationContended when its catalogue is locked for too long,
    and MigrationError: away, refused, or the revisions do not follow ``before``.
    """
    engine = make_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(partial(_read, revisions, before))
    except (OSError, TimeoutError) as away:
        raise MigrationError(f"The database does not answer ({type(away).__name__}).") from away
    except _BUSY as busy:
        raise MigrationContended(
            f"The plan could not be made, because others hold the database's catalogue: {busy}. "
            "Nothing was changed; try again when they are done."
        ) from busy
    except asyncpg.PostgresError as failed:
        raise MigrationError(f"PostgreSQL refused a question of the plan: {failed}") from failed
    finally:
        await engine.dispose()


def statements_from_code(revisions: Sequence[str]) -> tuple[Statement, ...]:
    """Return what these revisions do to a database of which nothing is known but its history.

    Tables that earlier revisions create are the existing ones.
    """
    upto = _names()[: _names().index(revisions[-1]) + 1]
    existing: set[str] = set()
    described: list[Statement] = []
    for _, own in groupby(_collected(upto, None, nothing_known), attrgetter("revision")):
        statements = [_described(each, existing) for each in own]
        existing |= {table["relname"] for table in _created(statements)}
        described += statements
    return tuple(statement for statement in described if statement.revision in revisions)


def offline_hash(revisions: Sequence[str]) -> str:
    """Return the SHA-256 of what the code alone says that these revisions do.

    It is the same on every machine and for every database, until the code changes.
    """
    first = _names().index(revisions[0])
    collected = _collected(revisions, _names()[first - 1] if first else None, nothing_known)
    content = [(n.revision, n.step, n.way, normalise(n.sql)) for n in collected]
    return sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


def allowed_texts(statements: Sequence[Statement]) -> frozenset[str]:
    """Return, normalised, all that may be run when these statements are to be run.

    Beside them: the table of the backfills' cursors, which is the gate's own, and dropping an
    index of the plan whose build was interrupted, so that it can be built anew.
    """
    texts = {normalise(statement.sql) for statement in statements}
    built = [
        index["idxname"]
        for statement in statements
        for index in parse_or_unread(statement.sql)
        if index.kind == "IndexStmt" and index["concurrent"]
    ]
    leftovers = {f"DROP INDEX CONCURRENTLY IF EXISTS {quoted(name)}" for name in built if name}
    return frozenset(texts | leftovers | {normalise(CURSORS)})


def new_tables(statements: Sequence[Statement]) -> tuple[str, ...]:
    """Return the tables that these statements create, ready to stand in a statement."""
    return tuple(dict.fromkeys(map(qualified, _created(statements))))


def _created(statements: Sequence[Statement]) -> Iterator[Node]:
    """Yield the relation of each table that outlives its session."""
    for statement in statements:
        for node in parse_or_unread(statement.sql):
            table = _target(node)
            if table is not None and table["relpersistence"] != "t":
                yield table


def _target(node: Node) -> Node | None:
    if node.kind == "CreateStmt":
        return cast("Node", node["relation"])
    is_table = node.kind == "CreateTableAsStmt" and node["objtype"] == "OBJECT_TABLE"
    return cast("Node", node["into"]["rel"]) if is_table else None


def _read(
    revisions: Sequence[str], before: str | None, connection: Connection
) -> tuple[Statement, ...]:
    adapted = cast("Any", connection.connection.dbapi_connection)

    def run(call: Callable[[asyncpg.Connection], Awaitable[Any]]) -> Any:
        return adapted.run_async(call)

    def ask(query: str, values: tuple[object, ...] = ()) -> Sequence[Sequence[Any]]:
        return cast("Sequence[Sequence[Any]]", run(lambda c: c.fetch(query, *values)))

    run(lambda c: c.execute(_READ_ONLY))
    try:
        existing = {row[0] for row in ask(_TABLES)}
        indexes = {row[0]: row[1] for row in ask(_INDEXES)}
        collected = _collected(revisions, before, ask)
    finally:
        run(lambda c: c.execute("ROLLBACK"))
    return tuple(_described(one, existing, indexes) for one in collected)


def _collected(
    revisions: Sequence[str], before: str | None, ask: Ask
) -> tuple[CollectedStatement, ...]:
    """Run the revisions in Alembic's offline mode, and return what they would do."""
    collector = StatementCollector(ask)
    config = configuration(discard_line)
    config.attributes["steps"] = config.output_buffer = cast("Any", collector)
    try:
        run_upgrade(revisions[-1], config, as_sql=True, starting_rev=before)
    except CommandError as refused:
        raise MigrationError(f"{refused}.") from refused
    if collector.revisions != [*revisions]:
        raise MigrationError(
            f"After {before or 'nothing'} come {', '.join(collector.revisions)}, and not "
            f"{', '.join(revisions)}: plan again."
        )
    return collector.statements


def _described(
    collected: CollectedStatement,
    existing: Collection[str],
    indexes: Mapping[str, str] | None = None,
) -> Statement:
    effect = describe(collected.sql, existing, indexes)
    return Statement(**collected._asdict(), **effect._asdict())


def _names() -> list[str]:
    return [revision.name for revision in history()]
