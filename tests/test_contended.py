"""Who is in the way of the gate or of a migration is named, with what to do about it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from app.database.url import DatabaseUrl
from app.releases.migrations import migration_session
from app.releases.migrations.alembic_runner import upgrade
from app.releases.migrations.migration_session import (
    APPLICATION_NAME,
    GATE_LOCK,
    GATE_NAME,
    MIGRATION_LOCK,
)
from app.releases.verdict import MigrationContended, Verdict
from tests.support.gates import ran


@asynccontextmanager
async def held(url: str, lock: int, name: str) -> AsyncIterator[int]:
    """Hold a lock of the session under this name; give the session's process."""
    arguments = DatabaseUrl.parse(url).connect_args()
    arguments["server_settings"] |= {"application_name": name}
    connection = await asyncpg.connect(**arguments)
    try:
        await connection.execute(f"SELECT pg_advisory_lock({lock})")
        yield connection.get_server_pid()
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (GATE_NAME, "if that process is dead"),
        ("signalbook", "it is no gate's: a pooler kept the session of one that died"),
    ],
)
async def test_who_holds_the_lock_of_the_gate(own_database: str, name: str, words: str) -> None:
    assert (await ran(own_database)).verdict is Verdict.DONE
    async with held(own_database, GATE_LOCK, name) as pid:
        ended = await ran(own_database, patience=0.1)
    assert ended.verdict is Verdict.CONTENDED, ended
    for part in (f"process {pid} ({name}, user postgres, from a local socket, connected since 2",
                 "idle for ", words, f"SELECT pg_terminate_backend({pid})"):  # fmt: skip
        assert part in ended.words
    assert (await ran(own_database)).verdict is Verdict.DONE


async def test_who_holds_the_lock_of_migrations(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration_session, "LOCK_PATIENCE", 0.1)
    lines: list[str] = []
    async with held(empty_database, MIGRATION_LOCK, APPLICATION_NAME) as pid:
        with pytest.raises(MigrationContended, match=rf"pg_terminate_backend\({pid}\)"):
            await upgrade(empty_database, say=lines.append)
    assert f"process {pid} ({APPLICATION_NAME}, user postgres" in lines[0]
    await asyncio.wait_for(upgrade(empty_database, say=lines.append), 60)
