"""Stage 10: the live database is what the revisions build, and the code runs on it."""

from typing import Final

from app.releases import product
from app.releases.gate.run import Applied, Order, StageResult, serves_at
from app.releases.gate.stages.check_drift import inspect_live, raise_if_unlike, store_look
from app.releases.gate.stages.prove_statements import live_failures
from app.releases.ledger.ledger import Ledger
from app.releases.output import GateOutput
from app.releases.plan.plan import Plan
from app.releases.product import Statements
from app.releases.verdict import Stopped, Verdict

NAME: Final = "verify"


async def run(
    order: Order, ledger: Ledger, output: GateOutput, statements: Statements, applied: Applied
) -> StageResult:
    """Look at the live database once more. Raise Stopped, loudly, with the way back."""
    await _let_the_service_read(order, ledger, statements, new=applied.new)
    if applied.changed:
        inspection = await inspect_live(order, ledger)
        await store_look(ledger, inspection, inspection.findings)
        raise_if_unlike(output, inspection.findings, applied.revision, _way_back(applied.plan))
    if not serves_at(applied.revision):
        return StageResult("the schema is what its revisions build; this image needs more of them")
    if failures := await live_failures(order.service_url, statements):
        causes: dict[str, list[str]] = {}
        for name, words in failures.items():
            causes.setdefault(words, []).append(name)
        listed = "; ".join(f"{', '.join(names)}: {words}" for words, names in causes.items())
        raise Stopped(
            Verdict.UNVERIFIED,
            f"The code cannot run on the live database ({listed}); the old version serves on. "
            f"{_way_back(applied.plan)}",
            {"failures": failures},
        )
    await ledger.set_fact("image", {"statements": statements})
    return StageResult("no drift, and every statement of the code runs on it")


async def _let_the_service_read(
    order: Order, ledger: Ledger, statements: Statements, *, new: bool
) -> None:
    """Let another role of the service read its revision, which its health check asks for.

    On tables that this run has built, nobody could have granted it anything before.
    """
    if order.service_role is not None:
        role = await ledger.fetch_value("SELECT quote_ident($1)", order.service_role)
        await ledger.execute(f"GRANT SELECT ON alembic_version TO {role}")
        for sql in product.grants(statements, role) if new else ():
            await ledger.execute(sql)


def _way_back(plan: Plan | None) -> str:
    if plan is None:
        return "Mend it with the SQL shown, then run this again."
    if plan.phase == "contract":
        return "There is no way back from a contract: run the SQL shown, then this again."
    return (
        "Run the SQL shown and this again, or go back: python -m app release rollback "
        "--who NAME --why REASON."
    )
