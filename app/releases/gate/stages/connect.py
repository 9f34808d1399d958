"""Stage 1: reach the database, become the only gate, and open the run's page in the ledger."""

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import Final

import asyncpg

from app.database.dial import Dialer
from app.database.url import DatabaseUrl
from app.errors import PoolerInTheWay
from app.releases.apply.backends import end_orphans
from app.releases.connection.server_faults import server_fault
from app.releases.gate.run import NOBODY, Connected, Order
from app.releases.identity import HOLDS_FOREIGN_TABLES_ONLY
from app.releases.ledger.ledger import Ledger
from app.releases.migrations.migration_session import GATE_LOCK, GATE_NAME, holder_sql, jittered
from app.releases.migrations.revisions import heads
from app.releases.output import GateOutput
from app.releases.product import Statements, session_faults
from app.releases.verdict import Stopped, Verdict

NAME: Final = "connect"
_AWAY: Final = (
    OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError, asyncpg.InterfaceError,
)  # fmt: skip
_REJECTED: Final = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)
# Where what a revision creates would go.
_OTHER_HOME: Final = """SELECT format('New tables would go to the schema %s instead of public'
  ' (search_path: %s): run ALTER ROLE %I IN DATABASE %I SET search_path = public.',
  coalesce(current_schema(), '(none)'), current_setting('search_path'), session_user,
  current_database()) WHERE current_schema() IS DISTINCT FROM 'public'"""
_STRANGE: Final = f"""SELECT {HOLDS_FOREIGN_TABLES_ONLY}
  AND to_regclass('alembic_version') IS NULL AND to_regclass('release_runs') IS NULL"""
_RUNNING: Final = (
    "SELECT format('run %s (%s by %s, since %s)', id, word, who, to_char(started_at, 'HH24:MI:SS'))"
    " FROM release_runs WHERE finished_at IS NULL ORDER BY id DESC LIMIT 1"
)


async def run(
    order: Order, statements: Statements, output: GateOutput, stack: AsyncExitStack
) -> Connected:
    """Connect, wait for another run to end, and end what a killed one left running."""
    _raise_if_nobody(order)
    _raise_if_forked()
    address = DatabaseUrl.parse(order.url)
    if address.pgbouncer:
        raise Stopped(
            Verdict.REFUSED,
            "The database is reached through a pooler, where locks do not hold: set "
            "DATABASE_UNPOOLED_URL to the server's own address.",
        )
    began = time.monotonic()
    connection = await _connect(order, address, output)
    stack.push_async_callback(connection.close, timeout=5)
    version = connection.get_server_version()
    server = f"{version.major}.{version.minor}"
    await _raise_if_unfit(connection, statements)
    await _raise_if_service_unfit(order, statements)
    await _raise_if_strange(connection)
    ledger = Ledger(connection)
    await _wait_for_lock(order, ledger, output)
    role = order.service_role
    await ledger.prepare(role and await ledger.fetch_value("SELECT quote_ident($1)", role))
    orphans = await end_orphans(connection, output.say)
    return Connected(
        f"PostgreSQL {server}, {address.redacted()}",
        evidence={"server": server, "seconds": time.monotonic() - began,
                  "orphansEnded": [str(orphan) for orphan in orphans]},
        ledger=ledger,
    )  # fmt: skip


def _raise_if_nobody(order: Order) -> None:
    """Raise Stopped where a person must answer for the run, and no name or reason is there."""
    reasons = [reason for reason in (order.override, order.supersede) if reason is not None]
    if order.word in {"rollback", "adopt"}:
        reasons.append(order.why or "")
    if reasons and (order.who == NOBODY or not all(w.strip() for w in (order.who, *reasons))):
        raise Stopped(
            Verdict.REFUSED, "Say who you are and why: --who NAME and a reason that is not empty."
        )


def _raise_if_forked() -> None:
    if len(names := heads()) != 1:
        raise Stopped(
            Verdict.BROKEN,
            f"This image's revisions have {len(names)} heads ({', '.join(names)}): two were "
            "written after the same one. Let one follow the other, and deploy again.",
            {"heads": names},
        )


