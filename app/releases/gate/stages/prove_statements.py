"""Stage 4: the code's own statements and models fit what the code's own migrations build."""

from typing import Any, Final

import asyncpg
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from app.releases.apply.error_verdicts import LOST
from app.releases.connection.open_connection import open_connection
from app.releases.connection.server_faults import raise_if_server_fault
from app.releases.gate.run import Order, StageResult
from app.releases.migrations.alembic_runner import make_engine, upgrade
from app.releases.migrations.revisions import head, needed
from app.releases.output import discard_line
from app.releases.product import MODELS, Statements, statement_faults
from app.releases.schema.scratch_database import NoScratch, scratch_database
from app.releases.verdict import MigrationContended, Stopped, Verdict

NAME: Final = "model truth"


async def run(order: Order, statements: Statements) -> StageResult:
    """Try every statement of this image. A field without a migration stops here."""
    if failures := await _failures(order.url, statements):
        listed = "; ".join(f"{name}: {words}" for name, words in failures.items())
        raise Stopped(
            Verdict.BROKEN,
            f"The code and its own migrations disagree ({listed}): a revision is missing. Write it "
            "(docs/migrations.md) and deploy again; the database was not touched.",
            {"failures": failures},
        )
    count = sum(map(len, statements.values()))
    return StageResult(
        f"{count} statements of the code run on its schema", evidence={"statements": count}
    )


async def _failures(url: str, statements: Statements) -> dict[str, str]:
    """Return what fails. Raise Stopped where the revisions do not even run on an empty database."""
    try:
        return await image_failures(url, statements)
    except (NoScratch, MigrationContended, Stopped, *LOST):
        raise
    except Exception as error:
        raise_if_server_fault(error)
        raise Stopped(
            Verdict.BROKEN,
            f"This image's own revisions do not run on an empty database: {error}. Mend them and "
            "deploy again; the database was not touched.",
            {"error": f"{type(error).__name__}: {error}"},
        ) from error


async def image_failures(url: str, statements: Statements) -> dict[str, str]:
    """Build this image's schema in a scratch database and try the code on it.

    This is done at the revision that the image needs and at its head, since it serves at both.
    Return words by collection; empty when all is well. Raise NoScratch and MigrationError.
    """
    failures: dict[str, str] = {}
    async with scratch_database(url) as built:
        for revision in dict.fromkeys((needed(), head())):
            await upgrade(built, revision, say=discard_line)
            for name, words in (await live_failures(built, statements)).items():
                failures.setdefault(name, f"{words} (at {revision})")
        for words in await _model_differences(built):
            failures.setdefault(words, "the model and the migrations disagree")
    return failures


async def live_failures(url: str, statements: Statements) -> dict[str, str]:
    """Return what fails by collection: every statement is prepared as the role of ``url``.

    The role's rights, which PostgreSQL checks only when a statement runs, are checked as well,
    and whether the role may read its revision.
    """
    async with open_connection(url) as connection:
        failures = await statement_faults(connection, statements)
        try:
            await connection.fetchval("SELECT version_num FROM alembic_version")
        except asyncpg.SyntaxOrAccessError as refusal:
            failures["alembic_version"] = str(refusal)
        return failures


async def _model_differences(url: str) -> list[str]:
    """Return where models want columns, types, NULL or defaults that the tables do not have.

    What a table has beyond its model is no fault: an expand may come a deploy before its code.
    """
    engine = make_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_compared)
    finally:
        await engine.dispose()


def _compared(connection: Connection) -> list[str]:
    context = MigrationContext.configure(connection, opts={
        "compare_type": True,
        "compare_server_default": True,
        "include_name": lambda name, kind, _: kind != "table" or name in MODELS.tables,
    })  # fmt: skip
    # Alembic returns the changes of one column as a list of their own.
    changes = (
        each
        for change in compare_metadata(context, MODELS)
        for each in (change if isinstance(change, list) else [change])
    )
    return [_in_words(change) for change in changes if not str(change[0]).startswith("remove")]


def _in_words(change: tuple[Any, ...]) -> str:
    kind = str(change[0]).replace("_", " ")
    if kind == "add column":
        return f"{kind} {change[2]}.{change[3].name}"
    if kind.startswith("modify"):
        return f"{kind} {change[2]}.{change[3]}: {change[5]} → {change[6]}"
    named = change[1]
    return f"{kind} {getattr(named, 'name', None) or named}"
