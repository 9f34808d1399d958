"""Stage 2: where the database stands in this image's history, and whether that was edited."""

from typing import Final

from app.database.url import DatabaseUrl
from app.releases.gate.run import Release, StageResult
from app.releases.gate.statement_proof import live_failures
from app.releases.migrations.alembic_runner import current
from app.releases.migrations.revisions import has_revision, head, history, needed
from app.releases.migrations.seals import hash_of
from app.releases.migrations.version_row import LOST, OURS
from app.releases.occupied import occupied
from app.releases.plan.plan import Plan
from app.releases.plan.render import offline_hash
from app.releases.schema.unfilled_columns import find_unfilled_columns
from app.releases.verdict import Stopped, Verdict

NAME: Final = "history"
_OURS: Final = "SELECT count(to_regclass(t)) FROM unnest(ARRAY['productions', 'cameras']) AS t"


async def run(release: Release) -> StageResult:
    """Place the database, refuse edited revisions, and find a release that was begun."""
    await _take_off_stamp(release)
    release.current = await current(release.order.url)
    await _raise_if_unadopted(release)
    _raise_if_unexpectedly_new(release)
    if release.current is not None and not has_revision(release.current):
        raise await _ahead(release, release.current)
    applied = revisions_up_to(release.current)
    trusted = await _seal(release, applied)
    await _take_over(release)
    pending = [revision.name for revision in history()[len(applied) :]]
    words = f"at {release.current or 'nothing'}, {len(pending)} of {len(history())} pending"
    if release.resumed:
        words += f"; {release.resumed.target} was begun and is taken up again"
    return StageResult(
        words,
        {"revision": release.current, "head": head(), "needed": needed(), "pending": pending,
         "takenOnTrust": trusted, "resumed": release.resumed and release.resumed.digest},
    )  # fmt: skip


async def _take_off_stamp(release: Release) -> None:
    """Count no revision as done that a rollback, killed in the middle, had counted to undo it."""
    if stamp := await release.book.get_fact("stamped"):
        await release.book.execute(
            "UPDATE alembic_version SET version_num = $1 WHERE version_num = $2",
            stamp["was"], stamp["revision"],
        )  # fmt: skip
        await release.book.set_fact("stamped", None)


def ahead(revision: str) -> Stopped:
    """Say that a newer image has migrated the database."""
    return Stopped(
        Verdict.AHEAD,
        f"The database is ahead of this image: revision {revision} is not known to it, whose "
        f"newest is {head()}. Deploy the image that migrated it, or a newer one; to serve with "
        "this older one for now: python -m app release --allow-ahead.",
        {"revision": revision, "head": head()},
    )


async def _ahead(release: Release, revision: str) -> Stopped:
    """With permission, an older image may serve where all its statements still run."""
    if not release.order.allow_ahead:
        return ahead(revision)
    found = await live_failures(release.order.service_url, release.statements)
    found |= await find_unfilled_columns(release.order.service_url)
    if found:
        told = "; ".join(f"{name}: {words}" for name, words in found.items())
        return Stopped(
            Verdict.AHEAD,
            f"The database is ahead, at {revision}, and this image cannot serve there: {told}.",
            {"failures": found},
        )
    return Stopped(
        Verdict.DONE,
        f"The database is ahead, at {revision}; PostgreSQL can plan every statement of this older "
        "image and it fills every column that must be filled, so it may serve, as was asked.",
    )


async def _raise_if_unadopted(release: Release) -> None:
    if release.current is None and await release.book.fetch_value(f"SELECT {OURS}"):
        raise Stopped(Verdict.DRIFTED, LOST)
    if release.current is None and await release.book.fetch_value(_OURS):
        raise Stopped(
            Verdict.UNADOPTED,
            "The database holds tables of an older service and no history of ours: look at it and "
            "take it over with: python -m app release adopt --who NAME --why REASON.",
        )