async def _raise_if_strange(connection: asyncpg.Connection) -> None:
    """Raise Stopped where the database holds tables, and none of ours."""
    if await connection.fetchval(_STRANGE):
        raise Stopped(
            Verdict.REFUSED,
            "The database holds tables, and none of them is ours: is DATABASE_URL the right one? "
            "Signalbook wants an empty database, its own, or the older service's.",
        )


async def _connect(order: Order, address: DatabaseUrl, output: GateOutput) -> asyncpg.Connection:
    """Connect with back-off: a fresh private network may take a minute to come up."""
    deadline = time.monotonic() + order.connect_patience
    wait = 0.25
    named = replace(address, application_name=GATE_NAME)
    while True:
        try:
            return await _dial(named)
        except _REJECTED as no:
            raise server_fault(no) or Stopped(
                Verdict.UNREACHABLE, f"PostgreSQL lets nobody in: {no}."
            ) from no
        except _AWAY as away:
            if time.monotonic() + wait > deadline:
                why = server_fault(away)
                raise Stopped(
                    why.verdict if why else Verdict.UNREACHABLE,
                    f"The database at {address.host} did not answer for "
                    f"{order.connect_patience:.0f} s ({type(away).__name__}); nothing was "
                    f"changed. {why.words if why else 'Run it again when it is there.'}",
                ) from away
            if wait == 0.25:
                output.say(f"The database does not answer yet ({type(away).__name__}) …")
            await asyncio.sleep(jittered(wait))
            wait = min(wait * 2, 5.0)


async def _raise_if_unfit(
    connection: asyncpg.Connection, statements: Statements, whose: str = "gate"
) -> None:
    """Raise Stopped on a session where names, characters or writes would go astray."""
    faults = await session_faults(connection, statements)
    if whose == "gate" and not faults:
        faults = list(filter(None, [await connection.fetchval(_OTHER_HOME)]))
    if faults:
        raise Stopped(
            Verdict.REFUSED,
            f"The {whose}'s connection is unfit: {' '.join(faults)} Nothing was changed.",
            {"findings": faults},
        )


async def _raise_if_service_unfit(order: Order, statements: Statements) -> None:
    """Raise Stopped where the service comes another way, to a session that does not fit.

    One that may not connect yet, or not read, is named by the stage "verify".
    """
    if order.service_url == order.url:
        return
    with suppress(*_AWAY, asyncpg.PostgresError):
        connection = await _dial(DatabaseUrl.parse(order.service_url))
        try:
            await _raise_if_unfit(connection, statements, "service")
        finally:
            connection.terminate()


async def _dial(address: DatabaseUrl) -> asyncpg.Connection:
    """Connect. Raise Stopped where a pooler would mix up sessions, before anything is locked."""
    try:
        return await Dialer(announced=address.pgbouncer)(address.connect_args())
    except PoolerInTheWay as pooler:
        raise Stopped(Verdict.REFUSED, pooler.message) from pooler


async def _wait_for_lock(order: Order, ledger: Ledger, output: GateOutput) -> None:
    """Wait for another gate by polling: waiting inside the lock would hold a snapshot."""
    deadline = time.monotonic() + order.patience
    is_announced = False
    while not await ledger.try_lock():
        who = await _describe_holder(ledger)
        if not is_announced:
            output.say(f"Another release is running: {who}; waiting for it to finish.")
            is_announced = True
        if time.monotonic() > deadline:
            words = (
                f"Another release still runs after {order.patience:.0f} s: {who}; nothing "
                "was changed: run it again when that one has finished."
            )
            await ledger.turned_away(order.word, order.who, order.why, words)
            raise Stopped(Verdict.CONTENDED, words)
        await asyncio.sleep(jittered(0.5))


async def _describe_holder(ledger: Ledger) -> str:
    """Return which run holds the gate's lock, and on which session."""
    holder = await ledger.fetch_value(holder_sql(GATE_LOCK)) or "its session is gone by now"
    try:
        running = await ledger.fetch_value(_RUNNING) or "it has just begun"
    except asyncpg.UndefinedTableError:
        running = "it has just begun"
    return f"{running}, on {holder}"
