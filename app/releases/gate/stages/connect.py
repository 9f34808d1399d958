"""Stage 1: reach the database, become the only gate, and open the run's page in the ledger."""

import asyncio
import time
from contextlib import suppress
from typing import Any, Final

import asyncpg

from app.database.dial import Dialer
from app.database.url import DatabaseUrl
from app.errors import PoolerInTheWay
from app.health.session_fitness import needs_of, session_findings
from app.releases.apply.backends import end_orphans
from app.releases.connection.migration_session import GATE_LOCK, GATE_NAME, holder_sql, jittered
from app.releases.connection.server_faults import server_fault
from app.releases.gate.run import NOBODY, Order, Release, StageResult
from app.releases.ledger.ledger import Ledger
from app.releases.migrations.revisions import heads
from app.releases.verdict import Stopped, Verdict

NAME: Final = "connect"
_AWAY: Final = (
    OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError, asyncpg.InterfaceError,
)  # fmt: skip
# Where what a revision creates would go.
_OTHER_HOME: Final = """SELECT format('New tables would go to the schema %s instead of public'
  ' (search_path: %s): run ALTER ROLE %I IN DATABASE %I SET search_path = public.',
  coalesce(current_schema(), '(none)'), current_setting('search_path'), session_user,
  current_database()) WHERE current_schema() IS DISTINCT FROM 'public'"""
_STRANGE: Final = """SELECT EXISTS (SELECT FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p'))
  AND NOT EXISTS (SELECT FROM unnest(ARRAY['alembic_version', 'release_runs', 'productions',
    'cameras']) AS t WHERE to_regclass(t) IS NOT NULL)"""
_RUNNING: Final = (
    "SELECT format('run %s (%s by %s, since %s)', id, word, who, to_char(started_at, 'HH24:MI:SS'))"
    " FROM release_runs WHERE finished_at IS NULL ORDER BY id DESC LIMIT 1"
)


async def run(release: Release) -> StageResult:
    """Connect, wait for another run to end, and end what a killed one left running."""
    order = release.order
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
    connection = await _reached(release, address)
    release.stack.push_async_callback(connection.close, timeout=5)
    version = connection.get_server_version()
    tables = needs_of(release.statements).all_tables
    await _raise_if_unfit(connection, tables)
    await _raise_if_service_unfit(order, tables)
    await _raise_if_strange(connection)
    ledger = Ledger(connection)
    await _alone(release, ledger)
    await ledger.prepare(await _quoted(connection, order.service_role))
    release.ledger = ledger
    ended = await end_orphans(connection, release.tell.say)
    return StageResult(
        f"PostgreSQL {version.major}.{version.minor}, {address.redacted()}",
        {"server": f"{version.major}.{version.minor}", "seconds": time.monotonic() - began,
         "orphansEnded": [str(orphan) for orphan in ended]},
    )  # fmt: skip


def _raise_if_nobody(order: Order) -> None:
    """What a person answers for has that person's name, and a reason."""
    reasons = [order.override, order.supersede]
    asked = order.word in {"rollback", "adopt"} or any(reason is not None for reason in reasons)
    given = [order.who, *(r for r in reasons if r is not None)]
    if order.word in {"rollback", "adopt"}:
        given.append(order.why or "")
    if asked and (order.who == NOBODY or not all(word.strip() for word in given)):
        raise Stopped(
            Verdict.REFUSED, "Say who you are and why: --who NAME and a reason that is not empty."
        )


def _raise_if_forked() -> None:
    if len(found := heads()) != 1:
        raise Stopped(
            Verdict.BROKEN,
            f"This image's revisions have {len(found)} heads ({', '.join(found)}): two were "
            "written after the same one. Let one follow the other, and deploy again.",
            {"heads": found},
        )


async def _raise_if_strange(connection: asyncpg.Connection) -> None:
    """Leave a database alone that holds something, and nothing of ours."""
    if await connection.fetchval(_STRANGE):
        raise Stopped(
            Verdict.REFUSED,
            "The database holds tables, and none of them is ours: is DATABASE_URL the right one? "
            "Signalbook wants an empty database, its own, or the older service's.",
        )


