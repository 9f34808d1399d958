"""``release adopt``: take over the older service's database as it stands."""

from typing import Final

from app.releases import product
from app.releases.gate.run import Order, StageResult
from app.releases.gate.stages.check_drift import inspect_live, store_look
from app.releases.ledger.ledger import Ledger
from app.releases.migrations.alembic_runner import current
from app.releases.migrations.revisions import history
from app.releases.output import GateOutput

NAME: Final = "adopt"


async def run(order: Order, ledger: Ledger, output: GateOutput) -> StageResult:
    """Verify the database and stamp it. Raise Stopped with every difference."""
    adopted = await product.adopt(
        order.url, ledger, service_role=order.service_role, say=output.say
    )
    if await current(order.url) == history()[0].name:
        # So that the status can say what was seen, without building a scratch database again.
        inspection = await inspect_live(order, ledger)
        await store_look(ledger, inspection, inspection.findings)
    return StageResult(
        adopted.words,
        evidence={"revision": adopted.revision, "acquainted": list(adopted.acquainted)},
        final_words=adopted.words,
    )
