"""A copy of the live database: whole, out of others' way, and gone whatever happens."""

import asyncio
import os
import shutil
import ssl
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from app.database.url import DatabaseUrl
from app.releases.connection.open_connection import open_connection
from app.releases.migrations import revisions
from app.releases.migrations.alembic_runner import upgrade
from app.releases.rehearsal import copies
from app.releases.rehearsal.checks import read_copy_snapshot as carried
from app.releases.rehearsal.contents import describe_changes, read_contents
from app.releases.rehearsal.copies import copy_of
from app.releases.rehearsal.tool_socket import open_tool_socket
from app.releases.schema.comparison.compare_snapshots import compare
from app.releases.schema.introspection.introspect import read_snapshot
from app.releases.schema.scratch_database import NoScratch, scratch_database
from app.releases.verdict import Stopped, Verdict
from app.settings import PROJECT
from tests import legacy
from tests.older_service import OlderService
from tests.support.databases import Server, column, execute

ROLE: Final = f"signalbook_copy_{os.getpid()}"
SECRET: Final = "s3cr3t-of-the-test"
SCRATCHES: Final = "SELECT datname FROM pg_database WHERE datname LIKE 'signalbook_scratch_%'"


def unheard(_name: str, _done: int, _total: int) -> None:
    """Nobody follows the progress."""


