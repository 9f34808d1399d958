"""Stage 1: reach the database, become the only gate, and open the run's page in the ledger."""

import asyncio
import time
from typing import Final

import asyncpg

from app.database_url import DatabaseUrl
from app.releases.backends import end_orphans
from app.releases.ledger import Ledger
from app.releases.release import NOBODY, Order, Outcome, Release
from app.releases.revisions import heads
from app.releases.session import jittered
from app.releases.surroundings import surroundings
from app.releases.verdict import Stopped, Verdict

NAME: Final = "connect"
OLDEST: Final = 150_000  # server_version_num of PostgreSQL 15
_LEDGER_NAME: Final = "signalbook-gate"
_AWAY: Final = (
    OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError, asyncpg.InterfaceError,
)  # fmt: skip
_READ_ONLY: Final = (
    "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean"
)
_STRANGE: Final = """SELECT EXISTS (SELECT FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p'))
  AND NOT EXISTS (SELECT FROM unnest(ARRAY['alembic_version', 'release_runs', 'productions',
    'cameras']) AS t WHERE to_regclass(t) IS NOT NULL)"""
_RUNNING: Final = (
    "SELECT format('run %s (%s by %s, since %s)', id, word, who, to_char(started_at, 'HH24:MI:SS'))"
    " FROM release_runs WHERE finished_at IS NULL ORDER BY id DESC LIMIT 1"
)


async def run(release: Release) -> Outcome:
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
    await _raise_if_unfit(connection)
    await _raise_if_strange(connection)
    ledger = Ledger(connection)
    await _alone(release, ledger)
    await ledger.prepare(await _quoted(connection, order.service_role))
    release.ledger = ledger
    ended = await end_orphans(connection, release.tell.say)
    return Outcome(
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
        **arguments["server_settings"], "application_name": _LEDGER_NAME,
    }  # fmt: skip
    while True:
        try:
            return await asyncpg.connect(**arguments)
        except (
            asyncpg.InvalidAuthorizationSpecificationError,
            asyncpg.InvalidCatalogNameError,
        ) as no:
            raise surroundings(no) or Stopped(
                Verdict.UNREACHABLE, f"PostgreSQL lets nobody in: {no}."
            ) from no
        except _AWAY as away:
            if time.monotonic() + wait > deadline:
                why = surroundings(away)
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


async def _raise_if_unfit(connection: asyncpg.Connection) -> None:
    if (number := int(await connection.fetchval("SHOW server_version_num"))) < OLDEST:
        raise Stopped(
            Verdict.REFUSED,
            f"PostgreSQL {number // 10_000} is too old: 15 is the oldest that works.",
        )
    if await connection.fetchval(_READ_ONLY):
        raise Stopped(
            Verdict.REFUSED, "The database takes no writes: it is a standby, or set to read only."
        )


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
    try:
        return str(await ledger.value(_RUNNING) or "it has just begun")
    except asyncpg.UndefinedTableError:
        return "it has just begun"


async def _quoted(connection: asyncpg.Connection, role: str | None) -> str | None:
    return role and str(await connection.fetchval("SELECT quote_ident($1)", role))
