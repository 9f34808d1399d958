"""A batch that is sent again changes nothing more.

It is sent again after a lost answer, at the same time, or after a crash in the middle of it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.changelog.log import Actor
from app.database.database import Database
from app.errors import DatabaseAway
from app.model.entity import Row
from app.model.secret_fields import public
from app.retention import Retention
from app.store.write_context import WriteContext
from app.store.writer import Writer
from app.sync import batch as sync
from app.sync.mutations import Sync, read_steps
from app.sync.records import BatchResult
from tests.support import databases
from tests.support.bodies import SCOPED, SCOPED_REPRESENTATIVES, minimal, named
from tests.support.holding import after, counted
from tests.support.offline import (
    Made,
    changing,
    deleting,
    log_of,
    making,
    mutation,
    statuses,
    synced,
)
from tests.support.service import created, service
from tests.test_writer import opened

scoped = pytest.mark.parametrize("entity", SCOPED_REPRESENTATIVES, ids=named)
TAKEN = {"applied", "merged", "duplicate"}


def title(entity: type[Row]) -> str:
    """Return the first member that a create needs."""
    return next(iter(minimal(entity)))


def a_batch(client: httpx.Client, production: Made, entity: type[Row]) -> list[Made]:
    """Return one mutation of every fate: applied, merged, in conflict and rejected."""
    row = created(client, entity.collection, productionId=production["uuid"], **minimal(entity))
    gone = created(client, entity.collection, productionId=production["uuid"], **minimal(entity))
    path = f"/api/{entity.collection}/{row['uuid']}"
    client.put(path, json={"note": "Theirs", "version": 1}).raise_for_status()
    new = str(uuid4())
    return [
        making(entity, new), changing(entity, new, 1, note="again"),
        changing(entity, row["uuid"], 1, **{title(entity): "Mine"}),
        changing(entity, row["uuid"], 1, note="Mine"), deleting(entity, gone["uuid"], 1),
        deleting(entity, "NOBODY"), changing(entity, row["uuid"], 1, note="Theirs"),
        mutation("create", entity, data=minimal(entity)),
    ]  # fmt: skip


FATES = ["applied", "applied", "merged", "conflict", "applied", "rejected", "merged", "applied"]
AGAIN = [fate if fate in {"conflict", "rejected"} else "duplicate" for fate in FATES]


@scoped
async def test_a_batch_that_is_sent_again_changes_nothing_more(
    client: httpx.Client, production: Made, shared_database: str, entity: type[Row]
) -> None:
    batch = a_batch(client, production, entity)
    first = synced(client, production, *batch, clientId="laptop", since=0)
    assert statuses(first) == FATES
    log = await log_of(shared_database, production["uuid"])
    for _ in range(3):
        again = synced(client, production, *batch, clientId="laptop", since=0)
        assert statuses(again) == AGAIN
        assert again["changes"] == first["changes"]
        for one, other in zip(first["results"], again["results"], strict=True):
            assert one.get("entity", {}).get("uuid") == other.get("entity", {}).get("uuid")
        now = {entry["entityId"]: entry["entityData"] for entry in again["changes"]}
        told = [result["entity"] for result in again["results"] if result["status"] == "duplicate"]
        assert told == [now[entity["uuid"]] for entity in told]
    assert await log_of(shared_database, production["uuid"]) == log
    runs = client.get(f"/api/productions/{production['uuid']}/sync/runs").json()["runs"]
    assert [run["counts"].get("duplicate", 0) for run in runs] == [6, 6, 6, 0]


@scoped
def test_a_duplicate_is_answered_with_the_row_as_it_is_now(
    client: httpx.Client, production: Made, entity: type[Row]
) -> None:
    uuid = str(uuid4())
    batch = [making(entity, uuid)]
    synced(client, production, *batch)
    path = f"/api/{entity.collection}/{uuid}"
    after = client.put(path, json={"note": "Theirs"}).raise_for_status().json()
    [result] = synced(client, production, *batch)["results"]
    assert (result["status"], result["entity"]) == ("duplicate", public(entity, after))
    client.delete(path).raise_for_status()
    [result] = synced(client, production, *batch)["results"]
    assert (result["status"], result["entity"]["isDeleted"]) == ("duplicate", True)


@scoped
def test_the_same_id_with_another_content_is_rejected(
    client: httpx.Client, production: Made, entity: type[Row]
) -> None:
    uuid = str(uuid4())
    first = making(entity, uuid)
    other = {**changing(entity, uuid, 1, note="x"), "mutationId": first["mutationId"]}
    body = synced(client, production, first, first, other, clientId="one")
    assert statuses(body) == ["applied", "duplicate", "rejected"]
    assert body["results"][2]["error"]["code"] == "MUTATION_REUSED"
    [result] = synced(client, production, other, clientId="one")["results"]
    assert result["error"]["code"] == "MUTATION_REUSED"
    assert statuses(synced(client, production, other, clientId="two")) == ["applied"]


@scoped
def test_what_was_not_taken_may_be_sent_again_under_its_id(
    client: httpx.Client, production: Made, make: Any, entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity))
    path = f"/api/{entity.collection}/{row['uuid']}"
    client.put(path, json={"note": "Theirs"}).raise_for_status()
    clash = changing(entity, row["uuid"], 1, note="Mine")
    [result] = synced(client, production, clash)["results"]
    assert result["status"] == "conflict"
    settled = {**clash, "version": result["error"]["currentVersion"]}
    assert statuses(synced(client, production, settled, settled)) == ["applied", "duplicate"]


@scoped
async def test_a_later_batch_knows_what_an_earlier_one_wrote(
    client: httpx.Client, production: Made, make: Any, entity: type[Row]
) -> None:
    """Its answer was lost, so the client still starts from what it had."""
    row = make(entity.collection, **minimal(entity))
    first = changing(entity, row["uuid"], 1, note="Mine")
    synced(client, production, first)
    second = changing(entity, row["uuid"], 1, note="Mine, later")
    body = synced(client, production, first, second)
    assert statuses(body) == ["duplicate", "applied"]
    assert body["results"][1]["entity"]["note"] == "Mine, later"


@scoped
async def test_a_create_is_known_by_its_uuid_when_its_mutation_is_forgotten(
    client: httpx.Client, production: Made, shared_database: str, entity: type[Row]
) -> None:
    batch = [making(entity)]
    synced(client, production, *batch)
    forget = "DELETE FROM sync_mutations WHERE production_uuid = $1"
    await databases.execute(shared_database, forget, production["uuid"])
    log = await log_of(shared_database, production["uuid"])
    assert statuses(synced(client, production, *batch)) == ["duplicate"]
    assert await log_of(shared_database, production["uuid"]) == log


async def run(
    context: WriteContext, production: Made, batch: Sequence[Made], **members: Any
) -> BatchResult:
    """Do a batch as the route does."""
    said = Sync.model_validate({"mutations": batch, **members})
    todo = await read_steps(production["uuid"], said, Actor())
    return await sync.run(context, production["uuid"], said, todo, Actor())


@pytest.mark.parametrize("first", ["this process", "another process"])
@scoped
async def test_the_same_batch_from_two_connections_at_once_is_done_once(
    client: httpx.Client, production: Made, shared_database: str, entity: type[Row], first: str
) -> None:
    batch = a_batch(client, production, entity)
    before = await counted(shared_database, production["uuid"])

    async def earlier(held: Any) -> list[str]:
        done = await held.write(
            "", lambda context: run(context, production, batch, clientId="laptop")
        )
        return [outcome.status for outcome in done.outcomes]

    def later() -> list[str]:
        return statuses(synced(client, production, *batch, clientId="laptop"))

    if first == "another process":
        ends = await after(shared_database, earlier, later)
    else:
        ends = (later(), await direct(shared_database, production, batch))
    assert ends == (FATES, AGAIN)
    assert await counted(shared_database, production["uuid"]) == before + 5


async def direct(url: str, production: Made, batch: Sequence[Made]) -> list[str]:
    """Do a batch as another process would; give the statuses."""
    async with opened(url) as database:
        done = await Writer(database, 30).write(
            production["uuid"], lambda context: run(context, production, batch, clientId="laptop")
        )
    return [outcome.status for outcome in done.outcomes]


@scoped
async def test_many_at_once_through_http_do_it_once(
    client: httpx.Client, production: Made, shared_database: str, entity: type[Row]
) -> None:
    batch = a_batch(client, production, entity)
    before = await counted(shared_database, production["uuid"])
    with service(shared_database) as other:
        clients = [client, other] * 4
        bodies = await asyncio.gather(
            *(asyncio.to_thread(synced, c, production, *batch, clientId="l") for c in clients)
        )
    met = [statuses(body) for body in bodies]
    assert (met.count(FATES), met.count(AGAIN)) == (1, 7)
    assert await counted(shared_database, production["uuid"]) == before + 5


class Severed:
    """A connection that the server ends after so many statements."""

    def __init__(self, real: Any, url: str, left: int) -> None:
        self._real, self._url, self._left = real, url, left

    def __getattr__(self, name: str) -> Any:
        if name not in {"fetch", "fetchrow", "fetchval", "execute"}:
            return getattr(self._real, name)

        async def do(*args: Any) -> Any:
            self._left -= 1
            if self._left == 0:
                ended = "SELECT pg_terminate_backend($1)"
                await databases.execute(self._url, ended, self._real.get_server_pid())
            return await getattr(self._real, name)(*args)

        return do


class Counting(Severed):
    """A connection that counts its statements."""

    @property
    def seen(self) -> int:
        return -self._left


async def severed(
    database: Database, url: str, left: int, work: Callable[[WriteContext], Any]
) -> None:
    """Do work in a transaction on a connection that is ended before it has done ``left``."""
    async with database.transaction() as connection:
        await work(WriteContext(cast("Any", Severed(connection, url, left)), locked=True))


async def length(database: Database, url: str, work: Callable[[WriteContext], Any]) -> int:
    """Count the statements of some work, and undo it."""
    async with database.write_connection() as connection:
        trial, watched = cast("Any", connection.transaction()), Counting(connection, url, 0)
        await trial.start()
        await work(WriteContext(cast("Any", watched), locked=True))
        await trial.rollback()
    return watched.seen


@scoped
async def test_a_connection_that_is_killed_anywhere_leaves_all_or_nothing(
    client: httpx.Client, production: Made, shared_database: str, entity: type[Row]
) -> None:
    batch = a_batch(client, production, entity)
    before = await log_of(shared_database, production["uuid"])

    def work(context: WriteContext) -> Awaitable[BatchResult]:
        return run(context, production, batch, clientId="laptop")

    for place in (2, 3, 5, 8, 13, 21):
        async with opened(shared_database) as database:
            with pytest.raises(DatabaseAway):
                await severed(database, shared_database, place, work)
        assert await log_of(shared_database, production["uuid"]) == before
    assert statuses(synced(client, production, *batch, clientId="laptop")) == FATES
    once = await log_of(shared_database, production["uuid"])
    assert len(once) == len(before) + 5
    assert statuses(synced(client, production, *batch, clientId="laptop")) == AGAIN
    assert await log_of(shared_database, production["uuid"]) == once


async def test_a_kill_at_the_last_statement_leaves_nothing_either(
    client: httpx.Client, production: Made, shared_database: str
) -> None:
    batch = [making(SCOPED[0]) for _ in range(3)]
    before = await log_of(shared_database, production["uuid"])

    def work(context: WriteContext) -> Awaitable[BatchResult]:
        return run(context, production, batch)

    async with opened(shared_database) as database:
        last = await length(database, shared_database, work)
        with pytest.raises(DatabaseAway):
            await severed(database, shared_database, last, work)
    assert await log_of(shared_database, production["uuid"]) == before
    assert statuses(synced(client, production, *batch)) == ["applied"] * 3


async def test_an_idempotency_key_gives_the_first_answer_again(
    client: httpx.Client, production: Made, shared_database: str
) -> None:
    path = f"/api/productions/{production['uuid']}/sync"
    batch, key = [making(SCOPED[0])], {"idempotency-key": str(uuid4())}
    bodies = [
        client.post(path, json={"mutations": batch}, headers=key).raise_for_status().json()
        for _ in range(2)
    ]
    assert bodies[0] == bodies[1]
    wrong = {"mutations": [deleting(SCOPED[0], "NOBODY")], "atomic": True}
    key = {"idempotency-key": str(uuid4())}
    answers = [client.post(path, json=wrong, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [409, 409]
    assert answers[0].json() == answers[1].json()


AGE = "UPDATE {} SET at = at - $2 * interval '1 day' WHERE production_uuid = $1"
LEFT = (
    "SELECT count(*) FROM sync_runs WHERE production_uuid = $1 "
    "UNION ALL SELECT count(*) FROM sync_mutations WHERE production_uuid = $1"
)


@pytest.mark.parametrize(
    ("age", "days", "left"), [(29, 7, [1, 1]), (31, 7, [0, 0]), (31, 60, [1, 1]), (61, 60, [0, 0])]
)
async def test_what_is_remembered_goes_with_the_log_but_never_before_thirty_days(
    client: httpx.Client, production: Made, shared_database: str, age: int, days: int,
    left: list[int],
) -> None:  # fmt: skip
    synced(client, production, making(SCOPED[0]))
    for table in ("sync_runs", "sync_mutations"):
        await databases.execute(shared_database, AGE.format(table), production["uuid"], age)
    async with opened(shared_database) as database:
        retention = Retention(database, days, pause=0)
        for what in ("sync runs", "sync mutations"):
            await retention.prune(what)
    assert await databases.column(shared_database, LEFT, production["uuid"]) == left


def test_a_client_may_learn_a_newer_base_before_it_sends_a_mutation_again(
    client: httpx.Client, production: Made, make: Any
) -> None:
    row = make("ccus", name="x")
    first = changing(SCOPED[0], row["uuid"], 1, note="Mine") | {"collection": "ccus"}
    inside = {**first, "version": None, "data": {**first["data"], "version": 2}}
    body = synced(client, production, first, {**first, "version": 2}, inside)
    assert statuses(body) == ["applied", "duplicate", "duplicate"]


# Random batches


KINDS = [entity for entity in SCOPED if entity.collection in {"cameras", "ccus", "sources"}]
ROWS = [UUID(int=n) for n in range(1, 5)]
THERE = ROWS[:2]
"""The rows that are there from the start, whose note somebody else has changed since version 1."""
words, bases = st.sampled_from("ABC"), st.sampled_from([None, 1, 2])
place = st.tuples(st.sampled_from(KINDS), st.sampled_from(ROWS))
mutations = st.one_of(
    st.tuples(st.just("create"), place, words),
    st.tuples(st.just("update"), place, words, bases, st.sampled_from(["name", "note"])),
    st.tuples(st.just("delete"), place, bases),
)


class Show:
    """A show of its own for one example, with uuids of its own."""

    def __init__(self, client: httpx.Client) -> None:
        self.client, self.made = client, created(client, "productions", name="A show")
        self.salt = uuid4().int >> 8 << 8
        for entity in KINDS:
            for row in THERE:
                self._there(entity, row)

    def _there(self, entity: type[Row], row: UUID) -> None:
        body = minimal(entity, uuid=self.uuid(row), id=f"OLD {row.int}", note="A")
        created(self.client, entity.collection, productionId=self.made["uuid"], **body)
        path = f"/api/{entity.collection}/{self.uuid(row)}"
        self.client.put(path, json={"note": "B", "version": 1}).raise_for_status()

    def uuid(self, row: UUID) -> str:
        return str(UUID(int=self.salt + row.int))

    def read(self, drawn: Sequence[tuple[Any, ...]]) -> list[Made]:
        """Return drawn mutations as a batch; each is known by its place."""
        return [{**self._one(*one), "mutationId": str(n)} for n, one in enumerate(drawn)]

    def _one(self, op: str, place: tuple[type[Row], UUID], *rest: Any) -> Made:
        entity, uuid = place[0], self.uuid(place[1])
        if op == "create":
            return making(entity, uuid, id=f"NEW {place[1].int % 2}", note=rest[0])
        if op == "update":
            return changing(entity, uuid, rest[1], **{rest[2]: rest[0]})
        return deleting(entity, uuid, rest[0])

    def rows(self) -> list[tuple[Any, ...]]:
        """Return what lives in the show, without what tells one show from another."""
        shown = ((e.collection, row) for e in KINDS for row in self._listed(e))
        return [(c, row["id"], row["name"], row["note"], row["version"]) for c, row in shown]

    def _listed(self, entity: type[Row]) -> Iterator[Mapping[str, Any]]:
        path = f"/api/{entity.collection}/production/{self.made['uuid']}"
        yield from self.client.get(path).json()

    def log(self) -> list[tuple[Any, ...]]:
        """Return the feed likewise."""
        changes = synced(self.client, self.made, since=1, limit=1_000)["changes"]
        return [
            (c["seq"], c["operation"], c["collection"], c["version"], c["changes"]) for c in changes
        ]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=st.lists(mutations, min_size=1, max_size=12), draw=st.data())
def test_batches_sent_again_in_any_grouping_end_as_if_they_were_sent_once(
    client: httpx.Client, drawn: list[tuple[Any, ...]], draw: st.DataObject
) -> None:
    """A client that hears no answer sends more and more of its mutations, and some of them again.

    A refused one is settled by leaving it out.
    """
    plain, torn = Show(client), Show(client)
    fates = statuses(synced(client, plain.made, *plain.read(drawn)))
    batch = torn.read(drawn)
    met: dict[str, str] = {}
    size = 0
    while size < len(batch):
        size = draw.draw(st.integers(size + 1, len(batch)), label="sent so far")
        sent = [one for one in batch[:size] if met.get(one["mutationId"], "new") in {"new", *TAKEN}]
        for _ in range(draw.draw(st.integers(1, 2), label="times")):
            for result in synced(client, torn.made, *sent)["results"]:
                met.setdefault(result["mutationId"], result["status"])
            sent = [one for one in sent if met[one["mutationId"]] in TAKEN]
        again = draw.draw(st.permutations(sent), label="once more")
        synced(client, torn.made, *again[: len(again) // 2])
    assert [met[str(n)] for n in range(len(drawn))] == fates
    assert torn.rows() == plain.rows()
    assert torn.log() == plain.log()