@pytest.fixture(scope="session")
def filled(postgres_server: Server) -> str:
    """Return an older database with a table of the gate and one that is not ours."""

    async def fill(url: str) -> None:
        await upgrade(url, revisions.history()[0].name, say=legacy.quiet)
        async with open_connection(url) as connection:
            await legacy.populate(connection, 0.2)
            await connection.execute(
                "CREATE TABLE crew_calls (id text PRIMARY KEY, production_id text NOT NULL"
                " REFERENCES productions (id) ON UPDATE CASCADE);"
                "INSERT INTO crew_calls SELECT id, id FROM productions;"
                "CREATE TABLE release_runs (id bigint GENERATED ALWAYS AS IDENTITY)"
            )

    return postgres_server.template("copied", lambda url: asyncio.run(fill(url)))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the scratch databases that copies were made in."""
    names: list[str] = []

    @asynccontextmanager
    async def noted(url: str) -> AsyncIterator[str]:
        async with scratch_database(url) as lent:
            names.append(DatabaseUrl.parse(lent).database)
            yield lent

    monkeypatch.setattr(copies, "scratch_database", noted)
    return names


@pytest.fixture
def live(postgres_server: Server, filled: str) -> Iterator[str]:
    with postgres_server.lent(filled) as url:
        yield url


async def everything(connection: asyncpg.Connection) -> dict[str, tuple[int, str]]:
    tables = (await read_snapshot(connection)).tables
    return await read_contents(
        connection, {n: list(t.columns) for n, t in tables.items() if n != "release_runs"}
    )


async def test_a_copy_holds_everything_but_the_gates_own_tables(live: str) -> None:
    told: list[tuple[str, int, int]] = []
    async with open_connection(live) as connection:
        schema, rows = await carried(connection), await everything(connection)
    async with copy_of(live, legacy.quiet, lambda *t: told.append(t)) as copy:
        async with open_connection(copy.url) as connection:
            assert await everything(connection) == rows
            there = await carried(connection)
        assert [f.object for f in compare(schema, there)] == ["release_runs"]
        assert sum(count for count, _ in rows.values()) > 1000
        assert copy.as_json()["bytes"] == copy.bytes > 100_000
        assert copy.url not in repr(copy)
    assert DatabaseUrl.parse(copy.url).database not in await column(live, SCRATCHES)
    assert told[0][0] == "copy"
    assert all(0 < done <= total for _, done, total in told)
    assert told[-1][1] == told[-1][2]


async def test_others_read_and_write_while_it_is_made(live: str) -> None:
    written = 0

    async def write(older: OlderService) -> None:
        nonlocal written
        while True:
            await older.upsert("productions", "show")
            await older.insert("ccus", f"ccu {written}")
            written += 1

    async with open_connection(live) as idle, open_connection(live) as connection:
        async with idle.transaction():
            await idle.execute("UPDATE cameras SET name = 'not committed'")
            writing = asyncio.create_task(write(OlderService(connection, "meanwhile")))
            async with copy_of(live, legacy.quiet, unheard) as copy:
                assert not writing.done()
                count = await column(
                    copy.url, "SELECT count(*) FROM cameras WHERE name LIKE 'not%'"
                )
                orphans = "SELECT id FROM ccus c WHERE NOT EXISTS (SELECT FROM productions p"
                assert not await column(copy.url, f"{orphans} WHERE p.id = c.production_id)")
        writing.cancel()
        await asyncio.wait([writing])
    assert count == [0]
    assert written > 0


async def test_a_table_that_stays_locked_is_contention(
    live: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "LOCK_WAIT", 200)
    async with open_connection(live) as holder, holder.transaction():
        await holder.execute("LOCK TABLE cameras IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Stopped, match="run it again when they are done") as stopped:
            async with copy_of(live, legacy.quiet, unheard):
                pytest.fail("there is no copy")
    assert stopped.value.verdict is Verdict.CONTENDED


async def test_a_copy_that_fails_tells_the_last_words_and_no_secret(
    live: str, made: list[str]
) -> None:
    # What a CHECK reads is not found while pg_dump has emptied the search_path.
    await execute(
        live,
        "CREATE FUNCTION has_show(text) RETURNS boolean LANGUAGE plpgsql"
        " AS 'BEGIN RETURN EXISTS (SELECT FROM productions WHERE id = $1); END';"
        "ALTER TABLE crew_calls ADD CHECK (has_show(production_id))",
    )
    url = f"{live}&password={SECRET}"
    with pytest.raises(Stopped, match=r'(?s)psql ended with code 3.*"productions" does') as stopped:
        async with copy_of(url, legacy.quiet, unheard):
            pytest.fail("there is no copy")
    assert stopped.value.verdict is Verdict.FAILED
    assert SECRET not in str(stopped.value)
    assert made
    assert not set(made) & set(await column(live, SCRATCHES))


async def test_a_table_that_may_not_be_read_is_named(live: str, postgres_server: Server) -> None:
    await execute(live, f"CREATE ROLE {ROLE} LOGIN CREATEDB")
    try:
        with pytest.raises(Stopped, match=r"(?s)pg_dump ended with code 1.*permission denied"):
            async with copy_of(f"{live}&user={ROLE}", legacy.quiet, unheard):
                pytest.fail("there is no copy")
        await execute(live, f"ALTER ROLE {ROLE} NOCREATEDB")
        with pytest.raises(NoScratch, match=f"ALTER ROLE {ROLE} CREATEDB"):
            async with copy_of(f"{live}&user={ROLE}", legacy.quiet, unheard):
                pytest.fail("there is no copy")
    finally:
        await execute(postgres_server.url, f"DROP ROLE {ROLE}")


@pytest.mark.parametrize(
    ("folders", "version", "words"),
    [([], "", "here is none"), ([Path("/old")], "14.2", "here is 14.2 in /old")],
)
async def test_without_a_fitting_pg_dump_it_says_what_to_install(
    live: str, monkeypatch: pytest.MonkeyPatch, folders: list[Path], version: str, words: str
) -> None:
    async def told(_: Path) -> str:
        return version

    monkeypatch.setattr(copies, "_folders", lambda: folders)
    monkeypatch.setattr(copies, "_version", told)
    with pytest.raises(Stopped, match=words) as stopped:
        async with copy_of(live, legacy.quiet, unheard):
            pytest.fail("there is no copy")
    assert "postgresql-client-" in stopped.value.words


async def test_a_setting_that_an_older_server_lacks_is_left_out() -> None:
    script = asyncio.StreamReader()
    script.feed_data(
        b"--\n-- PostgreSQL database dump\n\\restrict x\nSET lock_timeout = 0;\n"
        b"SET transaction_timeout = 0;\nCREATE TABLE t ();\nSET transaction_timeout = 1;\n"
    )
    script.feed_eof()
    head = await copies.head_of(script, frozenset({"lock_timeout"}))
    assert b"SET lock_timeout = 0;" in head
    assert b"transaction_timeout" not in head
    assert head.endswith(b"CREATE TABLE t ();\n")


@pytest.fixture
def latin(postgres_server: Server) -> Iterator[str]:
    """Return a database that encodes and sorts as no other here does."""
    name = f"signalbook_test_{os.getpid()}_latin"
    postgres_server.run(
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE_PROVIDER libc"
        " LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    url = postgres_server.within(name)
    yield url
    postgres_server.drop(url)


async def test_a_copy_sorts_and_encodes_as_the_live_database(latin: str) -> None:
    asked = (
        "SELECT format('%s %s %s', getdatabaseencoding(), datlocprovider, datcollate)"
        " FROM pg_database WHERE datname = current_database()"
    )
    await execute(latin, "CREATE TABLE words AS SELECT 'Zürich'::text AS word")
    async with copy_of(latin, legacy.quiet, unheard) as copy:
        assert await column(copy.url, "SELECT word FROM words") == ["Zürich"]
        assert await column(copy.url, asked) == ["LATIN1 c C"]


KILLED: Final = """
import asyncio, sys, time
from contextlib import asynccontextmanager
from app.database.url import DatabaseUrl
from app.releases.rehearsal import copies
from app.releases.schema import scratch_database as scratch

