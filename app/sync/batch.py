"""Applies a batch of offline work: each mutation once, merged with what others did meanwhile.

All of it runs in one transaction under the production's lock, together with the record of what was
applied. So a crash leaves all that the batch did, or nothing; who gets no answer sends it again.
The feed of the answer is read under the same lock: it holds the batch's own writes and has no gap.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import Final

from app.changelog import feed
from app.changelog.log import Actor
from app.errors import SignalbookError
from app.store.many_writes import each, lock_production
from app.store.write_context import StoredRow, WriteContext
from app.sync import records
from app.sync.applier import MutationApplier
from app.sync.mutations import MutationOutcome, MutationStep, Sync, failed_outcome
from app.sync.records import APPLIED, BatchResult

_NO_FEED: Final = 2**63 - 1  # no change has a higher number


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
    outcomes = await _apply(context, locked, sync, steps)
    result = await _with_feed(context, locked, sync, outcomes)
    await records.record(context.connection, locked.uuid, sync, steps, result, actor)
    return result


async def _apply(
    context: WriteContext, production: StoredRow, sync: Sync, steps: Sequence[MutationStep]
) -> list[MutationOutcome]:
    client, ids = sync.client_id or "", list({s.mutation_id for s in steps if s.mutation_id})
    applied = await records.applied_before(context.connection, production.uuid, client, ids)
    applier = MutationApplier(context, production, applied, relabel=sync.relabel)
    async with _undoable(context) if sync.atomic or sync.dry_run else nullcontext():
        results = await each(context.connection, steps, applier.apply)
        outcomes = [failed_outcome(r) if isinstance(r, SignalbookError) else r for r in results]
        failed = sync.atomic and any(outcome.error for outcome in outcomes)
        if failed or sync.dry_run:
            raise _RollBack
    if not failed:
        return outcomes
    return [MutationOutcome("undone") if o.status in APPLIED else o for o in outcomes]


@asynccontextmanager
async def _undoable(context: WriteContext) -> AsyncIterator[None]:
    """Undo what the block did if it raises _RollBack, and nothing else of the transaction."""
    with suppress(_RollBack):
        try:
            async with context.connection.transaction():
                yield
        except _RollBack:
            context.stale_forms[:] = [f for f in context.stale_forms if not f.is_new]
            raise


async def _with_feed(
    context: WriteContext, production: StoredRow, sync: Sync, outcomes: Sequence[MutationOutcome]
) -> BatchResult:
    """Read the feed as it is now, the batch included."""
    since = _NO_FEED if sync.since is None else sync.since
    page = await context.connection.fetchrow(feed.FEED, production.uuid, since, sync.limit)
    if sync.since is None:
        return BatchResult(outcomes, b"[]", None, page["latest"])
    # A client ahead of the log stays so, although this batch has raised the newest number.
    if trimmed := feed.gap(production.uuid, page, since, newest=production.seq):
        return BatchResult(outcomes, b"[]", None, page["latest"], trimmed)
    return BatchResult(outcomes, page["entries"], page["last"], page["latest"])
