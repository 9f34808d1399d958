"""A rehearsal makes a sync round trip on the copy, and finds what only that can find."""

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from app.cli import load_show
from app.database.database import Database
from app.database.url import DatabaseUrl
from app.entities import discovered
from app.releases.gate import gate
from app.releases.migrations import revisions
from app.releases.migrations.alembic_runner import upgrade
from app.releases.migrations.revisions import Phase
from app.releases.plan.plan import Plan
from app.releases.rehearsal.checks import RehearsalChecks
from app.releases.rehearsal.rehearsal import rehearse
from app.settings import Settings
from app.sync.rehearsal.offline_work import texts
from app.sync.rehearsal.round_trip import RoundTrip
from tests import legacy
from tests.legacy import connected
from tests.support.databases import Server, column, execute
from tests.support.gates import ran, rows
from tests.support.images import Image, forget, known_here

OLDER: Final = revisions.history()[0].name
LAST: Final = revisions.head()
NEW: Final = "0099_ours"
HELD: Final = "SELECT count(*) FROM {}"


def unheard(_name: str, _done: int, _total: int) -> None:
    """Nobody follows the progress."""


def planned(before: str | None, *names: str, phase: Phase) -> Plan:
    return Plan(
        before=before, revisions=names, phase=phase, table=None, statements=(), fingerprint=""
    )


async def rehearsed(url: str, plan: Plan, say: Any = legacy.quiet) -> RehearsalChecks:
    return await rehearse(
        url, plan, previous={}, own={}, round_trip=RoundTrip(), say=say, progress=unheard
    )


@pytest.fixture(scope="session")
def older_template(postgres_server: Server) -> str:
    """Return an older service's database: labels of the awkward kind, each unique everywhere."""

    async def fill(url: str) -> None:
        await upgrade(url, OLDER, say=legacy.quiet)
        async with connected(url) as connection:
            await legacy.populate(connection, 0.02)

    return postgres_server.template("older", lambda url: asyncio.run(fill(url)))


@pytest.fixture
def older(postgres_server: Server, older_template: str) -> Iterator[str]:
    with postgres_server.lent(older_template) as url:
        yield url


@pytest.fixture(scope="session")
def live_template(postgres_server: Server, older_template: str) -> str:
    """Return the same carried over to the end, with a show that has a log."""

    async def fill(url: str) -> None:
        await upgrade(url, say=legacy.quiet)
        database = Database(DatabaseUrl.parse(url), Settings())
        await database.open()
        await load_show.load(database, load_show.read(load_show.SAMPLE), legacy.quiet)
        await database.close()

    return postgres_server.template("live", lambda url: asyncio.run(fill(url)), older_template)


@pytest.fixture
def live(postgres_server: Server, live_template: str) -> Iterator[str]:
    with postgres_server.lent(live_template) as url:
        yield url


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Image]:
    with known_here(tmp_path, monkeypatch) as made:
        yield made


@dataclass(frozen=True)
class Bad:
    """What a revision does and how it is undone; and the columns that it changes on purpose."""

    up: tuple[str, ...]
    down: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


def revision(image: Image, bad: Bad) -> Plan:
    """Add a revision that does it, and plan it."""
    body = (
        f"changes_values = {{'productions': {bad.changes}}}\n\n"
        f"def upgrade():\n    {brief(*bad.up)}\n\n\ndef downgrade():\n    {brief(*bad.down)}\n"
    )
    image.revision(NEW, LAST, phase="expand", table="cameras", body=body)
    forget()
    return planned(LAST, NEW, phase="expand")


def brief(*statements: str) -> str:
    return f"with beside() as steps:\n        steps.brief(*{statements!r})"


def trigger(table: str, event: str, when: str, body: str) -> Bad:
    """Return a trigger that does ``body`` to each row."""
    body, when = f"BEGIN {body}; RETURN NEW; END", f"FOR EACH ROW WHEN ({when})"
    up = (
        f"CREATE FUNCTION ours() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$",
        f"CREATE TRIGGER ours BEFORE {event} ON {table} {when} EXECUTE FUNCTION ours()",
    )
    return Bad(up, (f"DROP TRIGGER ours ON {table}", "DROP FUNCTION ours()"))


def constraint(table: str, definition: str) -> Bad:
    return Bad(
        (f"ALTER TABLE {table} ADD CONSTRAINT ours {definition}",),
        (f"ALTER TABLE {table} DROP CONSTRAINT ours",),
    )


POINTS: Final[dict[str, tuple[str, ...]]] = {
    "beside the older service": ("0038_projection_surfaces", "0040_productions_switch"),
    "at the first contract": ("0040_productions_switch", "0041_cable_snakes_contract"),
    "between the contracts": ("0044_connections_contract", "0045_sources_contract"),
    "at the last contract": ("0057_vision_switchers_contract", "0058_productions_contract"),
}