head_of = copies.head_of

@asynccontextmanager
async def told(url):
    async with scratch.scratch_database(url) as lent:
        print(DatabaseUrl.parse(lent).database, flush=True)
        yield lent

async def stall(*given):
    await head_of(*given)
    print(flush=True)
    time.sleep(60)

async def main():
    copies.scratch_database, copies.head_of = told, stall
    async with copies.copy_of(sys.argv[1], lambda _: None, lambda *_: None):
        pass

asyncio.run(main())
"""


async def test_killed_in_the_middle_nothing_is_left(live: str) -> None:
    # Enough to fill every pipe, so that both programs are busy when their parent dies.
    await execute(
        live,
        "INSERT INTO crew_calls SELECT n || repeat(md5(n::text), 30), 'NULL'"
        " FROM generate_series(1, 5000) n",
    )
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, live], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    left = process.stdout.readline().strip()
    assert process.stdout.readline() == "\n"
    connected_ones = (
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'signalbook-copy'"
        f" AND datname IN (current_database(), '{left}')"
    )
    busy = await column(live, connected_ones)
    process.kill()
    process.wait()
    process.stdout.close()
    assert busy
    async with asyncio.timeout(60):
        while await column(live, connected_ones):  # noqa: ASYNC110  # a process tells no event
            await asyncio.sleep(0.01)
    assert left in await column(live, SCRATCHES)
    async with scratch_database(live):
        assert left not in await column(live, SCRATCHES)


# The socket between pg_dump and the server

OFFER: Final = struct.pack("!i", 10) + b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"
STARTUP: Final = struct.pack("!ii", 9, 196_608) + b"\0"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a certificate for localhost, its key in the same file."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl here that would make a certificate")
    made = tmp_path_factory.mktemp("tls") / "server.pem"
    words = "req -new -x509 -days 2 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run(
        ["openssl", *words.split(), "-out", made, "-keyout", made], check=True, capture_output=True
    )
    return made


@pytest.fixture
async def encrypting(certificate: Path) -> AsyncIterator[int]:
    """Return a server that insists on TLS, and offers two ways to sign in; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):  # a client that does not trust us leaves
            assert len(await reader.readexactly(8)) == 8
            writer.write(b"S")
            await writer.start_tls(context)
            assert await reader.readexactly(len(STARTUP)) == STARTUP
            writer.write(struct.pack("!ci", b"R", len(OFFER) + 4) + OFFER)
            writer.write(await reader.readexactly(5))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "localhost")
    yield server.sockets[0].getsockname()[1]
    server.close()


async def spoken(url: str) -> bytes:
    """Say what a program says to begin with; give all that it would be answered."""
    async with open_tool_socket(DatabaseUrl.parse(url), "test") as environment:
        folder = environment["PGHOST"]
        reader, writer = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")
        writer.write(STARTUP + b"hello")
        answer = await reader.read()
        writer.close()
    assert not Path(folder).exists()
    return answer


@pytest.mark.parametrize("trust", ["sslmode=require", "sslmode=verify-full&sslrootcert={}"])
async def test_a_program_without_tls_signs_in_through_it(
    encrypting: int, certificate: Path, trust: str
) -> None:
    url = f"postgresql://u:{SECRET}@localhost:{encrypting}/d?{trust.format(certificate)}"
    offered = OFFER.replace(b"SCRAM-SHA-256-PLUS\0", b"")
    assert await spoken(url) == struct.pack("!ci", b"R", len(offered) + 4) + offered + b"hello"


