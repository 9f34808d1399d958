"""What no approval sets aside: the soak of what came before, and the word for what is destroyed."""

import asyncio
from collections.abc import Iterator

import pytest

from app.errors import Destroys
from app.releases.migrations import revisions
from app.releases.migrations.alembic_runner import current
from app.releases.verdict import Verdict
from tests.legacy import connected
from tests.support.as_gate import upgrade_as_gate
from tests.support.databases import Server, execute
from tests.support.gates import approved, ran, rows

CONTRACT = "0041_cable_snakes_contract"


@pytest.fixture
async def soaking(stepped_database: str) -> str:
    """Return an older database after its first release, which soaks for a day."""
    await execute(stepped_database, "UPDATE release_soaks SET seconds = 86400")
    return stepped_database


@pytest.fixture(scope="session")
def served_template(postgres_server: Server, adopted_template: str) -> str:
    """Return a database with rows at the revision this image needs, and every table's soak."""

    async def carry(url: str) -> None:
        await upgrade_as_gate(url, revisions.needed())
        await execute(
            url,
            """
            INSERT INTO release_plans (digest, plan, offline_hash, state)
            VALUES ('d', '{}', '', 'verified');
            INSERT INTO release_soaks (digest, "table", phase, revisions, started_at, seconds)
            VALUES ('d', 'cable_snakes', 'switch', '{0004_cable_snakes_switch}',
                clock_timestamp() - interval '2 days', 86400)""",
        )

    return postgres_server.template("served", lambda url: asyncio.run(carry(url)), adopted_template)


@pytest.fixture
def serving(postgres_server: Server, served_template: str) -> Iterator[str]:
    with postgres_server.lent(served_template) as url:
        yield url


async def test_the_next_table_waits_for_the_soak(soaking: str) -> None:
    ended = await ran(soaking)
    assert ended.verdict is Verdict.REFUSED
    assert "productions" in ended.words
    assert "--override-soak" in ended.words
    await execute(soaking, "UPDATE release_soaks SET started_at = started_at - interval '25 hours'")
    assert (await ran(soaking)).verdict is Verdict.AWAITING_APPROVAL


async def test_a_red_soak_blocks_the_next_table_though_its_time_is_over(soaking: str) -> None:
    await execute(soaking, "UPDATE release_soaks SET started_at = started_at - interval '25 hours'")
    await execute(
        soaking,
        """
        INSERT INTO release_signals (kind, code, words, source, at, last_at)
        SELECT 'schema', '42703', 'column cameras.uuid does not exist', 'GET /api/cameras',
            started_at + interval '1 hour', started_at + interval '1 hour' FROM release_soaks""",
    )
    ended = await ran(soaking)
    assert ended.verdict is Verdict.REFUSED
    assert "cameras.uuid" in ended.words


async def test_an_override_needs_a_reason_and_is_kept(soaking: str) -> None:
    ended = await ran(soaking, override="seen on the monitor for an hour", who="anna")
    assert ended.verdict is Verdict.AWAITING_APPROVAL
    kept = await rows(soaking, "SELECT who, why FROM release_overrides")
    assert [tuple(row) for row in kept] == [("anna", "seen on the monitor for an hour")]


async def test_an_image_serves_without_its_contracts(serving: str) -> None:
    ended = await ran(serving)
    assert ended.verdict is Verdict.DONE
    assert CONTRACT in ended.words
    assert await current(serving) == revisions.needed()


async def test_a_contract_names_what_it_destroys(serving: str) -> None:
    waiting = await ran(serving, contract=True)
    assert waiting.verdict is Verdict.AWAITING_APPROVAL, waiting
    assert "--destroys cable_snakes" in waiting.words
    with pytest.raises(Destroys, match="cable_snakes"):
        await approved(serving, waiting)
    await approved(serving, waiting, destroys="cable_snakes")
    ended = await ran(serving)
    assert (ended.verdict, ended.revision) == (Verdict.DONE, CONTRACT), ended
    noted = await rows(serving, "SELECT details->'revisions'->>0 FROM access_audit")
    assert [row[0] for row in noted] == [CONTRACT]


async def test_a_contract_whose_expand_nobody_watched_is_refused(serving: str) -> None:
    await execute(serving, "DELETE FROM release_soaks")
    ended = await ran(serving, contract=True)
    assert ended.verdict is Verdict.REFUSED
    assert "no soak" in ended.words
    assert (await ran(serving)).verdict is Verdict.DONE, "the image itself may be deployed"


async def test_an_empty_database_needs_no_word(empty_database: str) -> None:
    assert (await ran(empty_database)).verdict is Verdict.DONE
    async with connected(empty_database) as connection:
        assert await connection.fetchval("SELECT count(*) FROM release_soaks") == 0
