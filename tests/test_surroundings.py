"""What the server, the way to it or its version row has done is never laid at the image's door."""

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
import pytest

from app.database.url import DatabaseUrl
from app.releases.apply.error_verdicts import failed, stopped
from app.releases.connection.open_connection import open_connection
from app.releases.connection.server_faults import server_fault
from app.releases.gate.gate import ADOPT, PLAN, RESUME, ROLLBACK
from app.releases.gate.run import Ended
from app.releases.ledger.decisions import decide
from app.releases.migrations import alembic_runner
from app.releases.migrations.version_row import BadVersionRow
from app.releases.rehearsal import copies
from app.releases.schema import drift
from app.releases.schema.compare_databases import compare_databases
from app.releases.status.status import status
from app.releases.verdict import MigrationError, Stopped, Verdict
from tests.support import forks
from tests.support.databases import Server, execute
from tests.support.gates import Heard, ran, rows
from tests.support.service import examined

ROLE: Final = f"few_connections_{os.getpid()}"  # a role is the whole server's


def of(sqlstate: str, words: str = "") -> asyncpg.PostgresError:
    return asyncpg.PostgresError.new({"C": sqlstate, "M": words or f"error {sqlstate}"})


def caused(error: Exception) -> Exception:
    """Return an error of ours that came of another, as it travels through the gate."""
    ours = MigrationError(f"PostgreSQL refused: {error}")
    ours.__cause__ = error
    return ours


