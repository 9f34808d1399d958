"""A copy of the live database, in a scratch database beside it: pg_dump into psql, dropped always.

The gate's own tables stay behind, and so do owners and grants: the copy is ours. Nobody who works
on the live database waits for it; what pg_dump holds there is the lock that every SELECT takes.
"""

import asyncio
import re
import shutil
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import asyncpg

from app.database.embedded_home import EmbeddedPostgresMissing, pg_bin
from app.database.url import DatabaseUrl
from app.releases.connection.open_connection import open_connection
from app.releases.connection.server_faults import fault_in_output
from app.releases.rehearsal.tool_socket import CHUNK, open_tool_socket
from app.releases.schema.scratch_database import scratch_database
from app.releases.verdict import Stopped, Verdict

Say = Callable[[str], None]
Progress = Callable[[str, int, int], None]

APPLICATION_NAME: Final = "signalbook-copy"
TELL_EVERY: Final = 2.0  # seconds
LOCK_WAIT: Final = 10_000  # milliseconds to wait for a table that somebody holds
LOOK_EVERY: Final = 0.25  # seconds

# Left out: what may need a right that we lack and says nothing about a migration.
_DUMP: Final = (
    "--format=plain", "--no-owner", "--no-privileges", "--no-comments", "--no-security-labels",
    "--no-publications", "--no-subscriptions", "--no-tablespaces", "--no-password",
    "--exclude-table=public.release_*",
)  # fmt: skip
_LOAD: Final = ("--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1")
_LAST: Final = 2000  # characters of what a program said

# Autovacuum would come at its own time and be measured as ours; statistics are what it leaves.
_SETTLE: Final = """DO $$ DECLARE t regclass; BEGIN
  FOR t IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relpersistence <> 't'
    AND relnamespace::regnamespace::text <> ALL('{pg_catalog,information_schema}')
  LOOP
    EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = false,'
      ' toast.autovacuum_enabled = false)', t);
    EXECUTE format('ANALYZE %s', t);
  END LOOP; END $$"""
_SIZES: Final = "SELECT pg_database_size($1::text::name), pg_database_size(current_database())"
_LOCKED_OUT: Final = re.compile(r"(?s) timeout\n.*LOCK TABLE ")


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A copy: where it is (``url`` holds the password), and what it took."""

    url: str = field(repr=False)
    seconds: float
    bytes: int
    program: str

    def as_json(self) -> dict[str, object]:
        """Return what it took as JSON values."""
        return {
            "method": f"{self.program} | psql", "seconds": self.seconds, "bytes": self.bytes,
        }  # fmt: skip


@asynccontextmanager
async def copy_of(
    url: str, say: Say, progress: Progress, *, rows: bool = True
) -> AsyncIterator[Copy]:
    """Copy the database as it is now, without ``rows`` only its schema; drop the copy at the end.

    ``progress`` gets the bytes copied and about how many there are. Raises NoScratch, Stopped (no
    fitting pg_dump, a copy that failed, tables that stay locked) and MigrationError.
    """
    live = DatabaseUrl.parse(url)
    async with open_connection(url) as watching:
        folder, program = await _programs(watching.get_server_version().major)
        names = await watching.fetch("SELECT name FROM pg_settings")
        settings = frozenset(row["name"] for row in names)
        async with scratch_database(url) as copy_url:
            began = time.monotonic()
            copy = DatabaseUrl.parse(copy_url)
            telling = asyncio.create_task(_tell(watching, copy.database, say, progress))
            try:
                carried = await _carry(folder, live, copy, settings, rows=rows)
            finally:
                telling.cancel()
                await asyncio.gather(telling, return_exceptions=True)
            async with open_connection(copy_url) as settling:
                await settling.execute(_SETTLE)
                if not rows:
                    await _place(watching, settling)
            seconds = round(time.monotonic() - began, 3)
            say(f"Copied the database in {seconds:.1f} s.")
            yield Copy(url=copy_url, seconds=seconds, bytes=carried, program=program)


async def _place(live: asyncpg.Connection, copy: asyncpg.Connection) -> None:
    """Write the revision into a copy without rows."""
    if await live.fetchval("SELECT to_regclass('public.alembic_version') IS NOT NULL"):
        for row in await live.fetch("SELECT version_num FROM public.alembic_version"):
            await copy.execute("INSERT INTO public.alembic_version VALUES ($1)", row[0])


async def find_programs(url: str) -> str:
    """Return the name and version of the pg_dump that would copy this database. Raises Stopped."""
    async with open_connection(url) as connection:
        return (await _programs(connection.get_server_version().major))[1]


async def _programs(server: int) -> tuple[Path, str]:
    """Find pg_dump and psql that know this server's version. Raises Stopped."""
    versions: list[str] = []
    for folder in _folders():
        version = await _version(folder / "pg_dump")
        versions.append(f"{version or 'one that does not start'} in {folder}")
        if version and int(version.partition(".")[0]) >= server:
            return folder, f"pg_dump {version}"
    raise Stopped(
        Verdict.FAILED,
        f"The database cannot be copied for the rehearsal: that needs pg_dump and psql of "
        f"PostgreSQL {server} or newer, and here is {' and '.join(versions) or 'none'}. The image "
        "of the Dockerfile has them: run the release there, or build it for a newer client where "
        f"it is too old; on a machine of your own, install postgresql-client-{server} or newer.",
    )


