"""Whether the older side is gone, which a contract waits for, and what the contract takes away."""

from app.database.url import DatabaseUrl
from app.releases.apply.backends import foreign_sessions
from app.releases.gate.run import Order
from app.releases.ledger.ledger import Ledger
from app.releases.plan.plan import Plan
from app.releases.product import older_service
from app.releases.verdict import Stopped, Verdict


def harmless_names(order: Order) -> tuple[str, ...]:
    """Return the application names of sessions that a contract need not wait for."""
    urls = (DatabaseUrl.parse(url) for url in (order.url, order.service_url))
    return (*order.harmless_sessions, *(url.application_name for url in urls))


async def raise_if_older_side_lives(ledger: Ledger, order: Order, plan: Plan) -> None:
    """Raise Stopped (REFUSED) before a contract while others are connected, or wrote lately."""
    if not plan.is_final:
        return
    sessions = await foreign_sessions(ledger, harmless_names(order))
    evidence = {"connected": [str(session) for session in sessions]}
    lately = order.quiet_seconds
    if sessions:
        count = "a session is" if len(sessions) == 1 else f"{len(sessions)} sessions are"
        lives = (
            f"{count} connected that this service did not open: {sessions[0]}. Stop the older "
            "service and close its sessions, or name one that is harmless in HARMLESS_SESSIONS; "
            "then run the release again."
        )
    elif older_service and (tables := await older_service.tables_written_by_older(ledger, lately)):
        evidence["written"] = tables
        lives = (
            f"it wrote in the last {lately / 60:.0f} minutes ({', '.join(tables)}): "
            "stop it, wait until CONTRACT_QUIET_MINUTES are over, and run the release again."
        )
    else:
        return
    without_way_back = "takes away what an older service reads and writes, without a way back, and"
    raise Stopped(Verdict.REFUSED, f"{plan.target} {without_way_back} {lives}", evidence)


async def with_losses(ledger: Ledger, order: Order, plan: Plan, words: str) -> str:
    """Return the words, and what is lost after them."""
    return f"{words} {await what_is_lost(ledger, order, plan)}".rstrip()


async def what_is_lost(ledger: Ledger, order: Order, plan: Plan) -> str:
    """Return what a contract takes away for good, and who is connected; "" for what comes back."""
    if not plan.is_final:
        return ""
    connected = "; ".join(map(str, await foreign_sessions(ledger, harmless_names(order))))
    return (
        f"NO WAY BACK: it drops from {plan.destroyed} ({'; '.join(plan.losses)}). Connected beside "
        f"this service: {connected or 'nobody'}."
    )
