"""A client of the sync on a migrated copy: it pushes batches as a laptop does, and reads the feed.

It remembers each write as the feed must report it.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID, uuid4

from pydantic_core import from_json, to_json

from app.changelog.feed import FEED
from app.changelog.log import Actor
from app.database.database import DatabaseConnection
from app.entities import root
from app.model.entity import Row
from app.model.schemas import create_schema
from app.rules.merge import Start
from app.sql.writes import write_statements
from app.store import idempotency
from app.store.create import create
from app.store.edit import Edit, edit_from, validate
from app.store.update import update
from app.store.write_context import WriteContext
from app.sync import batch as sync
from app.sync.mutations import MutationOutcome, MutationStep, Sync, read_steps
from app.sync.records import RUN, BatchResult
from app.sync.rehearsal import expectations
from app.sync.rehearsal.expectations import ExpectedEntry
from app.sync.rehearsal.offline_work import Mutation, body

Fates = list[tuple[MutationStep, MutationOutcome]]
_ACTOR: Final = Actor(user_id="rehearsal", user_name="Rehearsal")
_OTHER: Final = Actor(user_id="somebody", user_name="Somebody else")
_PAGE: Final = 10  # entries: so that there are several pages


class Client:
    """A client that knows the changes of one production up to ``since``."""

    def __init__(self, connection: DatabaseConnection, production: UUID, since: int) -> None:
        self._connection, self.production, self._since = connection, production, since
        self._name = f"rehearsal {uuid4()}"
        self._writes: list[ExpectedEntry] = []
        self.answer: BatchResult
        """The answer to the last batch."""

    @classmethod
    async def with_a_production(cls, connection: DatabaseConnection) -> "Client":
        """Create a production, and return a client that knows it."""
        kind = root()
        edit, _ = edit_from(kind, create_schema(kind), body(kind), _ACTOR)
        production = from_json(await create(WriteContext(connection, locked=True), kind, edit))
        row = await connection.fetchrow(write_statements(kind).live, UUID(production["uuid"]))
        return cls(connection, row["production"], row["seq"])

    async def push(self, mutations: Sequence[Mutation]) -> Fates:
        """Push a batch; return the outcome of each mutation. Raise what the database raises."""
        members = {"mutations": mutations, "clientId": self._name, "since": self._since}
        batch = validate(Sync, members)
        todo = await read_steps(str(self.production), batch, _ACTOR)
        context = WriteContext(self._connection, locked=True)
        self.answer = await sync.run(context, str(self.production), batch, todo, _ACTOR)
        fates = list(zip(todo, self.answer.outcomes, strict=True))
        for step, outcome in fates:
            if outcome.version is not None:
                self._note(step.entity, step.op, outcome.entity or b"{}")
        return fates

    async def push_with_key(self, mutations: Sequence[Mutation]) -> tuple[Fates, str]:
        """Push a batch twice under one Idempotency-Key; return what is wrong with the replay."""
        fates: list[Fates] = []

        async def work() -> idempotency.KeptAnswer:
            fates.append(await self.push(mutations))
            statuses = [outcome.status for _, outcome in fates[-1]]
            return idempotency.KeptAnswer(200, {}, to_json(statuses))

        claim = f"rehearsal-{uuid4()}", idempotency.fingerprint(to_json(mutations))
        first = await idempotency.once(self._connection, *claim, work)
        again = await idempotency.once(self._connection, *claim, work)
        fault = "" if again.replayed and again.body == first.body else "it was not replayed"
        return fates[0], fault

    async def interfere(self, entity: type[Row], row: expectations.Values, values: Any) -> None:
        """Change fields of a row as somebody else does, online."""
        edit = Edit(values, _OTHER, Start(version=row["version"]))
        context = WriteContext(self._connection, locked=True)
        self._note(entity, "update", await update(context, entity, row["uuid"], edit))

    async def read(self, entity: type[Row], uuid: UUID) -> expectations.Values:
        """Return a row as it is now."""
        record = await self._connection.fetchrow(write_statements(entity).live, uuid)
        row: expectations.Values = from_json(record["body"])
        return row

    async def check_run(self) -> str:
        """Return what is wrong with the stored run of the last batch; "" where all is well."""
        run = await self._connection.fetchval(RUN, self.production, self.answer.run)
        stored = len(from_json(run)["results"]) if run else 0
        count = len(self.answer.outcomes)
        return "" if stored == count else f"it tells {stored} mutations, and {count} were sent"

    def check_answer(self) -> str:
        """Return what is wrong with the feed in the last answer; "" where all is well."""
        if self.answer.resync:
            return self.answer.resync.message
        entries = from_json(self.answer.changes)
        return expectations.check_feed(self._since, self.answer.latest, entries, self._writes)

    async def check_feed(self) -> str:
        """Read the feed page by page; return what is wrong with it, "" where all is well."""
        entries: list[expectations.Values] = []
        last = self._since
        while True:
            page = await self._connection.fetchrow(FEED, self.production, last, _PAGE)
            more = from_json(page["entries"])
            entries += more
            if not more or page["last"] >= page["latest"]:
                return expectations.check_feed(self._since, page["latest"], entries, self._writes)
            last = page["last"]

    def _note(self, entity: type[Row], operation: str, row: bytes) -> None:
        self._writes.append(ExpectedEntry(entity.collection, operation.upper(), from_json(row)))