@pytest.mark.parametrize(("before", "target"), POINTS.values(), ids=POINTS.keys())
async def test_a_good_release_has_a_round_trip_in_its_evidence(
    older: str, before: str, target: str
) -> None:
    heard: list[str] = []
    phase: Phase = "contract" if target.endswith("contract") else "switch"
    await upgrade(older, before, say=legacy.quiet)
    found = await rehearsed(older, planned(before, target, phase=phase), heard.append)
    assert found.findings == []
    trip = found.evidence["sync_round_trip"]
    assert trip["seconds"] > 0
    names = [step["step"] for step in trip["steps"]]
    assert names[:7] == [
        "the numbers of productions", "making a production", "pushing offline work",
        "pushing it again", "a change by somebody else", "pushing stale edits",
        "reading the feed",
    ]  # fmt: skip
    assert names[7:] == [*(f"an existing row of {name}" for name in discovered()), "the commit"]
    assert [line for line in heard if "sync round trip" in line] == [
        "Trying a sync round trip: offline work, a conflict, the feed."
    ]


async def test_where_the_image_does_not_serve_there_is_none(older: str) -> None:
    found = await rehearsed(older, planned(OLDER, "0002_productions_expand", phase="expand"))
    assert found.findings == []
    assert "sync_round_trip" not in found.evidence


@pytest.mark.parametrize("empty", [False, True], ids=["a live one", "an empty one"])
async def test_it_leaves_nothing_and_tells_nobody(
    live: str, own_database: str, empty: bool
) -> None:
    url = own_database if empty else live
    tables = ["productions", "cameras", "changes", "sync_runs", "sync_mutations",
              "idempotency_keys"]  # fmt: skip
    before = [await column(url, HELD.format(table)) for table in tables]
    told: list[str] = []
    async with connected(url) as listening:
        await listening.add_listener("signalbook_changes", lambda *said: told.append(said[-1]))
        trip = RoundTrip()
        await trip.look_before(url)
        await trip.run(url)
        await listening.execute("NOTIFY signalbook_changes, 'the last'")
        async with asyncio.timeout(60):
            while "the last" not in told:  # noqa: ASYNC110  # asyncpg tells its callback alone
                await asyncio.sleep(0.01)
    assert trip.findings == []
    assert told == ["the last"]
    assert [await column(url, HELD.format(table)) for table in tables] == before


def test_every_type_has_texts_to_edit() -> None:
    assert {
        name: len(texts(entity)) >= 2 for name, entity in discovered().items()
    } == dict.fromkeys(discovered(), True)


TRIP: Final = f"After {NEW}, a sync round trip fails: "
BAD: Final[dict[str, tuple[Bad, str]]] = {
    "a CHECK on what was done with a mutation": (
        constraint("sync_mutations", "CHECK (status <> 'merged')"),
        r"pushing stale edits: INSERT INTO sync_mutations .* fails: .*ours.* \(23514\)",
    ),
    "a key that holds one mutation of a client": (
        constraint("sync_mutations", "UNIQUE (client_id)"),
        r"pushing offline work: INSERT INTO sync_mutations .* fails: .*ours.* \(23505\)",
    ),
    "a trigger that refuses a type": (
        trigger("sync_mutations", "INSERT", "NEW.collection = 'sends'",
                "RAISE EXCEPTION 'no sends here'"),
        r"pushing offline work: INSERT INTO sync_mutations .* fails: no sends here",
    ),
    "a trigger that changes a value on update": (
        trigger("ccus", "UPDATE", "NEW.note IS DISTINCT FROM OLD.note",
                "NEW.note := upper(NEW.note)"),
        "pushing offline work, on ccus: note was sent as 'offline' and reads 'OFFLINE'",
    ),
    "a trigger that changes another value on update": (
        trigger("sources", "UPDATE", "NEW.note IS DISTINCT FROM OLD.note AND NEW.version > 2",
                "NEW.h_res := 7"),
        "an existing row of sources: hRes was .* and is 7 since an update",
    ),
    "a first version that is not 1": (
        trigger("cameras", "INSERT", "NEW.version = 1 AND NEW.max_zoom = 86", "NEW.version := 2"),
        "pushing offline work, on cameras: the create makes version 2 and should make 1",
    ),
    "a number that is used twice": (
        Bad(
            ("UPDATE productions SET change_seq = change_seq - 1 WHERE change_seq > 0",),
            changes=("change_seq",),
        ),
        r"the numbers of productions: 'SHOW 1' has counted \d+ changes, and its log ends with",
    ),
    "a gap in the numbers": (
        trigger("productions", "UPDATE", "NEW.change_seq > OLD.change_seq",
                "NEW.change_seq := NEW.change_seq + 1"),
        r"the feed in the answer: after number \d+ comes \d+",
    ),
    "a CHECK on what is done": (
        constraint("changes", "CHECK (operation <> 'DELETE') NOT VALID"),
        r"pushing offline work: the statement 'delete' of .* fails: .*\(23514\)",
    ),
    "a log without the deleted row": (
        trigger("changes", "INSERT", "NEW.operation = 'DELETE'", "NEW.entity := NULL"),
        r"the feed in the answer: number \d+ tells another row of .* than the one that was written",
    ),
    "a log without what was before": (
        trigger("changes", "INSERT", "NEW.operation = 'UPDATE'", "NEW.changes := '{}'"),
        "pushing stale edits, on cameras: a stale edit of note is merged and should be a conflict",
    ),
    "an answer that is not kept": (
        trigger("idempotency_keys", "UPDATE", "NEW.status = 200", "NEW.body := ''"),
        "the same request with its Idempotency-Key: it was not replayed",
    ),
    "rows that were there before": (
        trigger("checklist_items", "UPDATE",
                "NEW.note IS DISTINCT FROM OLD.note AND OLD.created_at < now() - interval '1 h'",
                "RAISE EXCEPTION 'too old'"),
        r"an existing row of checklist-items: the statement 'update' of .* fails: too old",
    ),
}  # fmt: skip


