"""Stage 2: where the database stands in this image's history, and whether that was edited."""

from typing import Final

from app.database.url import DatabaseUrl
from app.releases.gate.run import Order, Position
from app.releases.gate.stages.prove_statements import live_failures
from app.releases.identity import BUILT_BY_REVISIONS, HOLDS_CORE_TABLES
from app.releases.ledger.ledger import Ledger
from app.releases.migrations.alembic_runner import current
from app.releases.migrations.revisions import has_revision, head, history, needed
from app.releases.migrations.version_row import LOST
from app.releases.plan.plan import Plan
from app.releases.plan.render import offline_hash
from app.releases.plan.seals import hash_of
from app.releases.product import Statements, older_service, own_tables
from app.releases.schema.unfilled_columns import find_unfilled_columns
from app.releases.verdict import Stopped, Verdict

NAME: Final = "history"


async def run(order: Order, ledger: Ledger, statements: Statements) -> Position:
    """Place the database, refuse edited revisions, and find a release that was begun."""
    await restore_version_row(ledger)
    revision = await current(order.url)
    if revision is None:
        await _raise_if_unadopted(ledger)
        _raise_if_unexpectedly_new(order)
    elif not has_revision(revision):
        raise await _ahead(order, statements, revision)
    applied = revisions_up_to(revision)
    first_seen = await _check_hashes(ledger, applied)
    unfinished, in_progress = await _find_unfinished(order, ledger, statements)
    pending = [revision.name for revision in history()[len(applied) :]]
    words = f"at {revision or 'nothing'}, {len(pending)} of {len(history())} pending"
    if unfinished:
        words += f"; {unfinished.target} was begun and is taken up again"
    return Position(
        words,
        evidence={"revision": revision, "head": head(), "needed": needed(), "pending": pending,
                  "takenOnTrust": first_seen, "resumed": unfinished and unfinished.digest},
        revision=revision, unfinished=unfinished, in_progress=in_progress,
    )  # fmt: skip


async def restore_version_row(ledger: Ledger) -> None:
    """Count no revision as applied that a rollback had counted as applied in order to undo it."""
    if stamp := await ledger.get_fact("stamped"):
        await ledger.execute(
            "UPDATE alembic_version SET version_num = $1 WHERE version_num = $2",
            stamp["was"], stamp["revision"],
        )  # fmt: skip
        await ledger.set_fact("stamped", None)


async def _ahead(order: Order, statements: Statements, revision: str) -> Stopped:
    """Return the end of a run on a database that a newer image has migrated.

    With permission, an older image may serve where all its statements still run.
    """
    if not order.allow_ahead:
        return Stopped(
            Verdict.AHEAD,
            f"The database is ahead of this image: revision {revision} is not known to it, whose "
            f"newest is {head()}. Deploy the image that migrated it, or a newer one; to serve with "
            "this older one for now: python -m app release --allow-ahead.",
            {"revision": revision, "head": head()},
        )
    failures = await live_failures(order.service_url, statements)
    failures |= await find_unfilled_columns(order.service_url)
    if failures:
        listed = "; ".join(f"{name}: {words}" for name, words in failures.items())
        return Stopped(
            Verdict.AHEAD,
            f"The database is ahead, at {revision}, and this image cannot serve there: {listed}.",
            {"failures": failures},
        )
    return Stopped(
        Verdict.DONE,
        f"The database is ahead, at {revision}; PostgreSQL can plan every statement of this older "
        "image and it fills every column that must be filled, so it may serve, as was asked.",
    )


async def _raise_if_unadopted(ledger: Ledger) -> None:
    """Raise Stopped where tables of ours, or of an older service, stand without a revision."""
    is_ours = await ledger.fetch_value(f"SELECT {BUILT_BY_REVISIONS}")
    holds_tables = await ledger.fetch_value(f"SELECT {HOLDS_CORE_TABLES}")
    if is_ours or (holds_tables and older_service is None):
        raise Stopped(Verdict.DRIFTED, LOST)
    if holds_tables:
        raise Stopped(
            Verdict.UNADOPTED,
            "The database holds tables of an older service and no history of ours: look at it and "
            "take it over with: python -m app release adopt --who NAME --why REASON.",
        )