def _raise_if_unexpectedly_new(release: Release) -> None:
    """Refuse to build a schema in production unless the database is meant to be new.

    A wrong DATABASE_URL would otherwise deploy an empty service.
    """
    order = release.order
    if release.current is None and order.production and not order.new:
        raise Stopped(
            Verdict.REFUSED,
            f"The database {DatabaseUrl.parse(order.url).redacted()} is empty, and this is "
            "production: if it is meant to be new, run python -m app release --new (or set "
            "NEW_DATABASE=true for the first deploy); if not, correct DATABASE_URL.",
        )


def revisions_up_to(revision: str | None) -> list[str]:
    """Return the names of the revisions that are applied at this one, oldest first."""
    names = [known_one.name for known_one in history()]
    return names[: names.index(revision) + 1] if revision else []


async def _seal(release: Release, applied: list[str]) -> list[str]:
    """Compare each applied revision with what it was; note those that nobody noted yet."""
    rows = await release.book.fetch_rows("SELECT revision, hash FROM release_revisions")
    noted = {row["revision"]: row["hash"] for row in rows}
    edited = [name for name in applied if name in noted and noted[name] != hash_of(name)]
    if edited:
        raise Stopped(
            Verdict.EDITED,
            f"{', '.join(edited)} was changed after it had been applied here, so the file no "
            "longer tells what this database is: restore the file as it was, and write the change "
            "as a new revision.",
            {"edited": edited},
        )
    missing = [name for name in applied if name not in noted]
    for name in missing:
        await note_applied(release, name)
    return missing


async def note_applied(release: Release, revision: str) -> None:
    """Keep what a revision said when it was applied."""
    await release.book.execute(
        "INSERT INTO release_revisions (revision, hash, run) VALUES ($1, $2, $3)"
        " ON CONFLICT (revision) DO UPDATE SET hash = excluded.hash, run = excluded.run,"
        " applied_at = clock_timestamp()",
        revision, hash_of(revision), release.book.run,
    )  # fmt: skip


async def _take_over(release: Release) -> None:
    """Take up a release that a killed or stopped run has begun. Raises Stopped: other code."""
    found = await release.book.unfinished()
    if found is None:
        return
    begun, state, offline = found
    if unknown := [name for name in begun.revisions if not has_revision(name)]:
        raise await _ahead(release, unknown[0])
    if state == "taking back" and release.order.word != "rollback":
        raise Stopped(
            Verdict.REFUSED,
            f"Taking {begun.target} back was begun and is not finished: python -m app release "
            "rollback --who NAME --why REASON finishes it.",
        )
    release.making = frozenset(touched(begun))
    if await _superseded(release, begun):
        await release.book.plan_is(begun.digest, "superseded")
        return
    if offline_hash(begun.revisions) != offline:
        raise Stopped(
            Verdict.BROKEN,
            f"{begun.target} was begun by an image whose SQL for it was another: finish it with "
            "that image (python -m app release resume), go back with it (python -m app release "
            "rollback --who NAME --why REASON), or have the rest planned, rehearsed and approved "
            "anew: python -m app release resume --plan-anew REASON --who NAME.",
            {"digest": begun.digest},
        )
    release.resumed = begun
    await release.book.concerns(begun.digest)


async def _superseded(release: Release, begun: Plan) -> bool:
    """Whether the rest must be planned anew: by order, or since what needed no approval does now.

    A plan for an empty database was approved by nobody; rows may have arrived since it was begun.
    """
    order = release.order
    if order.supersede is not None:
        await release.book.overridden("plan", order.who, order.supersede)
        return True
    decision = await release.book.decision(begun.digest)
    if order.word == "rollback" or (decision and decision["decision"] == "approved"):
        return False
    return await occupied(release.book)


def touched(plan: Plan) -> set[str]:
    """Name the tables that a plan works on."""
    named = {table for statement in plan.statements for table in statement.tables}
    return named | ({plan.table} if plan.table else set())
