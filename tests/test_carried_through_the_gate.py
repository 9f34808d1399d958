"""The adoption drill in small: an older database carried to head while both services write."""

import asyncio
from collections.abc import Iterator
from typing import Any, Final

import pytest

from app.all_statements import required_statements
from app.releases.gate import gate
from app.releases.gate.run import Order
from app.releases.ledger.decisions import decide
from scripts.adoption_drill import older_database
from scripts.adoption_drill.contents import contents, orphans
from scripts.adoption_drill.gate import Gate
from scripts.adoption_drill.older import OlderWriter
from scripts.adoption_drill.older_database import Sizes
from scripts.adoption_drill.report import report_lines, too_slow
from scripts.adoption_drill.run import Options, carry
from scripts.adoption_drill.timings import Board, Failed, Timings
from tests import legacy
from tests.legacy import connected, quiet
from tests.support.remembered import remembered

# An expand and switch together, the last switch with a new table beside it, and a contract: what
# the gate does of every kind. scripts/adoption-drill takes all of them this way.
GATED: Final = frozenset(
    {"0004_cable_snakes_switch", "0040_productions_switch", "0041_cable_snakes_contract"}
)
SIZES: Final = Sizes(cameras=300, sources=300, events=2_000)
WORDS: Final = {"adopt": gate.ADOPT, "--contract": gate.STAGES}


class GateHere(Gate):
    """The gate as its command line runs it, in this process: it need not start each time."""

    async def word(self, *words: str) -> tuple[int, dict[str, Any]]:
        if words[0] == "approve":
            return 0, await self._approved(*words[1:])
        order = Order(
            url=self.url, service_url=self.url, word=words[0], contract=words[0] == "--contract",
            who="operator", why="a test", soak_seconds=0, quiet_seconds=0,
        )  # fmt: skip
        ended = await gate.gate(order, required_statements(), stages=WORDS[words[0]])
        return int(ended.verdict), ended.as_json()

    async def _approved(self, digest: str, *options: str) -> dict[str, Any]:
        said = dict(zip(options[::2], options[1::2], strict=True))
        async with connected(self.url) as connection:
            return await decide(
                connection, digest, "approve",
                who=said["--who"], why=said["--why"], destroys=said.get("--destroys"),
            )  # fmt: skip


@pytest.fixture
def built_once() -> Iterator[None]:
    """Build what each revision should be once: the code does not change between two steps.

    So too whether the code fits its own migrations, which other tests ask.
    """
    with remembered():
        yield


@pytest.mark.slow
async def test_carried_to_head_while_both_services_write(
    empty_database: str, built_once: None
) -> None:
    options = Options(sizes=SIZES, older=1, ours=1, pause=0.03, together=1.0, gated=GATED)
    result = await carry(empty_database, options, quiet, GateHere(empty_database, quiet))
    found = result.as_json()
    words = "\n".join(report_lines(found))
    # How long a writer waited says more of this machine than of us; the full drill asks that.
    faults = [fault for fault in found["faults"] if "ms waited for" not in fault]
    assert faults == [], words
    assert found["operationsInAll"] > 100
    assert found["crossReads"]["older reads ours"] > 0
    assert found["crossReads"]["ours reads older"] > 0
    assert {s["revision"] for s in found["statements"]} == GATED
    assert all(s["seconds"] is not None for s in found["statements"])


TAMPERINGS: Final = {
    "lost": ("DELETE FROM sends WHERE id LIKE 'older 1 sends%'", "is lost"),
    "changed": ("UPDATE ccus SET name = 'x' WHERE id LIKE 'older 1%'", "name is 'x', and"),
    "old value": ("UPDATE cameras SET version = 1 WHERE id = 'older 1 message'", "version is 1, "),
    "too much": (("INSERT INTO sends (id, name, type, production_id, updated_at) SELECT 'too much',"
                 " 'n', 't', id, now() FROM productions WHERE id LIKE 'older%'"), "is too much"),
}  # fmt: skip


@pytest.fixture
async def older(empty_database: str) -> OlderWriter:
    """Return a writer of the older service that has written some rounds and ended."""
    async with connected(empty_database) as connection:
        await older_database.make(empty_database, connection, Sizes(10, 10, 20), quiet)
    stop = asyncio.Event()

    def during() -> str:
        if timings.total > 300:
            stop.set()
        return "a test"

    timings = Timings(during)
    writer = OlderWriter(1, empty_database, timings, Board(), 10)
    await writer.run(stop, 0)
    assert timings.failures == []
    return writer


async def test_what_was_written_is_found_again(older: OlderWriter, empty_database: str) -> None:
    async with connected(empty_database) as connection:
        assert await older.journal.faults(connection) == []
        assert sum(map(len, older.journal.rows.values())) > 50


@pytest.mark.parametrize(("sql", "words"), TAMPERINGS.values(), ids=TAMPERINGS)
async def test_a_lost_or_wrong_row_of_a_writer_is_found(
    older: OlderWriter, empty_database: str, sql: str, words: str
) -> None:
    async with connected(empty_database) as connection:
        await connection.execute(sql)
        faults = await older.journal.faults(connection)
    assert faults
    assert all(words in fault for fault in faults)


async def test_a_changed_row_that_nobody_touches_and_an_orphan_are_found(
    older: OlderWriter, empty_database: str
) -> None:
    async with connected(empty_database) as connection:
        columns = await legacy.columns(connection)
        before, nothing = await contents(connection, columns), (await orphans(connection))[1]
        await connection.execute("UPDATE events SET user_id = 'x' WHERE id = 'EVT 7'")
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("DELETE FROM ccus WHERE id = 'CCU 3'")
        after = await contents(connection, columns)
        found = (await orphans(connection))[1]
    assert {table for table in before if before[table] != after[table]} == {"events", "ccus"}
    assert nothing == []
    assert found == ["1 rows of cameras name nothing by cameras_ccu_id_fkey"]


async def test_a_database_that_holds_anything_is_left_alone(own_database: str) -> None:
    async with connected(own_database) as connection:
        with pytest.raises(older_database.NotEmpty, match="alembic_version, cable_snakes"):
            await older_database.make(own_database, connection, SIZES, quiet)
        assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 1


async def test_a_failed_operation_is_a_fault() -> None:
    timings = Timings(lambda: "the release")
    with pytest.raises(Failed), timings.timed("older 1", "insert cameras"):
        raise AssertionError("not there")
    fault = "older 1, insert cameras, during the release: AssertionError: not there"
    assert timings.failures == [fault]
    assert timings.slowest[0].during == "the release"


def test_a_stall_beyond_the_budget_is_a_fault_and_so_is_knowing_nothing() -> None:
    assert too_slow([{"stall": 0.4, "sql": "SELECT 1"}]) == []
    assert too_slow([{"stall": 0.6, "sql": "SELECT 1"}]) == ["600 ms waited for: SELECT 1"]
    assert too_slow([]) != []