CASES: Final[dict[str, tuple[Exception, Verdict, str]]] = {
    "a role's limit": (of("53300", 'too many connections for role "a"'), Verdict.CONTENDED,
                       'too many connections for role "a"'),
    "a database's limit": (of("53300", 'too many connections for database "a"'),
                           Verdict.CONTENDED, "raise the limit"),
    "the server's limit": (of("53300", "sorry, too many clients already"), Verdict.CONTENDED,
                           "Close some"),
    "a full disk": (of("53100", "could not extend file"), Verdict.FAILED, "disk"),
    "a full disk, as the system says it": (
        of("58030", "could not write: No space left on device"), Verdict.FAILED, "disk"),
    "memory": (of("53200", "out of memory"), Verdict.FAILED, "memory"),
    "another limit": (of("53400"), Verdict.FAILED, "lacks what it needs"),
    "a file": (of("58P01"), Verdict.FAILED, "log"),
    "read only": (of("25006"), Verdict.FAILED, "takes no writes"),
    "a wrong password": (of("28P01", "password authentication failed"), Verdict.UNREACHABLE,
                         "password"),
    "no way in": (of("28000", "no pg_hba.conf entry"), Verdict.UNREACHABLE, "lets us not in"),
    "no such database": (of("3D000"), Verdict.UNREACHABLE, "no such database"),
    "shut down": (of("57P01"), Verdict.UNREACHABLE, "ended"),
    "starting": (of("57P03"), Verdict.UNREACHABLE, "in a moment"),
    "lost": (asyncpg.ConnectionDoesNotExistError("connection was closed"), Verdict.UNREACHABLE,
             "ended"),
    "closed": (asyncpg.InterfaceError("connection is closed"), Verdict.UNREACHABLE, "ended"),
    "no such host": (socket.gaierror(-2, "Name or service not known"), Verdict.UNREACHABLE,
                     "host is not found"),
    "refused": (ConnectionRefusedError(errno.ECONNREFUSED, "x"), Verdict.UNREACHABLE, "refused"),
    "silent": (TimeoutError(), Verdict.UNREACHABLE, "in time"),
    "its certificate": (ssl.SSLCertVerificationError("certificate verify failed"),
                        Verdict.UNREACHABLE, "TLS"),
    "no TLS": (ConnectionError("server rejected SSL upgrade"), Verdict.UNREACHABLE, "TLS"),
    "our own disk": (OSError(errno.ENOSPC, "No space left on device"), Verdict.FAILED, "disk"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_is_told_from_the_others(case: str) -> None:
    error, verdict, words = CASES[case]
    for each in (error, caused(error), caused(caused(error))):
        found = stopped(each)
        assert found is not None
        assert (found.verdict, words in found.words) == (verdict, True), found.words
    assert failed(error, "ALTER TABLE x").verdict is verdict


@pytest.mark.parametrize(
    "error",
    [of("42P01"), of("23505"), of("22P02"), of("55P03"), of("57014"), FileNotFoundError("x.sql"),
     PermissionError("x"), ValueError("x"), asyncpg.InterfaceError("wrong number of arguments")],
    ids=repr,
)  # fmt: skip
def test_what_a_revision_does_wrong_is_its_own(error: Exception) -> None:
    assert server_fault(error) is None
    assert server_fault(caused(error)) is None


@pytest.mark.parametrize(
    ("last", "verdict"),
    [
        ('FATAL:  too many connections for role "a"', Verdict.CONTENDED),
        ("FATAL:  sorry, too many clients already", Verdict.CONTENDED),
        ("FATAL:  remaining connection slots are reserved for roles", Verdict.CONTENDED),
        ("ERROR:  could not extend file: No space left on device", Verdict.FAILED),
        ("pg_dump: error: could not write: No space left on device", Verdict.FAILED),
        ("ERROR:  out of memory", Verdict.FAILED),
        ("server closed the connection unexpectedly", Verdict.UNREACHABLE),
    ],
)
def test_a_copy_that_fails_of_its_surroundings_says_of_which(last: str, verdict: Verdict) -> None:
    found = copies._failed("psql", 3, last)  # noqa: SLF001  # no disk can be filled here
    assert found.verdict is verdict
    assert "cannot be copied" in found.words


OWNED: Final = f"""DO $$ DECLARE o record; BEGIN
  FOR o IN SELECT CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind, oid::regclass AS name
    FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')
  LOOP EXECUTE format('ALTER %s %s OWNER TO {ROLE}', o.kind, o.name); END LOOP;
  FOR o IN SELECT oid::regtype AS name FROM pg_type
    WHERE typnamespace = 'public'::regnamespace AND typtype = 'e'
  LOOP EXECUTE format('ALTER TYPE %s OWNER TO {ROLE}', o.name); END LOOP;
  FOR o IN SELECT oid::regprocedure AS name FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace
  LOOP EXECUTE format('ALTER FUNCTION %s OWNER TO {ROLE}', o.name); END LOOP;
END $$"""


@asynccontextmanager
async def owned(server: Server, url: str) -> AsyncIterator[str]:
    """Lend the database to a role that owns it and is no superuser, whom no limit would bind."""
    await execute(server.url, f"CREATE ROLE {ROLE} LOGIN CREATEDB")
    try:
        database = DatabaseUrl.parse(url).database
        await execute(server.url, f"ALTER DATABASE {database} OWNER TO {ROLE}")
        await execute(url, f"GRANT ALL ON SCHEMA public TO {ROLE}")
        await execute(url, OWNED)
        yield f"{url}{'&' if '?' in url else '?'}user={ROLE}"
    finally:
        await execute(url, f"REASSIGN OWNED BY {ROLE} TO CURRENT_USER")
        await execute(url, f"DROP OWNED BY {ROLE}")
        await execute(server.url, f"DROP ROLE {ROLE}")


async def ended_with(server: Server, url: str, limit: int) -> Ended:
    await execute(server.url, f"ALTER ROLE {ROLE} CONNECTION LIMIT {limit}")
    return await ran(url, connect_patience=0.5)


async def test_too_few_connections_are_no_fault_of_the_image(
    postgres_server: Server, empty_database: str
) -> None:
    """However far the release comes with them."""
    async with owned(postgres_server, empty_database) as url:
        for limit in range(8):
            ended = await ended_with(postgres_server, url, limit)
            if ended.verdict is Verdict.DONE:
                break
            assert ended.verdict is Verdict.CONTENDED, ended
            assert "too many connections for role" in ended.words
            assert "mend the rev" not in ended.words
    assert limit > 2
    assert ended.verdict is Verdict.DONE


async def test_nor_in_the_rehearsals_copy(postgres_server: Server, adopted_database: str) -> None:
    async with owned(postgres_server, adopted_database) as url:
        for limit in range(2, 9):
            ended = await ended_with(postgres_server, url, limit)
            if ended.verdict is Verdict.AWAITING_APPROVAL:
                break
            assert ended.verdict is Verdict.CONTENDED, ended
        kept = await rows(url, "SELECT passed FROM release_rehearsals")
    assert ended.verdict is Verdict.AWAITING_APPROVAL
    assert [row["passed"] for row in kept] == [True]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://someone@127.0.0.1:1/none", "connection refused"),
        ("postgresql://someone@no-such-host.invalid/none", "host is not found"),
    ],
)
@pytest.mark.parametrize("stages", [PLAN, ADOPT], ids=["plan", "adopt"])
async def test_the_way_to_it_is_told(url: str, words: str, stages: Any) -> None:
    order: dict[str, Any] = {
        "who": "anna",
        "why": "x",
        "word": "adopt" if stages is ADOPT else "plan",
    }
    ended = await ran(url, stages, connect_patience=0.3, **order)
    assert (ended.verdict, words in ended.words) == (Verdict.UNREACHABLE, True), ended.words


async def test_an_unknown_database_is_told_everywhere(own_database: str) -> None:
    url = f"{own_database}{'&' if '?' in own_database else '?'}dbname=no_such_thing"
    ended = await ran(url, connect_patience=0.3)
    assert (ended.verdict, "no such database" in ended.words) == (Verdict.UNREACHABLE, True)


