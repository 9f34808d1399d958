"""Records of offline work: the mutations that were applied, and a run for every batch.

Both are written in the batch's own transaction, under its production's lock. So a mutation is
recorded if and only if it was applied.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from pydantic_core import from_json, to_json
from uuid_utils.compat import uuid7

from app.changelog.log import Actor
from app.database.database import Database, DatabaseConnection
from app.errors import LogTrimmed
from app.sql.projection import MOMENT
from app.sql.registry import statement
from app.sync.mutations import MutationOutcome, MutationStep, Sync

LEAST_DAYS: Final = 30
"""Both are kept at least so long, whatever the log's own retention: a laptop may be away."""
_BATCH: Final = 500
APPLIED: Final = {"applied", "merged"}
"""The statuses of a mutation that is recorded, so that it is not applied again."""

# Those of mutations $3 that client $2 has had applied in production $1.
APPLIED_BEFORE: Final = statement(
    "SELECT mutation_id, fingerprint, collection, entity_uuid, run_uuid FROM sync_mutations "
    "WHERE production_uuid = $1 AND client_id = $2 AND mutation_id = ANY($3::text[])"
)
# The results of the runs $1.
RESULTS: Final = statement(
    "SELECT (results -> 'mutations')::json AS mutations FROM sync_runs WHERE uuid = ANY($1::uuid[])"
)
REMEMBER: Final = statement(
    "INSERT INTO sync_mutations (production_uuid, client_id, run_uuid, mutation_id, fingerprint, "
    "status, collection, entity_uuid) SELECT $1::uuid, $2::text, $3::uuid, taken.* FROM unnest("
    "$4::text[], $5::text[], $6::text[], $7::text[], $8::uuid[]) AS taken"
)
# The time is the statement's own, so that under the lock it runs in the order of the runs.
RECORD: Final = statement(
    "INSERT INTO sync_runs (uuid, production_uuid, client_id, since, latest, atomic, dry_run, "
    "results, user_id, user_name, request_id, at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9, $10, $11, statement_timestamp())"
)
_SHOWN: Final = (
    f'sync_runs.uuid, {MOMENT.format(column="at")} AS "timestamp", '
    'nullif(client_id, \'\') AS "clientId", since, latest, atomic, dry_run AS "dryRun", '
    'user_id AS "userId", user_name AS "userName", results -> \'counts\' AS counts'
)
_BEFORE: Final = (
    "coalesce((SELECT at FROM sync_runs WHERE uuid = $2 AND production_uuid = $1), "
    "CASE WHEN $2 IS NULL THEN timestamptz 'infinity' END)"
)
# The last runs of production $1, those before run $2::uuid where that is given, at most $3; and
# the uuid of the last one of them, where older ones follow.
RUNS: Final = statement(
    "SELECT page.runs, CASE WHEN EXISTS (SELECT FROM sync_runs WHERE production_uuid = $1 "
    "AND at < page.first) THEN page.last END AS next FROM (SELECT coalesce(json_agg(run.shown "
    "ORDER BY run.at DESC), '[]') AS runs, min(run.at) AS first, "
    "(array_agg(run.uuid ORDER BY run.at))[1] AS last FROM (SELECT uuid, at, "
    f"(SELECT row_to_json(one) FROM (SELECT {_SHOWN}) AS one) AS shown FROM sync_runs "
    f"WHERE production_uuid = $1 AND at < {_BEFORE} ORDER BY at DESC LIMIT $3) AS run) AS page"
)
# Run $2 of production $1.
RUN: Final = statement(
    f'SELECT row_to_json(one) FROM (SELECT {_SHOWN}, request_id AS "requestId", '
    "results -> 'mutations' AS results FROM sync_runs "
    "WHERE sync_runs.uuid = $2 AND production_uuid = $1) AS one"
)


def _forget(table: str) -> str:
    """Return the SQL that removes a batch of rows older than $1 days and counts them."""
    return (
        f"WITH gone AS (DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} "
        "WHERE at < statement_timestamp() - make_interval(days => $1::int) ORDER BY at "
        f"LIMIT {_BATCH} FOR UPDATE SKIP LOCKED)) RETURNING 1) SELECT count(*) AS removed FROM gone"
    )


