"""Applies a batch of offline work: each mutation once, merged with what others did meanwhile.

All of it runs in one transaction under the production's lock, together with the record of what was
applied. So a batch is applied whole or not at all, and a client that gets no answer sends it again.
The feed of the answer is read under the same lock: it holds the batch's own writes and has no gap.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from pydantic_core import from_json
from uuid_utils.compat import uuid7

from app.changelog import feed
from app.changelog.log import Actor
from app.errors import LogTrimmed, SignalbookError
from app.store.locked_production import LockedProduction, lock_production
from app.store.savepoints import each
from app.store.write_context import WriteContext
from app.sync import records
from app.sync.applier import MutationApplier, MutationOutcome, failed_outcome
from app.sync.mutations import MutationStep, Sync
from app.sync.records import APPLIED, BatchRun

_NO_FEED: Final = 2**63 - 1  # no change has a higher number


@dataclass(frozen=True)
class BatchResult:
    """The outcome of each mutation, and the feed since the number that the client knew.

    ``next`` is None without a feed: the client knew no number, or the log does not hold what
    followed it. In the second case ``resync`` is the error for that.
    """

    run: UUID
    outcomes: Sequence[MutationOutcome]
    changes: bytes
    next: int | None
    latest: int
    resync: LogTrimmed | None = None

    def first_error(self) -> tuple[int, SignalbookError] | None:
        """Return the first error, with the index of its mutation."""
        return next(((n, o.error) for n, o in enumerate(self.outcomes) if o.error), None)


class _RollBack(Exception):
    """Raised to undo all mutations of the batch."""


async def run(
    context: WriteContext, production: str, sync: Sync, steps: Sequence[MutationStep], actor: Actor
) -> BatchResult:
    """Apply the steps of a batch, in a context that holds the production's lock.

    The outcome of a mutation that fails has the error. If the batch is atomic, everything is then
    rolled back. Raises NotFound and AmbiguousId for the production, Unavailable, and WriteRace.
    """
    locked = await lock_production(context, production)
    run = BatchRun(uuid7(), locked.uuid, sync.client_id or "", sync.since, sync.atomic,
                   sync.dry_run, actor)  # fmt: skip
    outcomes = await _apply(context, locked, run, sync, steps)
    result = await _with_feed(context, locked, run, sync, outcomes)
    results = [_as_json(step, outcome) for step, outcome in zip(steps, outcomes, strict=True)]
    fingerprints = [step.fingerprint for step in steps]
    await records.record(context.connection, run, result.latest, fingerprints, results)
    return result


async def _apply(
    context: WriteContext,
    production: LockedProduction,
    run: BatchRun,
    sync: Sync,
    steps: Sequence[MutationStep],
) -> list[MutationOutcome]:
    ids = list({step.mutation_id for step in steps if step.mutation_id})
    applied = await records.applied_before(context.connection, production.uuid, run.client, ids)
    applier = MutationApplier(context, production, applied, relabel=sync.relabel)
    async with _rolled_back(context, possible=sync.atomic or sync.dry_run):
        results = await each(context.connection, steps, applier.apply)
        outcomes = [failed_outcome(r) if isinstance(r, SignalbookError) else r for r in results]
        failed = sync.atomic and any(outcome.error for outcome in outcomes)
        if failed or sync.dry_run:
            raise _RollBack
    if not failed:
        return outcomes
    return [MutationOutcome("undone") if o.status in APPLIED else o for o in outcomes]


@asynccontextmanager
async def _rolled_back(context: WriteContext, *, possible: bool) -> AsyncIterator[None]:
    """Undo what the block did if it raises _RollBack, and nothing else of the transaction."""
    if not possible:
        yield
        return
    try:
        async with context.connection.transaction():
            yield
    except _RollBack:
        return


async def _with_feed(
    context: WriteContext,
    production: LockedProduction,
    run: BatchRun,
    sync: Sync,
    outcomes: Sequence[MutationOutcome],
) -> BatchResult:
    """Read the feed as it is now, the batch included."""
    since = _NO_FEED if sync.since is None else sync.since
    page = await context.connection.fetchrow(feed.FEED, production.uuid, since, sync.limit)
    latest: int = page["latest"]
    if sync.since is None:
        return BatchResult(run.uuid, outcomes, b"[]", None, latest)
    # A client ahead of the log stays so, although this batch has raised the newest number.
    if trimmed := feed.gap(production.uuid, page, since, newest=production.seq):
        return BatchResult(run.uuid, outcomes, b"[]", None, latest, trimmed)
    return BatchResult(run.uuid, outcomes, page["entries"], page["last"], latest)


def _as_json(step: MutationStep, outcome: MutationOutcome) -> dict[str, Any]:
    """Return what the run shows of a mutation; PostgreSQL's text cannot hold NUL."""
    error = outcome.error
    return {
        "mutationId": step.mutation_id,
        "status": outcome.status,
        "collection": step.entity.collection if step.collection else None,
        "entityUuid": UUID(from_json(outcome.entity)["uuid"]) if outcome.entity else None,
        "version": outcome.version,
        "code": error.code if error else None,
        "message": error.message.replace("\x00", "") if error else None,
    }