def _raise_if_unexpectedly_new(order: Order) -> None:
    """Refuse to build a schema in production unless the database is meant to be new.

    A wrong DATABASE_URL would otherwise deploy an empty service.
    """
    if order.production and not order.new:
        raise Stopped(
            Verdict.REFUSED,
            f"The database {DatabaseUrl.parse(order.url).redacted()} is empty, and this is "
            "production: if it is meant to be new, run python -m app release --new (or set "
            "NEW_DATABASE=true for the first deploy); if not, correct DATABASE_URL.",
        )


def revisions_up_to(revision: str | None) -> list[str]:
    """Return the names of the revisions that are applied at this one, oldest first."""
    names = [each.name for each in history()]
    return names[: names.index(revision) + 1] if revision else []


async def _check_hashes(ledger: Ledger, applied: list[str]) -> list[str]:
    """Raise Stopped where a revision was edited since; store and return those seen first now."""
    rows = await ledger.fetch_rows("SELECT revision, hash FROM release_revisions")
    stored = {row["revision"]: row["hash"] for row in rows}
    edited = [name for name in applied if name in stored and stored[name] != hash_of(name)]
    if edited:
        raise Stopped(
            Verdict.EDITED,
            f"{', '.join(edited)} was changed after it had been applied here, so the file no "
            "longer tells what this database is: restore the file as it was, and write the change "
            "as a new revision.",
            {"edited": edited},
        )
    missing = [name for name in applied if name not in stored]
    for name in missing:
        await ledger.revision_applied(name, hash_of(name))
    return missing


async def _find_unfinished(
    order: Order, ledger: Ledger, statements: Statements
) -> tuple[Plan | None, frozenset[str]]:
    """Return a release that an ended run has begun, and the tables that it works on.

    Raise Stopped where it was begun by other code, or is being taken back.
    """
    row = await ledger.unfinished()
    if row is None:
        return None, frozenset()
    plan, state, sql_hash = row
    if unknown := [name for name in plan.revisions if not has_revision(name)]:
        raise await _ahead(order, statements, unknown[0])
    if state == "taking back" and order.word != "rollback":
        raise Stopped(
            Verdict.REFUSED,
            f"Taking {plan.target} back was begun and is not finished: python -m app release "
            "rollback --who NAME --why REASON finishes it.",
        )
    tables = {table for statement in plan.statements for table in statement.tables}
    tables |= {plan.table} if plan.table else set()
    if await _is_superseded(order, ledger, plan):
        await ledger.plan_is(plan.digest, "superseded")
        return None, frozenset(tables)
    if offline_hash(plan.revisions) != sql_hash:
        raise Stopped(
            Verdict.BROKEN,
            f"{plan.target} was begun by an image whose SQL for it was another: finish it with "
            "that image (python -m app release resume), go back with it (python -m app release "
            "rollback --who NAME --why REASON), or have the rest planned, rehearsed and approved "
            "anew: python -m app release resume --plan-anew REASON --who NAME.",
            {"digest": plan.digest},
        )
    await ledger.concerns(plan.digest)
    return plan, frozenset(tables)


async def _is_superseded(order: Order, ledger: Ledger, plan: Plan) -> bool:
    """Return whether the rest must be planned anew: by order, or as it now needs an approval.

    A plan for an empty database was approved by nobody; rows may have arrived since it was begun.
    """
    if order.supersede is not None:
        await ledger.overridden("plan", order.who, order.supersede)
        return True
    decision = await ledger.decision(plan.digest)
    if order.word == "rollback" or (decision and decision["decision"] == "approved"):
        return False
    return not await ledger.are_empty(own_tables())