def _folders() -> list[Path]:
    folders = []
    with suppress(EmbeddedPostgresMissing):
        folders.append(pg_bin())
    if there := shutil.which("pg_dump"):
        folders.append(Path(there).parent)
    return [folder for folder in folders if (folder / "psql").exists()]


async def _version(program: Path) -> str:
    """Return a program's version, as in "18.6"; "" where it prints none."""
    try:
        process = await asyncio.create_subprocess_exec(
            program, "--version", stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
        )
    except OSError:
        return ""
    output, _ = await process.communicate()
    match = re.search(r"\d+(\.\d+)*", output.decode(errors="replace"))
    return match[0] if match else ""


async def _tell(connection: asyncpg.Connection, copy: str, say: Say, progress: Progress) -> None:
    """Report progress. The live database's size is a guess of the copy's: it has free space."""
    began = reported_at = time.monotonic()
    copied = total = 0
    try:
        while True:
            copied, total = await connection.fetchrow(_SIZES, copy) or (0, 0)
            progress("copy", min(copied, total), total)
            if time.monotonic() - reported_at >= TELL_EVERY:
                reported_at = time.monotonic()
                say(
                    f"Copying the database: {copied / 1e6:.0f} of about {total / 1e6:.0f} MB after "
                    f"{reported_at - began:.0f} s."
                )
            await asyncio.sleep(LOOK_EVERY)
    finally:
        progress("copy", total, total)


async def _carry(
    folder: Path, live: DatabaseUrl, copy: DatabaseUrl, settings: frozenset[str], *, rows: bool
) -> int:
    """Run pg_dump and psql to their ends; return the bytes that went between them."""
    what = () if rows else ("--schema-only",)
    dumped = (*_DUMP, *what, f"--lock-wait-timeout={LOCK_WAIT}")
    # Nobody needs the copy after a crash of the server.
    lazy = replace(copy, options=f"{copy.options} -c synchronous_commit=off".strip())
    async with (
        open_tool_socket(live, APPLICATION_NAME) as there,
        open_tool_socket(lazy, APPLICATION_NAME) as here,
        _running(folder / "pg_dump", dumped, there, stdin=DEVNULL, stdout=PIPE) as dump,
        _running(folder / "psql", _LOAD, here, stdin=PIPE, stdout=DEVNULL) as load,
    ):
        output = [asyncio.create_task(_last_words(program)) for program in (dump, load)]
        carried = await _pump(dump, load, settings)
        codes = [await program.wait() for program in (dump, load)]
        words = [await task for task in output]
    # psql first: when it stops, pg_dump is stopped too.
    for name, code, last in reversed(list(zip(("pg_dump", "psql"), codes, words, strict=True))):
        if code:
            raise _failed(name, code, last.replace(live.password or "\0", "***"))
    return carried


@asynccontextmanager
async def _running(
    program: Path, options: tuple[str, ...], env: Mapping[str, str], *, stdin: int, stdout: int
) -> AsyncIterator[Process]:
    """Run a program; it is killed at the end."""
    process = await asyncio.create_subprocess_exec(
        program, *options, stdin=stdin, stdout=stdout, stderr=PIPE, env=env, cwd="/", limit=CHUNK
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _pump(dump: Process, load: Process, settings: frozenset[str]) -> int:
    """Copy pg_dump's script into psql; return its bytes."""
    assert dump.stdout
    assert load.stdin
    carried = 0
    try:
        chunk = await head_of(dump.stdout, settings)
        while chunk:
            load.stdin.write(chunk)
            await load.stdin.drain()
            carried += len(chunk)
            chunk = await dump.stdout.read(CHUNK)
    except OSError:  # psql has stopped, and says why
        with suppress(ProcessLookupError):
            dump.kill()
    load.stdin.close()
    return carried


async def head_of(script: asyncio.StreamReader, settings: frozenset[str]) -> bytes:
    """Read the script's head, without settings that an older server does not know."""
    head = b""
    while line := await script.readline():
        setting = re.match(rb"SET (\w+) = ", line)
        if not setting or setting[1].decode() in settings:
            head += line
        if not re.match(rb"\s|--|SET |SELECT |\\restrict ", line):
            break
    return head


async def _last_words(program: Process) -> str:
    assert program.stderr
    last = b""
    while chunk := await program.stderr.read(CHUNK):
        last = (last + chunk)[-_LAST:]
    return last.decode(errors="replace").strip()


def _failed(program: str, code: int, last: str) -> Stopped:
    if _LOCKED_OUT.search(last):
        return Stopped(
            Verdict.CONTENDED,
            "The database cannot be copied for the rehearsal: somebody has held a table under an "
            f"exclusive lock for more than {LOCK_WAIT / 1000:g} s; run it again when they are "
            f"done. {last}",
        )
    if (fault := fault_in_output(last)) is not None:
        words = f"The database cannot be copied for the rehearsal. {fault.words}"
        return Stopped(fault.verdict, words)
    return Stopped(
        Verdict.FAILED,
        f"The database cannot be copied for the rehearsal: {program} ended with code {code}. Mend "
        f"what it says and run it again: {last or 'it said nothing, so it was killed.'}",
    )
