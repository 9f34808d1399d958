"""The soak: its clock, what turns it red, and what the serving app notes of itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from asyncpg import exceptions as pg
from structlog.testing import capture_logs

from app.database.url import DatabaseUrl
from app.health.soak_recorder import SoakRecorder
from app.releases.connection.open_connection import open_connection
from app.releases.ledger import signals, soak
from app.releases.ledger.ledger import Ledger
from app.releases.ledger.soak import Signal, Soak
from app.releases.status import recheck as rechecks
from app.releases.status.recheck import recheck
from app.releases.status.status import status
from app.releases.verdict import Stopped, Verdict
from tests.support import databases
from tests.support.bodies import ALL, full, minimal, optional
from tests.support.ledgers import NOON, Hands, expecting, opened, plan, proposed
from tests.support.service import created, service

DAY = 86_400.0
SOAK = Soak(digest="d", table="cameras", phase="switch", revisions=("0008",), started_at=NOON,
            seconds=DAY)  # fmt: skip


def signal(hours: float, lasting: float = 0, kind: str = signals.SCHEMA_ERROR) -> Signal:
    at = NOON + timedelta(hours=hours)
    return Signal(kind=kind, code="42703", words="column cameras.uuid does not exist",
                  source="GET /api/cameras/{key}", count=1, at=at,
                  last_at=at + timedelta(hours=lasting))  # fmt: skip


@pytest.mark.parametrize(
    ("noted", "hours", "state", "left"),
    [
        ([], 0, "running", DAY),
        ([], 23, "running", 3_600.0),
        ([], 24, "green", 0),
        ([signal(-1)], 1, "running", 23 * 3_600.0),
        ([signal(-1)], 24, "green", 0),
        ([signal(-1, lasting=2)], 2, "red", 0),
        ([signal(0)], 1, "red", 0),
        ([signal(5)], 6, "red", 0),
        ([signal(5)], 100, "red", 0),
        ([signal(5, kind="drift")], 6, "red", 0),
        ([signal(23.9)], 24, "red", 0),
        ([signal(24)], 25, "green", 0),
    ],
)
def test_the_state_of_a_soak(noted: list[Signal], hours: float, state: str, left: float) -> None:
    standing = soak.state(SOAK, noted, NOON + timedelta(hours=hours))
    assert (standing.state, standing.remaining) == (state, left)
    assert bool(standing.reasons) is (state == "red")


async def test_green_comes_with_time_and_says_until_when(own_database: str) -> None:
    clock = Hands()
    async with opened(own_database) as ledger:
        assert "no soak" in await soak.raise_unless_green(ledger, clock)
        await proposed(ledger, plan())
        await soak.begin(ledger, plan(), DAY, clock)
        clock.forward(hours=10.5)
        with pytest.raises(Stopped, match=r"cameras runs for another 13 h 30 min, until 2027-03-02"
                           " 12:00 UTC") as stopped:  # fmt: skip
            await soak.raise_unless_green(ledger, clock)
        assert stopped.value.verdict == Verdict.REFUSED
        assert "--override-soak" in stopped.value.words
        clock.forward(hours=13.5)
        assert "green" in await soak.raise_unless_green(ledger, clock)


@asynccontextmanager
async def soaking(url: str, clock: Hands) -> AsyncIterator[Ledger]:
    async with opened(url) as ledger:
        await proposed(ledger, plan())
        await soak.begin(ledger, plan(), DAY, clock)
        await expecting(ledger, url)
        yield ledger


async def test_a_schema_error_turns_it_red_until_a_reason_is_given(own_database: str) -> None:
    clock = Hands()
    async with soaking(own_database, clock) as ledger, open_connection(own_database) as app:
        await signals.write(app, [signal(-2)])
        assert (await standing(ledger, clock)).state == "running"
        clock.forward(hours=3)
        await signals.write(app, [signal(2)])
        clock.forward(hours=100)
        with pytest.raises(Stopped, match=r"red: GET /api/cameras/\{key\} met 42703 once: column"):
            await soak.raise_unless_green(ledger, clock)
        await soak.override(ledger, "anna", "the old laptop is gone", clock)
        words = "overridden by anna: the old laptop is gone"
        assert words in await soak.raise_unless_green(ledger, clock)
        shown = await status(own_database, clock=clock)
    assert (shown["soak"]["state"], shown["soak"]["reasons"][0]) == ("overridden", words)
    assert shown["soak"]["signals"][0]["code"] == "42703"
    (override,) = shown["overrides"]
    assert (override["rule"], override["who"]) == ("soak", "anna")
    assert override["why"] == "the old laptop is gone"


async def test_an_override_passes_over_what_was_known_and_nothing_more(own_database: str) -> None:
    clock = Hands()
    async with soaking(own_database, clock) as ledger, open_connection(own_database) as app:
        clock.forward(hours=1)
        await soak.override(ledger, "anna", "fine so far", clock)
        assert (await standing(ledger, clock)).state == "overridden"
        assert (await standing(ledger, clock)).watched(clock())
        await signals.write(app, [signal(2)])
        clock.forward(hours=2)
        found = await standing(ledger, clock)
        assert (found.state, "fine so far" in found.reasons[0]) == ("red", True)
        with pytest.raises(Stopped):
            await soak.raise_unless_green(ledger, clock)
        await soak.override(ledger, "anna", "seen as well", clock)
        assert (await standing(ledger, clock)).state == "overridden"


async def standing(ledger: Ledger, clock: Hands) -> soak.Standing:
    found = await soak.current(ledger, clock)
    assert found is not None
    return found


async def test_a_release_that_was_taken_back_is_not_waited_for(own_database: str) -> None:
    clock = Hands()
    async with soaking(own_database, clock) as ledger:
        await ledger.execute(
            "UPDATE release_soaks SET ended_at = now(), ended = 'rolled back by anna'"
        )
        assert await soak.current(ledger, clock) is None
        clock.forward(hours=1)
        await soak.begin(ledger, plan(), DAY, clock)
        assert (await standing(ledger, clock)).remaining == DAY


async def test_an_error_that_goes_on_is_one_row_an_hour(own_database: str) -> None:
    async with opened(own_database) as ledger, open_connection(own_database) as app:
        for hours in (0, 0.1, 0.9, 1.2):
            await signals.write(app, [signal(hours)])
        rows = await ledger.fetch_rows("SELECT count, at, last_at FROM release_signals ORDER BY id")
    assert [row["count"] for row in rows] == [3, 1]
    assert rows[0]["last_at"] - rows[0]["at"] == timedelta(hours=0.9)


# Drift while serving


DRIFT = "ALTER TABLE cameras ALTER COLUMN name DROP NOT NULL"


async def test_drift_turns_it_red_and_is_told_once(own_database: str) -> None:
    clock = Hands()
    async with soaking(own_database, clock) as ledger, open_connection(own_database) as app:
        assert await recheck(app, 300, clock) == []
        assert (await status(own_database, clock=clock))["drift"] == []
        await databases.execute(own_database, DRIFT)
        assert await recheck(app, 300, clock) is None, "it is not this process's turn yet"
        for _ in range(3):
            clock.forward(seconds=300)
            (finding,) = await recheck(app, 300, clock) or []
            assert finding.table == "cameras"
        found = await standing(ledger, clock)
        assert (found.state, len(found.signals)) == ("red", 1)
        assert "NULL" in found.reasons[0]
        shown = await status(own_database, clock=clock)
        assert [drift["table"] for drift in shown["drift"]] == ["cameras"]
        assert shown["driftCheckedAt"] == "2027-03-01T12:15:00.000Z"
        await databases.execute(own_database, "ALTER TABLE cameras DROP COLUMN note")
        clock.forward(seconds=300)
        assert len(await recheck(app, 300, clock) or []) == 2
        assert len((await standing(ledger, clock)).signals) == 2


@pytest.mark.parametrize("when", ["green", "migrating", "another revision", "never", "no soak"])
async def test_nobody_looks_for_drift_without_a_reason(own_database: str, when: str) -> None:
    clock = Hands()
    if when == "never":
        async with open_connection(own_database) as app:
            assert await recheck(app, 300, clock) is None
        return
    async with soaking(own_database, clock) as ledger, open_connection(own_database) as app:
        await databases.execute(own_database, DRIFT)
        if when == "green":
            clock.forward(days=2)
        if when == "migrating":
            assert await ledger.try_lock()
        if when == "another revision":
            await databases.execute(own_database, "UPDATE alembic_version SET version_num = 'x'")
        if when == "no soak":
            await ledger.execute("DELETE FROM release_soaks")
        assert await recheck(app, 300, clock) is None
        assert await ledger.last_look() is None


async def test_the_serving_app_finds_drift_by_itself(own_database: str) -> None:
    clock = Hands(soak.utc_now())
    async with soaking(own_database, clock) as ledger:
        await databases.execute(own_database, DRIFT)
        with service(own_database, soak_check=0.1):
            row = await first(ledger)
    assert row["kind"] == "drift"
    assert "cameras" in row["words"]


async def first(ledger: Ledger) -> dict[str, Any]:
    """Wait for the first signal."""
    async with asyncio.timeout(60):
        query = "SELECT * FROM release_signals ORDER BY id LIMIT 1"
        while not (row := await ledger.fetch_row(query)):  # noqa: ASYNC110  # it tells no event
            await asyncio.sleep(0.02)
    return row


# Schema errors while serving


async def test_a_column_that_is_gone_is_noted_without_values(own_database: str) -> None:
    async with soaking(own_database, Hands(soak.utc_now())) as ledger:
        with service(own_database) as client:
            made = created(client, "productions", name="s3cret show")
            camera = created(client, "cameras", productionId=made["id"], name="s3cret camera")
            await databases.execute(own_database, "ALTER TABLE cameras RENAME COLUMN note TO lost")
            answer = client.put(f"/api/cameras/{camera['uuid']}", json={"note": "s3cret note"})
            assert (answer.status_code, answer.json()["code"]) == (503, "SCHEMA_MISMATCH")
            row = await first(ledger)
            state = (await standing(ledger, Hands(soak.utc_now()))).state
            listed = client.get(f"/api/cameras/production/{made['uuid']}")
            assert listed.status_code == 503
        # Stopping writes what was not written yet.
        sources = await ledger.fetch_rows("SELECT source, words FROM release_signals ORDER BY id")
    assert (row["kind"], row["code"]) == ("schema error", "42703")
    assert row["words"] == "column cameras.note does not exist"
    assert state == "red"
    assert [s["source"] for s in sources] == [
        "PUT /api/cameras/{key}", "GET /api/cameras/production/{production}",
    ]  # fmt: skip
    assert "s3cret" not in str(sources)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("ALTER TABLE productions ADD COLUMN must text NOT NULL", "23502"),
        ("ALTER TABLE productions ADD CHECK (venue IS NULL)", "23514"),
        (("CREATE TYPE mood AS ENUM ('good'); ALTER TABLE productions ALTER venue TYPE mood "
         "USING NULL"), "22P02"),
        ("ALTER TABLE changes ALTER uuid DROP DEFAULT, ALTER uuid TYPE text", signals.DRIVER),
        ("DROP TABLE changes", "42P01"),
    ],
    ids=["NOT NULL", "CHECK", "enum", "key of another type", "table"],
)  # fmt: skip
async def test_every_way_to_disagree_is_noted(own_database: str, change: str, code: str) -> None:
    async with soaking(own_database, Hands(soak.utc_now())) as ledger:
        await databases.execute(own_database, change)
        with service(own_database) as client:
            answer = client.post("/api/productions", json={"name": "x", "venue": "s3cret"})
            assert answer.status_code in {422, 503}
            row = await first(ledger)
    assert row["code"] == code
    assert row["source"] == "POST /api/productions"
    assert "s3cret" not in row["words"]


def told(kind: type[pg.PostgresError], message: str) -> tuple[str, str] | None:
    return signals.schema_error(kind(message))


def test_words_carry_no_values() -> None:
    uuid = 'invalid input syntax for type uuid: "s3cret\nvalue"'
    enum = 'invalid input value for enum "EventType": "s3cret"'
    assert told(pg.InvalidTextRepresentationError, uuid) == (
        "22P02", "invalid input syntax for type uuid",
    )  # fmt: skip
    assert told(pg.InvalidTextRepresentationError, enum) == (
        "22P02", 'invalid input value for enum "EventType"',
    )  # fmt: skip
    assert told(pg.UndefinedColumnError, "column a.b does not exist\nhint") == (
        "42703", "column a.b does not exist",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (pg.UniqueViolationError("taken\nDETAIL:  Key (name)=(s3cret)"), "taken"),
        (pg.NumericValueOutOfRangeError('value "s3cret" is out of range'), "… is out of range"),
        (pg.NumericValueOutOfRangeError('value "s3c\nret"'), "…"),
        (pg.DataError("invalid input for query argument $1: 's3cret' (x)"),
         "invalid input for query argument $1"),
        (pg.RaiseError("no room for 's3cret''s3cret' here"), "no room for … here"),
        (OSError(111, "Connect call failed"), "[Errno 111] Connect call failed"),
        (TimeoutError(), ""),
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_logged_of_an_error_has_no_values(error: Exception, words: str) -> None:
    assert signals.without_values(error) == words


async def test_the_log_shows_no_row(own_database: str) -> None:
    await databases.execute(own_database, "ALTER TABLE productions ADD CHECK (venue IS NULL)")
    with service(own_database) as client, capture_logs() as lines:
        body = {"name": "x", "venue": "s3cret"}
        assert client.post("/api/productions", json=body).status_code == 503
    (line,) = [line for line in lines if line["event"] == "database"]
    assert "violates check constraint" in line["reason"]
    assert "s3cret" not in str(lines)


@pytest.mark.parametrize(
    "error",
    [pg.UniqueViolationError("x"), pg.ForeignKeyViolationError("x"), pg.LockNotAvailableError("x"),
     pg.CharacterNotInRepertoireError("x"), pg.NumericValueOutOfRangeError("x"),
     pg.DataError("x"), OSError("x"), TimeoutError("x"), pg.CardinalityViolationError("x"), None,
     pg.DuplicatePreparedStatementError("x"), pg.DuplicateCursorError("x"),
     pg.DuplicateDatabaseError("x")],
    ids=repr,
)  # fmt: skip
def test_what_clients_networks_and_poolers_cause_is_no_signal(error: Exception | None) -> None:
    assert signals.schema_error(error) is None


async def test_no_client_can_turn_a_soak_red(own_database: str) -> None:
    """Whatever is sent to every member of every type, nothing is noted."""
    async with soaking(own_database, Hands(soak.utc_now())) as ledger:
        with service(own_database) as client:
            production = created(client, "productions", name="x")
            for entity in ALL:
                torment(client, entity.collection, hostile(entity, production))
            for key in ("%00", "a%00b", "%ff", "%ed%a0%80", "x" * 3_000, "' OR 1=1 --", "{key}"):
                for path in ("cameras/{}", "productions/{}", "cameras/production/{}",
                             "productions/{}/events", "productions/{}/events/entity/{}",
                             "productions/x/events/since/{}"):  # fmt: skip
                    for query in ("", "?limit=1000", "?limit=99999999999999999999"):
                        asked = client.get(f"/api/{path.format(key, key)}{query}")
                        assert asked.status_code < 500, (path, key)
        assert await ledger.fetch_rows("SELECT * FROM release_signals") == []


def hostile(entity: Any, production: dict[str, Any]) -> list[dict[str, Any]]:
    body = {"productionId": production["id"], **minimal(entity)}
    members = {*optional(entity), *minimal(entity), "id", "uuid"}
    strange: list[Any] = [None, "", 2**31 - 1, 2**63, "\U0010ffff", "0001-01-01", [None], [{}]]
    return [{**body, member: value} for member in members for value in strange] + [
        full(entity, **body),
        {**body, **dict.fromkeys(full(entity), None)},
    ]


def torment(client: httpx.Client, collection: str, bodies: list[dict[str, Any]]) -> None:
    kept = ""
    for body in bodies:
        made = client.post(f"/api/{collection}", json=body)
        assert made.status_code < 500, (collection, body)
        kept = f"/api/{collection}/{made.json()['uuid']}" if made.status_code == 201 else kept
    for version, body in enumerate(bodies):
        seen = {"version": version} if collection == "productions" else {}
        answer = client.put(kept, json=body | seen)
        assert answer.status_code < 500, (collection, body)


# The recorder itself


def error(number: int = 0) -> asyncpg.PostgresError:
    return pg.UndefinedColumnError(f"column x{number} does not exist")


async def test_the_tally_is_bounded_and_counts(own_database: str) -> None:
    clock = Hands()
    recorder = SoakRecorder(DatabaseUrl.parse(own_database), 300, clock)
    async with opened(own_database) as ledger:
        for number in range(250):
            recorder.note(error(number), "GET /x")
            recorder.note(error(7), "GET /x")
        await recorder.flush()
        await recorder.flush()
        rows = await ledger.fetch_rows("SELECT code, words, count FROM release_signals ORDER BY id")
    assert len(rows) == 101
    assert sum(row["count"] for row in rows) == 500
    assert {row["code"]: row["count"] for row in rows}["OTHER"] == 150
    assert {row["words"]: row["count"] for row in rows}["column x7 does not exist"] == 251


async def test_the_tally_is_bounded_however_often_it_cannot_be_written(own_database: str) -> None:
    recorder = SoakRecorder(DatabaseUrl.parse(own_database), 300, Hands())
    async with opened(own_database) as ledger, open_connection(own_database) as other:
        await ledger.execute("ALTER TABLE release_signals RENAME COLUMN words TO elsewhere")
        for hundred in range(5):
            # More comes while what came before is on its way.
            await other.execute("BEGIN; LOCK TABLE release_signals")
            recorder.note(error(hundred * 100), "GET /x")
            flush = asyncio.create_task(recorder.flush())
            await a_lock_is_waited_for(ledger)
            for number in range(1, 100):
                recorder.note(error(hundred * 100 + number), "GET /x")
            await other.execute("COMMIT")
            with pytest.raises(asyncpg.UndefinedColumnError):
                await flush
        await ledger.execute("ALTER TABLE release_signals RENAME COLUMN elsewhere TO words")
        await recorder.flush()
        rows = await ledger.fetch_rows("SELECT code, count FROM release_signals")
    assert len(rows) == 101
    assert sum(row["count"] for row in rows) == 500


async def a_lock_is_waited_for(ledger: Ledger) -> None:
    query = """SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)
      WHERE NOT granted AND datname = current_database()"""
    async with asyncio.timeout(60):
        while not await ledger.fetch_rows(query):  # noqa: ASYNC110  # PostgreSQL tells no event
            await asyncio.sleep(0.01)


async def test_what_cannot_be_written_is_kept_and_tried_again(own_database: str) -> None:
    recorder = SoakRecorder(DatabaseUrl.parse(own_database), 300, Hands(), together=0.01)
    async with opened(own_database) as ledger:
        await ledger.execute("ALTER TABLE release_signals RENAME COLUMN words TO elsewhere")
        recorder.note(error(), "GET /x")
        for _ in range(2):
            with pytest.raises(asyncpg.UndefinedColumnError):
                await recorder.flush()
        await ledger.execute("ALTER TABLE release_signals RENAME COLUMN elsewhere TO words")
        async with recorder.running():
            recorder.note(error(), "GET /x")
            assert (await first(ledger))["count"] == 2


async def test_where_the_gate_never_ran_nothing_is_kept(own_database: str) -> None:
    recorder = SoakRecorder(DatabaseUrl.parse(own_database), 300, Hands())
    async with recorder.running():
        recorder.note(error(), "GET /x")
        await recorder.flush()
        await recorder.check()
    async with opened(own_database) as ledger:
        await recorder.flush()
        assert await ledger.fetch_rows("SELECT * FROM release_signals") == []


@pytest.mark.parametrize("loop", ["writes", "looks"])
async def test_without_a_database_the_recorder_tries_again_and_stops(loop: str) -> None:
    tries, thrice = 0, asyncio.Event()

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        if tries == 3:
            thrice.set()
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = DatabaseUrl.parse(f"postgresql://me@127.0.0.1:{port}/x?sslmode=disable")
        every = 0.01 if loop == "looks" else 300
        recorder = SoakRecorder(url, every, together=0.01)
        async with asyncio.timeout(60), recorder.running():
            if loop == "writes":
                recorder.note(error(), "GET /x")
            await thrice.wait()


# Whose clock


async def test_the_soaks_clock_is_the_databases(
    own_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the machines say on which the gate and the service run."""

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return NOON

    monkeypatch.setattr(soak, "datetime", Wrong)
    recorder = SoakRecorder(DatabaseUrl.parse(own_database), 300)
    async with opened(own_database) as ledger:
        before = await ledger.fetch_value("SELECT clock_timestamp()")
        await proposed(ledger, plan())
        await soak.begin(ledger, plan(), DAY)
        found = await soak.current(ledger)
        assert found is not None
        assert 0 <= (found.soak.started_at - before).total_seconds() < 60
        assert DAY - 60 < found.remaining <= DAY
        recorder.note(error(), "GET /x")
        await recorder.flush()
        found = await soak.current(ledger)
        assert found is not None
        assert found.state == "red"
        await soak.override(ledger, "anna", "known")
        took = await ledger.fetch_value("SELECT ended_at - started_at FROM release_soaks")
    assert timedelta(0) <= took < timedelta(minutes=1)


