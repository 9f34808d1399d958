"""A batch of offline work: each mutation done once, merged with what others did meanwhile.

All of it runs in one transaction under the production's lock, with the memory of what was done.
So a batch was done or it was not, and who hears no answer sends it again. The feed that answers it
is read under the same lock: it holds the batch's own writes, and has no gap.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from pydantic_core import from_json
from uuid_utils.compat import uuid7

from app.changelog import feed
from app.changelog.log import Actor
from app.errors import LogTrimmed, SignalbookError
from app.store.locked_production import LockedProduction, lock_production
from app.store.savepoints import each
from app.store.write_context import WriteContext
from app.sync import runs
from app.sync.apply import MutationApplier, MutationOutcome, failed_outcome
from app.sync.mutations import MutationStep, Sync
from app.sync.runs import MutationRecord, SyncRun

_NOWHERE: Final = 2**63 - 1
_TAKEN: Final = {"applied", "merged"}


@dataclass(frozen=True)
class BatchResult:
    """What became of a batch, and the feed since the number that the client knew.

    ``next`` is None where there is no feed: the client knew no number, or the log does not hold
    what followed it, which ``resync`` says then.
    """

    run: UUID
    outcomes: Sequence[MutationOutcome]
    changes: bytes
    next: int | None
    latest: int
    resync: LogTrimmed | None = None

    def first_error(self) -> tuple[int, SignalbookError] | None:
        """Give the first error, and the place of its mutation."""
        return next(((n, o.error) for n, o in enumerate(self.outcomes) if o.error), None)


class _TakenBack(Exception):
    """All that was done is to be undone."""


async def run(
    context: WriteContext, production: str, sync: Sync, todo: Sequence[MutationStep], actor: Actor
) -> BatchResult:
    """Do a batch that was read into ``todo``, in a context that is locked.

    What is refused is told in the outcomes, and undone with everything if the batch is atomic.
    Raises NotFound and AmbiguousId for the production, Unavailable, and WriteRace.
    """
    place = await lock_production(context, production)
    run = SyncRun(uuid7(), place.uuid, sync.client_id or "", sync.since, sync.atomic, sync.dry_run,
              actor)  # fmt: skip
    outcomes = await _outcomes(context, place, run, sync, todo)
    done = await _answered(context, place, run, sync, outcomes)
    fates = [_fate(step, outcome) for step, outcome in zip(todo, outcomes, strict=True)]
    await runs.record(context.connection, run, done.latest, fates)
    return done


async def _outcomes(
    context: WriteContext,
    place: LockedProduction,
    run: SyncRun,
    sync: Sync,
    todo: Sequence[MutationStep],
) -> list[MutationOutcome]:
    ids = list({step.mutation_id for step in todo if step.mutation_id})
    known = await runs.applied_before(context.connection, place.uuid, run.client, ids)
    offline = MutationApplier(context, place, known, relabel=sync.relabel)
    async with _perhaps_taken_back(context, sync):
        tried = await each(context.connection, todo, offline.do)
        made = [failed_outcome(one) if isinstance(one, SignalbookError) else one for one in tried]
        failed = sync.atomic and any(outcome.error for outcome in made)
        if failed or sync.dry_run:
            raise _TakenBack
    return [MutationOutcome("undone") if failed and o.status in _TAKEN else o for o in made]


@asynccontextmanager
async def _perhaps_taken_back(context: WriteContext, sync: Sync) -> AsyncIterator[None]:
    """Undo what is done inside when _TakenBack is raised, and nothing else of the transaction."""
    if not (sync.atomic or sync.dry_run):
        yield
        return
    try:
        async with context.connection.transaction():
            yield
    except _TakenBack:
        return


async def _answered(
    context: WriteContext,
    place: LockedProduction,
    run: SyncRun,
    sync: Sync,
    outcomes: Sequence[MutationOutcome],
) -> BatchResult:
    """Read the feed as it is now, the batch included."""
    since = _NOWHERE if sync.since is None else sync.since
    page = await context.connection.fetchrow(feed.FEED, place.uuid, since, sync.limit)
    latest: int = page["latest"]
    if sync.since is None:
        return BatchResult(run.uuid, outcomes, b"[]", None, latest)
    # The numbers that this batch has used up do not make up for those that a client is ahead.
    if trimmed := feed.gap(place.uuid, page, since, newest=place.seq):
        return BatchResult(run.uuid, outcomes, b"[]", None, latest, trimmed)
    return BatchResult(run.uuid, outcomes, page["entries"], page["last"], latest)


def _fate(step: MutationStep, outcome: MutationOutcome) -> MutationRecord:
    entity = from_json(outcome.entity)["uuid"] if outcome.entity else None
    error = outcome.error
    return MutationRecord(
        step.mutation_id, outcome.status, step.fingerprint,
        step.entity.collection if step.mount else None, entity and UUID(entity), outcome.version,
        error.code if error else None, error.message if error else None,
    )  # fmt: skip