FORGET_RUNS: Final = statement(_forget("sync_runs"))
FORGET_MUTATIONS: Final = statement(_forget("sync_mutations"))


@dataclass(frozen=True)
class AppliedMutation:
    """A mutation that was applied: its fingerprint, its row, and the version it made of the row."""

    fingerprint: str
    collection: str
    entity: UUID
    version: int | None


@dataclass(frozen=True)
class BatchResult:
    """The outcome of each mutation, and the feed since the number that the client knew.

    ``next`` is None without a feed: the client knew no number, or the log does not hold what
    followed it. In the second case ``resync`` is the error for that.
    """

    outcomes: Sequence[MutationOutcome]
    changes: bytes
    next: int | None
    latest: int
    resync: LogTrimmed | None = None
    run: UUID = field(default_factory=uuid7)


async def applied_before(
    connection: DatabaseConnection, production: UUID, client: str, ids: Sequence[str]
) -> dict[str, AppliedMutation]:
    """Return those of these mutations that were applied before, by id."""
    rows = await connection.fetch(APPLIED_BEFORE, production, client, ids) if ids else []
    runs = list({row["run_uuid"] for row in rows})
    versions = await _versions(connection, runs) if runs else {}
    return {
        row["mutation_id"]: AppliedMutation(
            row["fingerprint"], row["collection"], row["entity_uuid"],
            versions.get(row["mutation_id"]),
        )
        for row in rows
    }  # fmt: skip


async def _versions(
    connection: DatabaseConnection, runs: Sequence[UUID]
) -> Mapping[str, int | None]:
    """Return the versions that the mutations of some runs have made of their rows."""
    versions: dict[str, int | None] = {}
    for row in await connection.fetch(RESULTS, runs):
        for mutation in from_json(row["mutations"]):
            if mutation["status"] in APPLIED:
                versions[mutation["mutationId"]] = mutation["version"]
    return versions


async def record(
    connection: DatabaseConnection, production: UUID, sync: Sync, steps: Sequence[MutationStep],
    result: BatchResult, actor: Actor,
) -> None:  # fmt: skip
    """Record the run and, unless it was a dry run, the mutations that were applied."""
    results = list(map(_as_json, steps, result.outcomes))
    applied = [
        (each["mutationId"], step.fingerprint, each["status"], each["collection"],
         each["entityUuid"])
        for step, each in zip(steps, results, strict=True)
        if each["status"] in APPLIED and not sync.dry_run
    ]  # fmt: skip
    client = sync.client_id or ""
    if applied:
        columns = map(list, zip(*applied, strict=True))
        await connection.execute(REMEMBER, production, client, result.run, *columns)
    counts = Counter(each["status"] for each in results)
    await connection.execute(
        RECORD, result.run, production, client, sync.since, result.latest, sync.atomic,
        sync.dry_run, to_json({"counts": counts, "mutations": results}).decode(),
        actor.user_id or "system", actor.user_name or "System", actor.request_id,
    )  # fmt: skip


def _as_json(step: MutationStep, outcome: MutationOutcome) -> dict[str, Any]:
    """Return what the run shows of a mutation; PostgreSQL's text cannot hold NUL."""
    error = outcome.error
    return {
        "mutationId": step.mutation_id, "status": outcome.status,
        "collection": step.entity.collection if step.collection else None,
        "entityUuid": UUID(from_json(outcome.entity)["uuid"]) if outcome.entity else None,
        "version": outcome.version, "code": error.code if error else None,
        "message": error.message.replace("\x00", "") if error else None,
    }  # fmt: skip


async def read_runs(database: Database, production: UUID, before: UUID | None, limit: int) -> bytes:
    """Return the last runs of a production, newest first, as a JSON object."""
    row = await database.row(RUNS, production, before, limit)
    assert row is not None, "an aggregate always gives a row"
    return b'{"runs":%b,"next":%b}' % (row["runs"], to_json(row["next"]))


async def read_run(database: Database, production: UUID, uuid: UUID) -> bytes | None:
    """Return one run with the outcome of each mutation, as JSON; None if there is none."""
    return await database.read(RUN, production, uuid)