# Whether anybody looked


@pytest.mark.parametrize("looking", ["never", "fails", "before", "once"])
async def test_green_says_so_when_nobody_looked(own_database: str, looking: str) -> None:
    clock = Hands()
    async with soaking(own_database, clock) as ledger, open_connection(own_database) as app:
        assert (await status(own_database, clock=clock))["soak"]["lastLookAt"] is None
        clock.forward(hours=1)
        if looking == "fails":
            await databases.execute(own_database, "ALTER TABLE release_looks RENAME at TO away")
            with pytest.raises(asyncpg.UndefinedColumnError):
                await recheck(app, 300, clock)
            await databases.execute(own_database, "ALTER TABLE release_looks RENAME away TO at")
        elif looking != "never":
            assert await recheck(app, 300, clock) == []
        shown = (await status(own_database, clock=clock))["soak"]["lastLookAt"]
        seen = looking in {"before", "once"}
        assert shown == ("2027-03-01T13:00:00.000Z" if seen else None)
        if looking == "before":
            clock.forward(hours=1)
            await soak.begin(ledger, plan(), DAY, clock)
        clock.forward(days=2)
        words = await soak.raise_unless_green(ledger, clock)
    assert "is green" in words
    assert ("nobody looked at it" in words) is (looking != "once")


async def test_a_look_that_fails_halfway_is_none(
    own_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had the turn, and then the catalogue could not be read."""
    clock = Hands()

    async def away(*_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(rechecks, "read_snapshot", away)
    async with soaking(own_database, clock) as ledger, open_connection(own_database) as app:
        with pytest.raises(TimeoutError):
            await recheck(app, 300, clock)
        assert (await standing(ledger, clock)).looked_at is None


async def test_a_soak_of_no_time_needs_no_look(own_database: str) -> None:
    async with opened(own_database) as ledger:
        await proposed(ledger, plan())
        await soak.begin(ledger, plan(), 0)
        assert await soak.raise_unless_green(ledger) == "the soak of cameras is green"
