"""The SQL of pending revisions: as a plan for one database, or as far as the code alone tells.

Alembic's offline mode runs the revisions, and ``StatementCollector`` writes down what they do. For
a plan the steps' questions are answered from the live catalogue, read-only. Alembic's proxies are
global: nothing here may run beside a migration of the same process.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, cast

import asyncpg
from alembic.util.exc import CommandError
from sqlalchemy import Connection

from app.releases.migrations.alembic_runner import configuration, run_on, run_upgrade
from app.releases.migrations.bookkeeping import is_printed_by_alembic
from app.releases.migrations.migration_session import CURSORS, LOCK_TIMEOUT, set_up_sql
from app.releases.migrations.observer import BUSY
from app.releases.migrations.revisions import names
from app.releases.migrations.steps import Steps
from app.releases.output import discard_line
from app.releases.plan.plan import Statement, Way
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

Ask = Callable[..., Sequence[Sequence[Any]]]


class StatementCollector(Steps):
    """Takes the place of both ways from a migration to a database: its steps, and Alembic's output.

    ``ask`` answers questions to the catalogue; without it nothing is known of the database. The
    effects of the ``statements`` are still to be described.
    """

    def __init__(self, ask: Ask | None = None) -> None:
        self._ask = ask
        self._step = 0
        self._direct_step: int | None = None
        self._open: list[tuple[int, Way, str]] = []
        self.statements: list[Statement] = []
        self.revisions: list[str] = []

    def brief(
        self, *statements: str, lock_timeout: str = LOCK_TIMEOUT,  # noqa: ARG002  # of Steps
    ) -> None:  # fmt: skip
        self._note("brief", statements)

    def patient(self, statement: str, *, undo: str = "") -> None:  # noqa: ARG002  # of Steps
        self._note("patient", [statement])

    def batch(self, backfill: str, *_batch: object) -> None:
        self._note("backfill", [backfill])

    def rows(self, query: str, *values: object) -> Sequence[Sequence[Any]]:
        return self._ask(query, *values) if self._ask else []

    def write(self, printed: str) -> None:
        """Collect one statement that Alembic prints, unless it is Alembic's own."""
        statement = normalise(printed)
        if statement in {"", normalise(set_up_sql())} or is_printed_by_alembic(statement):
            return
        if self._direct_step is None:
            self._step += 1
            self._direct_step = self._step
        sql = printed.rstrip().removesuffix(";")
        self._open.append((self._direct_step, "direct", sql))

    def flush(self) -> None:
        """Do nothing; Alembic calls it."""

    def applied(self, *, step: Any, **_: Any) -> None:
        """Assign all statements since the last call to this revision; Alembic calls it."""
        revision = str(step.up_revision_id)
        self.statements += [
            Statement(revision=revision, step=number, way=way, sql=sql)
            for number, way, sql in self._open
        ]
        self.revisions.append(revision)
        self._open, self._direct_step = [], None

    def _note(self, way: Way, statements: Sequence[str]) -> None:
        self._step += 1
        self._open += [(self._step, way, statement) for statement in statements]


async def plan_statements(
    url: str, revisions: Sequence[str], before: str | None
) -> tuple[Statement, ...]:
    """Return what these revisions would do to the database at ``url``, which is at ``before``.

    Nothing is written there. Raises MigrationContended when its catalogue is locked for too long,
    and MigrationError: away, refused, or the revisions do not follow ``before``.
    """
    try:
        return await run_on(url, partial(_read, revisions, before))
    except (*BUSY, asyncpg.QueryCanceledError) as busy:
        raise MigrationContended(
            f"The plan could not be made, because others hold the database's catalogue: {busy}. "
            "Nothing was changed; try again when they are done."
        ) from busy
    except asyncpg.PostgresError as failed:
        raise MigrationError(f"PostgreSQL refused a question of the plan: {failed}") from failed


def statements_from_code(revisions: Sequence[str]) -> tuple[Statement, ...]:
    """Return what these revisions do to a database of which nothing is known but its history.

    Tables that earlier revisions create are the existing ones.
    """
    upto = names()[: names().index(revisions[-1]) + 1]
    existing: set[str] = set()
    described: list[Statement] = []
    for _, own in groupby(_collected(upto, None), attrgetter("revision")):
        statements = [_described(each, existing) for each in own]
        existing |= {table["relname"] for table in _created(statements)}
        described += statements
    return tuple(statement for statement in described if statement.revision in revisions)


def offline_hash(revisions: Sequence[str]) -> str:
    """Return the SHA-256 of what the code alone says they do: on every machine the same."""
    first = names().index(revisions[0])
    collected = _collected(revisions, names()[first - 1] if first else None)
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
            table: Node | None = None
            if node.kind == "CreateStmt":
                table = node["relation"]
            elif node.kind == "CreateTableAsStmt" and node["objtype"] == "OBJECT_TABLE":
                table = node["into"]["rel"]
            if table is not None and table["relpersistence"] != "t":
                yield table


def _read(
    revisions: Sequence[str], before: str | None, connection: Connection
) -> tuple[Statement, ...]:
    run = cast("Any", connection.connection.dbapi_connection).run_async

    def ask(query: str, *values: object) -> Sequence[Sequence[Any]]:
        rows: Sequence[Sequence[Any]] = run(lambda c: c.fetch(query, *values))
        return rows

    run(lambda c: c.execute(_READ_ONLY))
    try:
        existing = {row[0] for row in ask(_TABLES)}
        indexes = {row[0]: row[1] for row in ask(_INDEXES)}
        collected = _collected(revisions, before, ask)
    finally:
        run(lambda c: c.execute("ROLLBACK"))
    return tuple(_described(one, existing, indexes) for one in collected)


def _collected(
    revisions: Sequence[str], before: str | None, ask: Ask | None = None
) -> list[Statement]:
    """Run the revisions in Alembic's offline mode, and return what they would do."""
    collector = StatementCollector(ask)
    config = configuration(discard_line)
    config.attributes["steps"] = config.output_buffer = cast("Any", collector)
    try:
        run_upgrade(config, revisions[-1], as_sql=True, starting_rev=before)
    except CommandError as refused:
        raise MigrationError(f"{refused}.") from refused
    if collector.revisions != [*revisions]:
        raise MigrationError(
            f"After {before or 'nothing'} come {', '.join(collector.revisions)}, and not "
            f"{', '.join(revisions)}: plan again."
        )
    return collector.statements


def _described(
    statement: Statement, existing: Collection[str], indexes: Mapping[str, str] | None = None
) -> Statement:
    return replace(statement, **describe(statement.sql, existing, indexes)._asdict())
