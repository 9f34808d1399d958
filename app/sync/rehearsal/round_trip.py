"""A sync round trip on a migrated copy: offline work, a conflict, the feed; then a rollback.

It runs the service's own code in one transaction that is rolled back, so that nothing stays on the
copy and no client is notified. Most of it happens in a new production, so that the content of an
existing row is not blamed on the release.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final, cast
from uuid import UUID

import asyncpg
from pydantic_core import from_json

from app.database.database import DatabaseConnection, json_as_bytes
from app.database.url import DatabaseUrl
from app.entities import discovered, root
from app.model.entity import Row
from app.sync.mutations import MutationOutcome, MutationStep
from app.sync.rehearsal import expectations
from app.sync.rehearsal.client import Client, Fates
from app.sync.rehearsal.expectations import StepFailed, TripReport
from app.sync.rehearsal.offline_work import Mutation, another, changing, deleting, show, texts

# Productions whose number is not that of the last entry in their log.
_MISNUMBERED: Final = """SELECT uuid, id, change_seq, last FROM productions,
  LATERAL (SELECT max(seq) AS last FROM changes WHERE production_uuid = productions.uuid) AS log
  WHERE last <> change_seq"""
# A live row whose version can still be raised, in a production that was sound before.
_SOME_ROW: Final = """SELECT t.uuid, p.uuid AS production, p.change_seq AS seq
  FROM {table} AS t JOIN productions AS p ON p.uuid = t.{owner}
  WHERE NOT t.is_deleted AND NOT p.is_deleted AND t.version BETWEEN 1 AND 2147483646
  AND p.uuid <> ALL ($1::uuid[]) LIMIT 1"""
# As the service connects; and what hangs is a finding.
_SETTINGS: Final = (
    "SET LOCAL plan_cache_mode = force_generic_plan", "SET LOCAL statement_timeout = '30s'",
)  # fmt: skip
_ABSENT: Final = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError)
_OFFLINE, _MINE, _THEIRS = "offline", "mine", "theirs"

_Check = Callable[[MutationStep, MutationOutcome], Iterator[str]]
_Rows = list[tuple[type[Row], expectations.Values]]


class RoundTrip(TripReport):
    """One round trip: its findings, and how long it took."""

    def __init__(self) -> None:
        super().__init__()
        self._seconds = 0.0
        self._wrong_before: list[UUID] = []
        self._connection: DatabaseConnection

    def as_json(self) -> dict[str, Any]:
        """Return how long it took, and each step of it, as JSON values."""
        return {"seconds": self._seconds, "steps": self.steps}

    async def look_before(self, url: str) -> None:
        """Remember which productions have a wrong number of changes before the release."""
        async with _connected(url) as connection:
            with suppress(*_ABSENT):
                self._wrong_before = [row["uuid"] for row in await connection.fetch(_MISNUMBERED)]

    async def run(self, url: str) -> None:
        """Make the round trip on the copy at ``url``; what goes wrong there is a finding."""
        began = time.monotonic()
        async with _connected(url) as connection:
            await json_as_bytes(connection)
            self._connection = cast("DatabaseConnection", connection)
            transaction = connection.transaction()
            await transaction.start()
            try:
                with connection.query_logger(self.log_query):
                    await self._all()
            finally:
                await transaction.rollback()
        self._seconds = round(time.monotonic() - began, 3)

    async def _all(self) -> None:
        for setting in _SETTINGS:
            await self._connection.execute(setting)
        for part in (self._numbers, self._new_show, self._existing_rows, self._constraints):
            with suppress(StepFailed):
                await part()

    async def _numbers(self) -> None:
        """Check that the number of each production is that of the last entry in its log."""
        name = "the numbers of productions"
        async with self.step(self._connection, name):
            rows = await self._connection.fetch(_MISNUMBERED)
            wrong = [row for row in rows if row["uuid"] not in self._wrong_before]
            for row in wrong[:1]:
                words = (
                    f"{row['id']!r} has counted {row['change_seq']} changes, and its log ends with "
                    f"number {row['last']}; {len(wrong)} in all"
                )
                self.add(name, [words])

    async def _new_show(self) -> None:
        """Do all that clients do, in a new production."""
        connection = self._connection
        async with self.step(connection, "making a production"):
            client = await Client.with_a_production(connection)
        batch = _work(client.production)
        async with self.step(connection, "pushing offline work"):
            await self._push(client, batch)
        async with self.step(connection, "pushing it again"):
            self._check("pushing it again", await client.push(batch), _not_duplicate)
            self.add("the feed in the answer", [client.check_answer()])
        async with self.step(connection, "a change by somebody else"):
            rows = await _interfere(client, batch)
        async with self.step(connection, "pushing stale edits"):
            await self._push_stale(client, rows)
        async with self.step(connection, "reading the feed"):
            self.add("the feed", [await client.check_feed()])

    async def _push(self, client: Client, batch: list[Mutation]) -> None:
        """Push a batch; check its answer, its stored run, and its replay under the same key."""
        fates, replayed = await client.push_with_key(batch)
        self._check("pushing offline work", fates, _not_done)
        self.add("the feed in the answer", [client.check_answer()])
        self.add("the run that is kept", [await client.check_run()])
        self.add("the same request with its Idempotency-Key", [replayed])

    async def _push_stale(self, client: Client, rows: _Rows) -> None:
        """Push two stale edits of each row: of the field that others changed, and of another."""
        batch = [
            changing(entity, UUID(row["uuid"]), row["version"], {name: _MINE})
            for entity, row in rows
            for name in texts(entity)[:2]
        ]
        versions = {row["uuid"]: row["version"] for _, row in rows}
        fates = await client.push(batch)
        self._check("pushing stale edits", fates, partial(_not_merged, versions))

    async def _existing_rows(self) -> None:
        """Change a row of every type that has any."""
        for entity in discovered().values():
            with suppress(StepFailed):
                name = f"an existing row of {entity.collection}"
                async with self.step(self._connection, name):
                    await self._change_one(entity, name)

    async def _change_one(self, entity: type[Row], name: str) -> None:
        owner = "uuid" if entity is root() else "production_uuid"
        sql = _SOME_ROW.format(table=entity.__tablename__, owner=owner)
        row = await self._connection.fetchrow(sql, self._wrong_before)
        for text in texts(entity)[:1] if row else []:
            client = Client(self._connection, row["production"], row["seq"])
            before = await client.read(entity, row["uuid"])
            members = {text: f"rehearsed {row['uuid']}"}
            change = changing(entity, row["uuid"], before["version"], members)
            ((step, outcome),) = await client.push([change])
            version = before["version"] + 1
            self.add(name, expectations.check_write(step, outcome, "applied", version))
            after = await client.read(entity, row["uuid"])
            self.add(name, expectations.check_others(entity, before, after, text))
            self.add(f"the feed after a change of {name}", [await client.check_feed()])

    async def _constraints(self) -> None:
        """Check deferred constraints now, as a commit would."""
        async with self.step(self._connection, "the commit"):
            await self._connection.execute("SET CONSTRAINTS ALL IMMEDIATE")

    def _check(self, what: str, fates: Fates, check: _Check) -> None:
        for step, outcome in fates:
            self.add(f"{what}, on {step.entity.collection}", check(step, outcome))


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(**DatabaseUrl.parse(url).connect_args())
    try:
        yield connection
    finally:
        await connection.close()


def _work(production: UUID) -> list[Mutation]:
    """Return a batch that creates rows, changes them and the production, and deletes one."""
    creations = show()
    extra = another(creations[0])
    changed = [
        changing(entity, uuid, 1, {texts(entity)[0]: _OFFLINE})
        for entity, uuid in _remaining(production, creations)
    ]
    return [*creations, extra, *changed, deleting(extra, 1)]


def _remaining(production: UUID, batch: list[Mutation]) -> Iterator[tuple[type[Row], UUID]]:
    """Yield the production and the rows that remain of a batch, if they have a text to change."""
    deleted = {one["uuid"] for one in batch if one["op"] == "delete"}
    creations = [one for one in batch if one["op"] == "create" and one["uuid"] not in deleted]
    rows = [(discovered()[one["collection"]], UUID(one["uuid"])) for one in creations]
    for entity, uuid in [(root(), production), *rows]:
        if texts(entity):
            yield entity, uuid


async def _interfere(client: Client, batch: list[Mutation]) -> _Rows:
    """Let others change every row of the batch; return the rows as the client knows them."""
    rows: _Rows = []
    for entity, uuid in _remaining(client.production, batch):
        row = await client.read(entity, uuid)
        await client.interfere(entity, row, {texts(entity)[0]: _THEIRS})
        rows.append((entity, row))
    return rows


def _not_done(step: MutationStep, outcome: MutationOutcome) -> Iterator[str]:
    yield from expectations.check_write(step, outcome, "applied", 1 if step.op == "create" else 2)


def _not_duplicate(step: MutationStep, outcome: MutationOutcome) -> Iterator[str]:
    if outcome.status != "duplicate":
        yield f"the {step.op} is {outcome.status} and should be duplicate"


def _not_merged(
    versions: Mapping[str, int], step: MutationStep, outcome: MutationOutcome
) -> Iterator[str]:
    contested = texts(step.entity)[0]
    if contested in step.edit.values:
        yield from expectations.check_conflict(step, outcome, contested, [_OFFLINE, _THEIRS, _MINE])
        return
    yield from expectations.check_write(step, outcome, "merged", versions[step.key] + 2)
    if outcome.entity is not None:
        merged = from_json(outcome.entity)
        for words in expectations.check_values(step.entity, {contested: _THEIRS}, merged):
            yield f"after a merge, {words}"