# These pass all else that a rehearsal looks at; of the others it is known by their making.
WHOLLY: Final = [
    "a key that holds one mutation of a client", "a trigger that changes a value on update",
    "a number that is used twice", "a gap in the numbers", "a CHECK on what is done",
]  # fmt: skip


@pytest.mark.parametrize("bad", WHOLLY)
async def test_only_the_round_trip_finds_it(image: Image, live: str, bad: str) -> None:
    made, words = BAD[bad]
    found = await rehearsed(live, revision(image, made))
    assert [one for one in found.findings if not one.startswith(TRIP)] == []
    assert [one for one in found.findings if re.match(re.escape(TRIP) + words, one)], found.findings


@pytest.mark.parametrize("bad", sorted(BAD.keys() - {*WHOLLY}))
async def test_the_round_trip_names_what_fails(live: str, bad: str) -> None:
    made, words = BAD[bad]
    trip = RoundTrip()
    await trip.look_before(live)
    for sql in made.up:
        await execute(live, sql)
    await trip.run(live)
    assert [one for one in trip.findings if re.match(words, one)], trip.findings


WRONG: Final[dict[str, str]] = {
    "a label twice": "UPDATE cameras SET id = 'CAM 1'",
    "a label of two productions": "UPDATE productions SET id = 'SHOW 1'",
    "a number that is not the log's": "UPDATE productions SET change_seq = 3 WHERE change_seq > 0",
    "versions by field that are no object": "UPDATE ccus SET field_versions = '[1]'",
    "a log that was trimmed": "DELETE FROM changes WHERE seq < 9",
    "a version at its end": "UPDATE sends SET version = 2147483647",
    "all of it deleted": "UPDATE productions SET is_deleted = true",
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
async def test_what_was_wrong_before_is_no_finding(live: str, wrong: str) -> None:
    await execute(live, wrong)
    trip = RoundTrip()
    await trip.look_before(live)
    await trip.run(live)
    assert trip.findings == []


async def test_the_gate_makes_it_and_stops_where_it_fails(image: Image, live: str) -> None:
    loud = "NEW.note := upper(NEW.note)"
    revision(image, trigger("cameras", "UPDATE", "NEW.note IS DISTINCT FROM OLD.note", loud))
    ended = await ran(live, gate.REHEARSE, word="rehearse", anew=True, contract=True)
    assert ended.verdict.name == "BROKEN", ended
    words = "pushing offline work, on cameras: note was sent as 'offline' and reads 'OFFLINE'"
    assert TRIP + words in ended.words
    assert "The live database was not touched" in ended.words


async def test_the_gate_keeps_it_as_evidence(older: str) -> None:
    await upgrade(older, "0057_vision_switchers_contract", say=legacy.quiet)
    ended = await ran(
        older, gate.REHEARSE, word="rehearse", anew=True, contract=True,
        override="it served for a month", who="anna",
    )  # fmt: skip
    assert ended.verdict.name == "DONE", ended
    (kept,) = await rows(older, "SELECT evidence FROM release_rehearsals")
    assert json.loads(kept["evidence"])["sync_round_trip"]["seconds"] > 0
