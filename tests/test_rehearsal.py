"""A rehearsal finds what a release would break, and says which table, revision and statement."""

import asyncio
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from app.database.url import DatabaseUrl
from app.releases.connection.open_connection import open_connection
from app.releases.migrations import revisions
from app.releases.migrations.alembic_runner import current, upgrade
from app.releases.migrations.revisions import Phase
from app.releases.plan.plan import Plan
from app.releases.product import other_clients
from app.releases.rehearsal import checks, probes
from app.releases.rehearsal.rehearsal import rehearse
from app.releases.schema.introspection.introspect import read_snapshot
from tests import legacy
from tests.legacy import connected
from tests.support.databases import Server, column
from tests.support.images import Image, forget, known_here

OLDER: Final = revisions.history()[0].name
BEFORE: Final = "0002_productions_expand"
OWN: Final = "0003_ours"
RECIPE: Final = "app.releases.migrations.phased_change"
SCRATCHES: Final = "SELECT datname FROM pg_database WHERE datname LIKE 'signalbook_scratch_%'"
# What an older service's database holds beside our tables.
OTHERS: Final = """
  CREATE TABLE crew_calls (id text PRIMARY KEY, production_id text NOT NULL
    REFERENCES productions (id) ON UPDATE CASCADE ON DELETE CASCADE);
  CREATE TABLE _prisma_migrations (id text PRIMARY KEY, finished_at timestamptz);
  INSERT INTO _prisma_migrations VALUES ('1', now());
  INSERT INTO crew_calls SELECT id, id FROM productions"""


def unheard(_name: str, _done: int, _total: int) -> None:
    """Nobody follows the progress."""


def planned(*names: str, phase: Phase = "expand", table: str | None = "cameras") -> Plan:
    known = [revision.name for revision in revisions.history()]
    place = known.index(names[0])
    return Plan(
        before=known[place - 1] if place else None,
        revisions=names,
        phase=phase,
        table=table,
        statements=(),
        fingerprint="",
    )


async def rehearsed(url: str, plan: Plan, **changes: Any) -> checks.RehearsalChecks:
    given: dict[str, Any] = {"previous": {}, "own": {}, "round_trip": None, "say": legacy.quiet,
                             "progress": unheard,
                             "others": partial(other_clients, url)}  # fmt: skip
    return await rehearse(url, plan, **given | changes)


@pytest.fixture(scope="session")
def older_template(postgres_server: Server) -> str:
    """Return an older service's database with some 500 rows, and tables that are not ours."""

    async def fill(url: str) -> None:
        await upgrade(url, OLDER, say=legacy.quiet)
        async with open_connection(url) as connection:
            await legacy.populate(connection, 0.05)
            await connection.execute(OTHERS)

    return postgres_server.template("older", lambda url: asyncio.run(fill(url)))


@pytest.fixture(scope="session")
def before_template(postgres_server: Server, older_template: str) -> str:
    """Return the same after its first release."""

    def release(url: str) -> None:
        asyncio.run(upgrade(url, BEFORE, say=legacy.quiet))

    return postgres_server.template("before", release, older_template)


@pytest.fixture
def live(postgres_server: Server, before_template: str) -> Iterator[str]:
    with postgres_server.lent(before_template) as url:
        yield url


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Image]:
    with known_here(tmp_path, monkeypatch, BEFORE) as made:
        yield made


def revision(image: Image, up: str, down: str, *, more: str = "", phase: Phase = "expand") -> Plan:
    """Add a revision of these two bodies, and plan it."""
    body = f"{more}\n\ndef upgrade():\n    {up}\n\n\ndef downgrade():\n    {down}\n"
    image.revision(OWN, BEFORE, phase=phase, table="cameras", body=body)
    forget()
    return planned(OWN, phase=phase)


def brief(*statements: str) -> str:
    return f"with beside() as steps:\n        steps.brief(*{statements!r})"


def patient(statement: str) -> str:
    return f"with beside() as steps:\n        steps.patient({statement!r})"


def direct(statement: str) -> str:
    return f"op.execute({statement!r})"


ADD: Final = brief("ALTER TABLE cameras ADD COLUMN zoom text")
DROP: Final = brief("ALTER TABLE cameras DROP COLUMN zoom")