async def test_an_address_that_cannot_be_used_is_a_verdict_of_the_gate_too() -> None:
    heard = Heard()
    ended = await ran("${{Postgres.DATABASE_URL}}", heard=heard)
    assert ended.verdict is Verdict.MISCONFIGURED
    assert not any("Traceback" in line for line in heard.lines)


# The row in which the revision stands.

ROWS: Final = {
    "two rows": ("INSERT INTO alembic_version VALUES ('0001_older_schema')", "holds 2 rows"),
    "an unknown second": ("INSERT INTO alembic_version VALUES ('9999_x')", "holds 2 rows"),
    "NULL": (
        """ALTER TABLE alembic_version DROP CONSTRAINT alembic_version_pkc;
        ALTER TABLE alembic_version ALTER version_num DROP NOT NULL;
        UPDATE alembic_version SET version_num = NULL""",
        "names no revision",
    ),
    "blank": ("UPDATE alembic_version SET version_num = ' '", "names no revision"),
    "another form": (
        "DROP TABLE alembic_version; CREATE TABLE alembic_version (id int, version int)",
        "something else has that name",
    ),
    "a number": (
        "DROP TABLE alembic_version; CREATE TABLE alembic_version (version_num int)",
        "something else has that name",
    ),
    "a view": (
        "DROP TABLE alembic_version; CREATE VIEW alembic_version AS SELECT 'x'::text version_num",
        "something else has that name",
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
async def test_a_version_row_that_names_no_revision_is_told(own_database: str, row: str) -> None:
    sql, words = ROWS[row]
    await execute(own_database, sql)
    with pytest.raises(BadVersionRow, match=words):
        await alembic_runner.current(own_database)
    with pytest.raises(MigrationError, match=words):
        await alembic_runner.upgrade(own_database, say=lambda _: None)
    with pytest.raises(MigrationError, match=words):
        await drift.inspect(own_database)
    found = await status(own_database)
    assert (found["state"], found["revision"]) == (None, None)
    assert words in found["nextCommand"]["words"]
    health = await examined(own_database)
    assert (health.healthy, health.state) == (False, "unclear")
    assert all(words in resource for resource in health.resources.values())


@pytest.mark.parametrize("row", ["two rows", "another form"])
async def test_the_gate_says_it_in_every_word(own_database: str, row: str) -> None:
    sql, words = ROWS[row]
    await execute(own_database, sql)
    by_anna = {"who": "anna", "why": "x"}
    for stages, order in (
        (PLAN, {}), (RESUME, {"word": "resume"}), (ROLLBACK, {"word": "rollback"} | by_anna),
        (ADOPT, {"word": "adopt"} | by_anna),
    ):  # fmt: skip
        heard = Heard()
        ended = await ran(own_database, stages, heard=heard, **order)
        assert (ended.verdict, words in ended.words) == (Verdict.DRIFTED, True), ended
        assert not any("Traceback" in line for line in heard.lines)


async def test_the_other_databases_version_row_is_told(
    own_database: str, adopted_database: str
) -> None:
    await execute(adopted_database, ROWS["two rows"][0].replace("0001", "0002"))
    with pytest.raises(Stopped, match=r"In the other database.* holds 2 rows") as stopped_:
        await compare_databases(own_database, adopted_database)
    assert stopped_.value.verdict is Verdict.DRIFTED


async def test_an_empty_history_is_no_history(own_database: str) -> None:
    """Whoever emptied it has left the tables: they are nobody's to adopt or to build again."""
    await execute(own_database, "DELETE FROM alembic_version")
    ended = await ran(own_database)
    assert ended.verdict is Verdict.DRIFTED
    assert "no revision is noted" in ended.words
    adopting = await ran(own_database, ADOPT, word="adopt", who="anna", why="x")
    assert adopting.verdict is Verdict.DRIFTED, adopting


@pytest.mark.parametrize("words", [("status",), ("drift",), ("release", "status")], ids=" ".join)
async def test_no_word_prints_a_traceback(own_database: str, words: tuple[str, ...]) -> None:
    await execute(own_database, ROWS["two rows"][0])
    environment = {"PATH": "/usr/bin:/bin", "DATABASE_URL": own_database}
    done = await asyncio.to_thread(forks.run, "app", *words, env=environment)
    assert "holds 2 rows" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


async def test_a_decision_needs_a_database_that_answers() -> None:
    with pytest.raises(MigrationError, match="connection refused") as away:
        async with open_connection("postgresql://someone@127.0.0.1:1/none") as connection:
            await decide(connection, "0" * 8, "approve", who="anna", why="x")
    found = stopped(away.value)
    assert isinstance(found, Stopped)
    assert found.verdict is Verdict.UNREACHABLE
