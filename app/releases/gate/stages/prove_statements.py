"""Stage 4: the code's own statements run on what the code's own migrations build."""

from typing import Final

from app.releases.apply.error_verdicts import LOST
from app.releases.connection.server_faults import raise_if_server_fault
from app.releases.gate.run import Order, StageResult
from app.releases.gate.statement_proof import image_failures
from app.releases.product import Statements
from app.releases.schema.scratch_database import NoScratch
from app.releases.verdict import MigrationContended, Stopped, Verdict

NAME: Final = "model truth"


async def run(order: Order, statements: Statements) -> StageResult:
    """Try every statement of this image. A field without a migration stops here."""
    failures = await _failures(order.url, statements)
    if failures:
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