async def test_a_server_that_is_not_trusted_hears_nothing(encrypting: int) -> None:
    url = f"postgresql://u:{SECRET}@localhost:{encrypting}/d?sslmode=verify-full"
    assert await spoken(url) == b""


# What tables hold


SAME: Final = {
    "another order": "CREATE TABLE u AS SELECT * FROM t ORDER BY n DESC",
    "instants": "CREATE TABLE u AS SELECT * FROM t;"
    "ALTER TABLE u ALTER COLUMN at TYPE timestamptz USING at AT TIME ZONE 'UTC'",
    "wider numbers": "CREATE TABLE u AS SELECT * FROM t; ALTER TABLE u ALTER COLUMN n TYPE bigint,"
    " ALTER COLUMN r TYPE double precision",
    "unbounded text": "CREATE TABLE u AS SELECT * FROM t; ALTER TABLE u ALTER COLUMN c TYPE text",
    "a column more": "CREATE TABLE u AS SELECT *, 1 AS more FROM t",
}
OTHER: Final = {
    "a lost row": ("DELETE FROM u WHERE n = 2", "had 4 rows and has 3"),
    "a row twice": ("INSERT INTO u SELECT * FROM t WHERE n = 2", "had 4 rows and has 5"),
    "one lost and one twice": (
        "DELETE FROM u WHERE n = 1; INSERT INTO u SELECT * FROM t WHERE n = 2", "other values",
    ),
    "two rows swapping a value": (
        "UPDATE u SET c = CASE n WHEN 1 THEN 'b' ELSE 'a' END WHERE n IN (1, 2)", "other values",
    ),
    "two columns swapping": ("UPDATE u SET c = d, d = c WHERE n = 1", "other values"),
    "NULL for ''": ("UPDATE u SET d = NULL WHERE d = ''", "other values"),
    "'NULL' for NULL": ("UPDATE u SET d = 'NULL' WHERE d IS NULL", "other values"),
    "another instant": ("UPDATE u SET at = at + interval '1 ms' WHERE n = 1", "other values"),
    "another zone": (
        "SET TimeZone = 'Asia/Tokyo'; ALTER TABLE u ALTER COLUMN at TYPE timestamptz",
        "other values",
    ),
    "a cut number": ("ALTER TABLE u ALTER COLUMN r TYPE integer", "other values"),
}  # fmt: skip
T: Final = """CREATE TABLE t (n integer, r real, c varchar(9), d text, at timestamp(3));
  INSERT INTO t VALUES (1, 0.1, 'a', 'x', '2026-03-29 02:30:00.123'),
    (2, 1.5, 'b', '', 'infinity'), (3, 2, 'c', NULL, NULL), (4, NULL, 'a', 'NULL', '0001-01-01')"""
COLUMNS: Final = ["n", "r", "c", "d", "at"]


@pytest.fixture
async def t(empty_database: str) -> AsyncIterator[asyncpg.Connection]:
    async with open_connection(empty_database) as connection:
        await connection.execute(T)
        yield connection


@pytest.mark.parametrize("made", SAME.values(), ids=SAME.keys())
async def test_contents_do_not_depend_on_how_they_are_stored(
    t: asyncpg.Connection, made: str
) -> None:
    await t.execute(made)
    found = await read_contents(t, {"t": COLUMNS, "u": COLUMNS})
    assert found["t"] == found["u"]


@pytest.mark.parametrize(("change", "words"), OTHER.values(), ids=OTHER.keys())
async def test_contents_notice(
    t: asyncpg.Connection, empty_database: str, change: str, words: str
) -> None:
    await t.execute("CREATE TABLE u AS SELECT * FROM t")
    async with open_connection(empty_database) as other:
        await other.execute(change)
    found = await read_contents(t, {"t": COLUMNS, "u": COLUMNS})
    (difference,) = describe_changes({"x": found["t"]}, {"x": found["u"]}).values()
    assert words in difference


async def test_contents_of_nothing_are_nothing(t: asyncpg.Connection) -> None:
    await t.execute('CREATE TABLE "Empty One" ("A b" text)')
    assert await read_contents(t, {'"Empty One"': ['"A b"']}) == {'"Empty One"': (0, "0")}