async def test_a_good_revision_passes_and_leaves_its_evidence(image: Image, live: str) -> None:
    plan = revision(image, ADD, DROP)
    found = await rehearsed(live, plan)
    assert found.findings == []
    (step,) = found.evidence["statements"]
    assert step["kind"] == "brief"
    assert step["revision"] == OWN
    assert step["locks"] == {"cameras": "ACCESS EXCLUSIVE"}
    assert step["rewrote"] == []
    contents = found.evidence["contents"]
    assert contents["before"] == contents["after"] == contents["back"]
    assert contents["before"]["cameras"]["rows"] == 120
    assert {"crew_calls", "_prisma_migrations"} <= contents["before"].keys()
    assert found.evidence["downgrade"]["seconds"] > 0
    assert found.evidence["copy"]["method"].startswith("pg_dump")
    assert await current(live) == BEFORE


BAD: Final[dict[str, tuple[str, str, str]]] = {
    "loses rows": (
        direct("DELETE FROM cameras WHERE is_deleted"), "pass",
        rf"After {OWN}, table cameras had 120 rows and has \d+\.",
    ),
    "changes values": (
        direct("UPDATE cameras SET note = 'x' WHERE note = ''"), "pass",
        rf"After {OWN}, table cameras has 120 rows as before, but other values",
    ),
    "touches a table that is not ours": (
        direct(
            "DO $$ BEGIN IF to_regclass('crew_calls') IS NOT NULL THEN"
            " UPDATE crew_calls SET id = id || 'x'; END IF; END $$"
        ), "pass",
        rf"After {OWN}, table crew_calls has \d+ rows as before, but other values",
    ),
    "drops a table": (
        direct("DROP TABLE IF EXISTS crew_calls"), "pass",
        rf"After {OWN}, table crew_calls is gone with all its rows",
    ),
    "a downgrade that leaves a column": (
        ADD, "pass", rf"After the way back from {OWN} to {BEFORE}: .*zoom",
    ),
    "a downgrade that leaves a function": (
        direct("CREATE FUNCTION left_over() RETURNS int LANGUAGE sql AS 'SELECT 1'"), "pass",
        rf"After the way back from {OWN} to {BEFORE}: function left_over\(\) is left behind",
    ),
    "a downgrade that loses values": (
        ADD, brief("ALTER TABLE cameras DROP COLUMN zoom", "UPDATE cameras SET version = 1"),
        rf"After the way back from {OWN} to {BEFORE}, table cameras has 120 rows",
    ),
    "a downgrade that fails": (
        ADD, direct("SELECT 1 / 0"), rf"The way back from {OWN} fails: .*division by zero",
    ),
    "no way back": (
        ADD,
        f"raise __import__('sys').modules[{RECIPE!r}].PointOfNoReturn('gone')",
        f"{OWN} has no way back, and is no contract: gone",
    ),
    "a required column without a default": (
        brief(
            "ALTER TABLE cameras ADD COLUMN zoom text", "UPDATE cameras SET zoom = 'x'",
            "ALTER TABLE cameras ALTER COLUMN zoom SET NOT NULL",
        ), DROP,
        rf'After {OWN}, on table cameras: INSERT fails \(the older service\): .*"zoom"',
    ),
    "a renamed column": (
        brief("ALTER TABLE cameras RENAME model TO model_name"),
        brief("ALTER TABLE cameras RENAME model_name TO model"),
        rf"After {OWN}, on table cameras: SELECT fails \(the previous version's columns\): .*model",
    ),
    "a column that takes less": (
        brief("ALTER TABLE cameras ALTER COLUMN note TYPE varchar(300)"),
        brief("ALTER TABLE cameras ALTER COLUMN note TYPE text"),
        rf"After {OWN}, on table cameras: a write to note, text before and character varying",
    ),
    "a trigger that refuses": (
        brief(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN RAISE EXCEPTION ''never''; END'",
            "CREATE TRIGGER refuse BEFORE UPDATE ON cameras FOR EACH ROW EXECUTE FUNCTION refuse()",
        ), brief("DROP TRIGGER refuse ON cameras", "DROP FUNCTION refuse()"),
        rf"After {OWN}, on table cameras: UPDATE fails \(the previous version's columns\): never",
    ),
    "a check that data breaks": (
        brief("ALTER TABLE cameras ADD CHECK (id <> 'NULL')"), "pass",
        rf"{OWN} fails on the copy: .*cameras",
    ),
    "an error of its own": (
        "for _ in op.get_bind().exec_driver_sql('SELECT 1 FROM cameras'): {}['zoom']", "pass",
        rf"{OWN} fails on the copy: KeyError: 'zoom'",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("up", "down", "words"), BAD.values(), ids=BAD.keys())
async def test_a_bad_revision_is_caught(
    image: Image, live: str, up: str, down: str, words: str
) -> None:
    found = await rehearsed(live, revision(image, up, down))
    assert found.findings
    assert [finding for finding in found.findings if re.search(words, finding)], found.findings
    assert found.evidence["findings"] == found.findings


@pytest.mark.parametrize("way", [brief, patient, direct])
async def test_a_rewrite_of_a_large_table_is_caught(
    image: Image, live: str, monkeypatch: pytest.MonkeyPatch, way: Callable[[str], str]
) -> None:
    monkeypatch.setattr(checks, "LARGE", 20_000)
    up = "ALTER TABLE cameras ALTER COLUMN version TYPE bigint"
    down = brief("ALTER TABLE cameras ALTER COLUMN version TYPE integer")
    found = await rehearsed(live, revision(image, way(up), down))
    (finding,) = found.findings
    assert finding.startswith(f"{OWN} writes table cameras (0 MB) anew under ACCESS EXCLUSIVE")
    assert up in finding


async def test_a_rewrite_of_a_small_table_is_evidence_only(image: Image, live: str) -> None:
    up = brief("ALTER TABLE cameras ALTER COLUMN version TYPE bigint")
    down = brief("ALTER TABLE cameras ALTER COLUMN version TYPE integer")
    found = await rehearsed(live, revision(image, up, down))
    assert not found.findings
    assert [s["rewrote"] for s in found.evidence["statements"]] == [["cameras"]]


@pytest.mark.parametrize(
    ("body", "lock"),
    [
        (brief("LOCK TABLE cameras IN SHARE MODE", "SELECT pg_sleep(0.4)"), "SHARE"),
        (
            direct("LOCK TABLE cameras IN ACCESS EXCLUSIVE MODE")
            + "\n    op.execute('SELECT 1')\n    "
            + direct("DO 'BEGIN PERFORM pg_sleep(0.4); END'"),
            "ACCESS EXCLUSIVE",
        ),
    ],
)
async def test_a_lock_held_beyond_the_stall_budget_is_caught(
    image: Image, live: str, body: str, lock: str
) -> None:
    found = await rehearsed(live, revision(image, body, "pass"), stall_budget=0.2)
    (finding,) = found.findings
    assert finding.startswith(f"{OWN} holds {lock} on table cameras for 0.")
    assert "LOCK TABLE cameras" in finding


async def test_what_a_revision_changes_on_purpose_is_no_loss(image: Image, live: str) -> None:
    up = direct("UPDATE cameras SET note = 'x' WHERE note = ''")
    plan = revision(image, up, "pass", more='changes_values = {"cameras": ("note",)}')
    assert (await rehearsed(live, plan)).findings == []


async def test_a_drift_that_a_revision_leaves_is_caught(image: Image, live: str) -> None:
    up = "if op.get_bind().exec_driver_sql('SELECT 1 FROM cameras').first():\n        " + direct(
        "CREATE INDEX only_where_rows_are ON cameras (note)"
    )
    found = await rehearsed(
        live, revision(image, up, direct("DROP INDEX IF EXISTS only_where_rows_are"))
    )
    (finding,) = found.findings
    assert finding.startswith(f"After {OWN}: ")
    assert "only_where_rows_are" in finding


async def test_a_contract_drops_columns_and_has_no_way_back(image: Image, live: str) -> None:
    more = "from app.releases.migrations.phased_change import PointOfNoReturn\n"
    up = brief("ALTER TABLE cameras DROP COLUMN model")
    plan = revision(image, up, "raise PointOfNoReturn('gone')", more=more, phase="contract")
    found = await rehearsed(live, plan)
    assert found.findings == []
    assert found.evidence["downgrade"] == "no way back"


async def test_a_contract_that_breaks_what_stays_is_caught(image: Image, live: str) -> None:
    more = "from app.releases.migrations.phased_change import PointOfNoReturn\n"
    up = brief(
        "ALTER TABLE cameras DROP COLUMN model", "ALTER TABLE cameras ADD COLUMN zoom text",
        "UPDATE cameras SET zoom = 'x'", "ALTER TABLE cameras ALTER COLUMN zoom SET NOT NULL",
    )  # fmt: skip
    plan = revision(image, up, "raise PointOfNoReturn('gone')", more=more, phase="contract")
    found = await rehearsed(live, plan)
    assert [f for f in found.findings if "INSERT fails (the previous version's" in f]


async def test_the_statements_of_both_images_are_prepared(image: Image, live: str) -> None:
    plan = revision(image, brief("ALTER TABLE cameras RENAME model TO zoom"), "pass")
    reads = {
        "cameras": ["SELECT id, model FROM cameras WHERE id = $1", "SELECT broken FROM cameras"]
    }
    found = await rehearsed(live, plan, previous=reads, own={"sends": ["SELECT dance FROM sends"]})
    told = "\n".join(found.findings)
    assert "statement SELECT id, model FROM cameras" in told
    assert "(a statement of the image that serves now)" in told
    assert "SELECT dance FROM sends fails (This image's own statements)" in told
    # It failed before, and so is not this release's doing.
    assert "broken" not in told
    assert "broken" in str(found.evidence["failed_before"])


GROUPS: Final[dict[str, tuple[tuple[str, ...], Phase]]] = {
    "productions' key": ((BEFORE,), "expand"),
    "ccus": (("0005_ccus_expand", "0006_ccus_switch"), "switch"),
    "checklist items": (("0015_checklist_items_expand", "0016_checklist_items_switch"), "switch"),
    "what connections name": (
        (
            "0019_changes",
            "0020_idempotency_keys",
            "0021_sync",
            "0022_presence",
            "0033_connections_devices",
        ),
        "expand",
    ),
    "a collection of later versions": (("0024_cam_switchers_switch",), "switch"),
    "addresses": (("0025_ip_addresses_switch",), "switch"),
    "equipment": (("0034_equipment_specs_expand", "0035_equipment_card_io_expand"), "expand"),
    "new collections": (
        ("0036_formats", "0037_device_ports", "0038_projection_surfaces"),
        "expand",
    ),
    "legs and channels": (("0061_connection_legs", "0062_cable_snakes_channels"), "expand"),
    "the last switch": (("0040_productions_switch",), "switch"),
    "the first contract": (("0041_cable_snakes_contract",), "contract"),
    "the contract of addresses": (("0050_ip_addresses_contract",), "contract"),
    "the last contract": (("0058_productions_contract",), "contract"),
}


@pytest.fixture
def older(postgres_server: Server, older_template: str) -> Iterator[str]:
    with postgres_server.lent(older_template) as url:
        yield url


@pytest.mark.parametrize(("names", "phase"), GROUPS.values(), ids=GROUPS.keys())
async def test_the_older_database_passes(older: str, names: tuple[str, ...], phase: Phase) -> None:
    plan = planned(*names, phase=phase, table=None)
    await upgrade(older, plan.before or OLDER, say=legacy.quiet)
    found = await rehearsed(older, plan)
    assert found.findings == []
    assert found.evidence["failed_before"] == []
    assert (found.evidence["downgrade"] == "no way back") == (phase == "contract")
    kinds = {step["kind"] for step in found.evidence["statements"]}
    assert "brief" in kinds
    assert all(step["seconds"] >= 0 for step in found.evidence["statements"])
    assert await current(older) == plan.before


async def test_an_empty_database_may_be_rehearsed(empty_database: str) -> None:
    found = await rehearsed(empty_database, planned(OLDER, BEFORE, table=None))
    assert found.findings == []


async def test_the_copy_is_gone_when_the_rehearsal_is_stopped(
    image: Image, live: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    where: list[str] = []

    async def stopped(self: checks.RehearsalChecks, *_: object) -> None:
        where.append(DatabaseUrl.parse(self.url).database)
        raise asyncio.CancelledError

    monkeypatch.setattr(checks.RehearsalChecks, "look_before", stopped)
    with pytest.raises(asyncio.CancelledError):
        await rehearsed(live, revision(image, ADD, DROP))
    assert where
    assert not set(where) & set(await column(live, SCRATCHES))


async def test_a_rule_that_does_something_as_well_hides_no_write(own_database: str) -> None:
    """A statement that such a rule makes fail before and after a release would be no finding."""
    async with connected(own_database) as connection:
        await connection.execute("CREATE TABLE written (id text)")
        await connection.execute(
            "CREATE RULE noted AS ON INSERT TO productions DO ALSO INSERT INTO written "
            "VALUES (NEW.id)"
        )
        schema = await read_snapshot(connection)
        columns = {"productions": list(schema.tables["productions"].columns)}
        assert await probes.every_table(connection, schema, columns) == {}
