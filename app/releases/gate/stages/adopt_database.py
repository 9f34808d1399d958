"""``release adopt``: take over the older service's database as it stands."""

from typing import Final

from app.releases.gate.run import Order, StageResult
from app.releases.gate.stages.check_drift import inspect_live, store_look
from app.releases.ledger.ledger import Ledger
from app.releases.migrations.alembic_runner import current
from app.releases.migrations.revisions import history
from app.releases.output import GateOutput
from app.releases.product import older_service
from app.releases.verdict import Stopped, Verdict

NAME: Final = "adopt"


async def run(order: Order, ledger: Ledger, output: GateOutput) -> StageResult:
    """Verify the database and stamp it. Raise Stopped with every difference."""
    if older_service is None:
        raise Stopped(
            Verdict.REFUSED,
            "This version carries no older service over any more: there is nothing to adopt.",
        )
    adopted = await older_service.adopt(
        order.url, ledger, service_role=order.service_role, say=output.say
    )
    if await current(order.url) == history()[0].name:
        # So that the status can say what was seen, without building a scratch database again.
        inspection = await inspect_live(order, ledger)
        await store_look(ledger, inspection, inspection.findings)
    return StageResult(
        adopted.words,
        evidence={
            "revision": adopted.revision,
            "acquainted": list(adopted.acquainted),
            "created": list(adopted.created),
        },
        final_words=adopted.words,
    )
