"""While the catalogue is the same, /health prepares no statement twice; any change makes it."""

import asyncio

import asyncpg
import pytest

from app.database.database import Database
from app.database.url import DatabaseUrl
from app.health import check
from app.health.statement_proof import StatementProof
from tests.support.databases import execute
from tests.support.service import service, settings

CHANGES = {
    "a column": (
        "ALTER TABLE cameras RENAME name TO title", "ALTER TABLE cameras RENAME title TO name",
    ),
    "a table": ("ALTER TABLE sends RENAME TO outs", "ALTER TABLE outs RENAME TO sends"),
    "a type": (
        "ALTER TABLE ccus ALTER field_versions TYPE text",
        "ALTER TABLE ccus ALTER field_versions TYPE jsonb USING field_versions::jsonb",
    ),
    "a view in its place": (
        "ALTER TABLE presence RENAME TO seats; CREATE VIEW presence AS SELECT process FROM seats",
        "DROP VIEW presence; ALTER TABLE seats RENAME TO presence",
    ),
}  # fmt: skip


@pytest.fixture
def preparations(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """List the times that all statements were prepared."""
    times: list[bool] = []
    prepare = check._prepare_all  # noqa: SLF001  # counted

    async def count(connection: asyncpg.Connection) -> tuple[dict[str, str], list[str]]:
        times.append(True)
        return await prepare(connection)

    monkeypatch.setattr(check, "_prepare_all", count)
    return times


async def test_any_change_of_the_catalogue_is_met_by_preparing(
    own_database: str, preparations: list[bool]
) -> None:
    database = Database(DatabaseUrl.parse(own_database), settings())
    await database.open()
    proof = StatementProof()

    async def examine() -> bool:
        return (await check.examine(database, 60, proof=proof)).healthy

    try:
        assert [await examine(), await examine()] == [True, True]
        assert len(preparations) == 1
        for what, (change, undo) in CHANGES.items():
            await execute(own_database, change)
            assert not await examine(), what
            assert not await examine(), what  # a failure is not remembered
            await execute(own_database, undo)
            assert await examine(), what
            before = len(preparations)
            assert await examine(), what
            assert len(preparations) == before, what
    finally:
        await database.close()


async def test_rows_and_statistics_change_nothing(
    own_database: str, preparations: list[bool]
) -> None:
    database = Database(DatabaseUrl.parse(own_database), settings())
    await database.open()
    proof = StatementProof()
    try:
        await check.examine(database, 60, proof=proof)
        await execute(own_database, "INSERT INTO access_counts VALUES ('x', 1, now())")
        await execute(own_database, "ANALYZE access_counts")
        assert (await check.examine(database, 60, proof=proof)).healthy
        assert len(preparations) == 1
    finally:
        await database.close()


async def test_a_service_keeps_its_proof(own_database: str, preparations: list[bool]) -> None:
    with service(own_database) as client:
        answers = await asyncio.to_thread(
            lambda: [client.get("/health").status_code for _ in range(3)]
        )
    assert answers == [200, 200, 200]
    assert len(preparations) == 1
