"""A word of the command line loads what it needs, and ``--help`` next to nothing."""

import json
import subprocess
import sys
from typing import Final

import pytest
from alembic.script import ScriptDirectory

from app.cli import release as release_words
from app.releases.gate import run as release
from app.releases.migrations import revisions
from app.settings import PROJECT
from tests.support.gates import ran

# What takes long to load, and whose it is.
SERVICE: Final = ("fastapi", "starlette", "uvicorn", "socketio", "engineio", "httpx")
MIGRATIONS: Final = (
    "alembic",
    "app.releases.gate.gate",
    "app.releases.migrations.alembic_runner",
    "app.releases.lint.squawk",
    "postgast",
)
STATEMENTS: Final = ("sqlalchemy", "sqlmodel", "app.entities", "app.all_statements")
DATABASE: Final = ("asyncpg", "pydantic_settings", "structlog", "asyncio")
LOADED: Final = """
import json, sys
from app.__main__ import cli
try:
    cli(prog_name="python -m app")
except SystemExit:
    pass
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def loaded(*words: str, **settings: str) -> set[str]:
    """Return the modules that a word has loaded when it is done."""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(PROJECT), **settings}
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *words], cwd=PROJECT, env=environment,
        capture_output=True, text=True, timeout=110, check=True,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_who_runs_the_gate_when_no_person_does_has_one_name() -> None:
    assert release_words.NOBODY == release.NOBODY


def test_the_revisions_are_read_as_alembic_reads_them() -> None:
    walked = ScriptDirectory(str(revisions.FOLDER)).walk_revisions()
    read = [(s.revision, s.module.phase, s.module.table) for s in walked]
    assert [tuple(revision) for revision in revisions.history()] == list(reversed(read))


@pytest.mark.parametrize(
    "words", [("--help",), ("release", "--help"), ("release", "approve", "--help")], ids=" ".join
)
def test_help_loads_neither_service_nor_database(words: tuple[str, ...]) -> None:
    assert loaded(*words) & {*SERVICE, *MIGRATIONS, *STATEMENTS, *DATABASE} == set()


async def test_the_release_status_loads_what_reads_it(own_database: str) -> None:
    await ran(own_database)  # so that somebody has looked for drift
    modules = loaded("release", "status", DATABASE_URL=own_database)
    assert "asyncpg" in modules
    assert modules & {*SERVICE, *MIGRATIONS, *STATEMENTS} == set()


def test_the_status_loads_the_statements_and_no_service(own_database: str) -> None:
    modules = loaded("status", DATABASE_URL=own_database)
    assert "app.all_statements" in modules
    assert modules & {*SERVICE, *MIGRATIONS} == set()