async def _reached(release: Release, address: DatabaseUrl) -> asyncpg.Connection:
    """Connect with back-off: a fresh private network may take a minute to come up."""
    deadline = time.monotonic() + release.order.connect_patience
    wait = 0.25
    arguments = address.connect_args()
    arguments["server_settings"] = {
        **arguments["server_settings"], "application_name": GATE_NAME,
    }  # fmt: skip
    while True:
        try:
            return await _dialled(address, arguments)
        except (
            asyncpg.InvalidAuthorizationSpecificationError,
            asyncpg.InvalidCatalogNameError,
        ) as no:
            raise server_fault(no) or Stopped(
                Verdict.UNREACHABLE, f"PostgreSQL lets nobody in: {no}."
            ) from no
        except _AWAY as away:
            if time.monotonic() + wait > deadline:
                why = server_fault(away)
                raise Stopped(
                    why.verdict if why else Verdict.UNREACHABLE,
                    f"The database at {address.host} did not answer for "
                    f"{release.order.connect_patience:.0f} s ({type(away).__name__}); nothing was "
                    f"changed. {why.words if why else 'Run it again when it is there.'}",
                ) from away
            if wait == 0.25:
                release.tell.say(f"The database does not answer yet ({type(away).__name__}) …")
            await asyncio.sleep(jittered(wait))
            wait = min(wait * 2, 5.0)


async def _raise_if_unfit(
    connection: asyncpg.Connection, tables: list[str], whose: str = "gate"
) -> None:
    """Refuse a session on which names, characters or writes would go astray."""
    found = (await session_findings(connection, tables)).words
    if whose == "gate" and not found:
        found = list(filter(None, [await connection.fetchval(_OTHER_HOME)]))
    if found:
        raise Stopped(
            Verdict.REFUSED,
            f"The {whose}'s connection is unfit: {' '.join(found)} Nothing was changed.",
            {"findings": found},
        )


async def _raise_if_service_unfit(order: Order, tables: list[str]) -> None:
    """Look as the service will, where it comes another way. One that may not come in yet, or not
    read, is the last stage's to name."""
    if order.service_url == order.url:
        return
    address = DatabaseUrl.parse(order.service_url)
    with suppress(*_AWAY, asyncpg.PostgresError):
        connection = await _dialled(address, address.connect_args())
        try:
            await _raise_if_unfit(connection, tables, "service")
        finally:
            connection.terminate()


async def _dialled(address: DatabaseUrl, arguments: dict[str, Any]) -> asyncpg.Connection:
    """Connect. Raises Stopped where a pooler would mix up sessions, before anything is locked."""
    try:
        return await Dialer(announced=address.pgbouncer)(arguments)
    except PoolerInTheWay as pooler:
        raise Stopped(Verdict.REFUSED, pooler.message) from pooler


async def _alone(release: Release, ledger: Ledger) -> None:
    """Wait for another gate by polling: waiting inside the lock would hold a snapshot."""
    deadline = time.monotonic() + release.order.patience
    told = False
    while not await ledger.try_lock():
        who = await _other(ledger)
        if not told:
            release.tell.say(f"Another release is running: {who}; waiting for it to finish.")
            told = True
        if time.monotonic() > deadline:
            words = (
                f"Another release still runs after {release.order.patience:.0f} s: {who}; nothing "
                "was changed: run it again when that one has finished."
            )
            order = release.order
            await ledger.turned_away(order.word, order.who, order.why, words)
            raise Stopped(Verdict.CONTENDED, words)
        await asyncio.sleep(jittered(0.5))


async def _other(ledger: Ledger) -> str:
    """Say which run holds the gate's lock, and on which session."""
    holder = await ledger.fetch_value(holder_sql(GATE_LOCK)) or "its session is gone by now"
    try:
        running = await ledger.fetch_value(_RUNNING) or "it has just begun"
    except asyncpg.UndefinedTableError:
        running = "it has just begun"
    return f"{running}, on {holder}"


async def _quoted(connection: asyncpg.Connection, role: str | None) -> str | None:
    return role and str(await connection.fetchval("SELECT quote_ident($1)", role))
