"""The status tells the one command to run next, in every state."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from app.cli.commands.release_status import described
from app.releases.gate.gate import ROLLBACK
from app.releases.migrations import revisions
from app.releases.status import next_command as advice
from app.releases.status.next_command import next_command
from app.releases.status.schemas import Status
from app.releases.status.status import status
from tests.legacy import connected
from tests.support.databases import execute
from tests.support.gates import approved, ran
from tests.test_release_killed import killed
from tests.test_release_words import said

NOON: Final = datetime(2026, 3, 29, 12, tzinfo=UTC)
DIGEST: Final = "0123456789abcdef" * 4
GATE: Final = "python -m app release"
BY: Final = "--who NAME --why REASON"

RELEASE: Final[dict[str, Any]] = {
    "revisions": ["0007_cameras_expand", "0008_cameras_switch"], "phase": "switch",
    "table": "cameras",
}  # fmt: skip
PLANNED: Final = RELEASE | {"digest": DIGEST, "state": "proposed"}
PASSED: Final = {"id": 3, "passed": True, "findings": [], "finished_at": NOON}
FAILED: Final = {"id": 3, "passed": False, "findings": ["rows are lost."], "finished_at": NOON}
REHEARSED: Final = PLANNED | {"rehearsal": PASSED}
DECISION: Final = {
    "decision": "approved", "who": "anna", "why": "read it", "at": NOON, "rehearsal": 3,
    "destroys": None, "valid": True,
}  # fmt: skip
SOAK: Final[dict[str, Any]] = {
    "digest": DIGEST, "table": "ccus", "revisions": ["0006_ccus_switch"], "state": "running",
    "started_at": NOON, "seconds": 86_400.0, "remaining_seconds": 1.0, "last_look_at": None,
    "reasons": [], "signals": [],
}  # fmt: skip
RUN: Final[dict[str, Any]] = {
    "id": 7, "word": "release", "who": "deploy", "why": None, "before": None, "after": None,
    "digest": DIGEST, "head": revisions.head(), "verdict": "KILLED", "exit_code": None,
    "words": "The process ended in the middle.", "started_at": NOON, "finished_at": None,
}  # fmt: skip
STATEMENT: Final[dict[str, Any]] = {
    "sql": "ALTER TABLE cameras …", "kind": "brief", "lock": "", "seconds": 3.0,
    "predicted_seconds": None, "tries": 4, "stall": 0.1,
}  # fmt: skip
RUNNING: Final[dict[str, Any]] = {
    "run": 7, "word": "release", "who": "deploy", "stage": "apply", "since": NOON,
    "statement": STATEMENT, "waits_for": [], "blocks": [], "progress": [],
    "safe_to_cancel": True, "safe_words": "Safe.",
}  # fmt: skip
HOLDER: Final[dict[str, Any]] = {
    "pid": 4711, "application": "psql", "state": "idle in transaction",
    "transaction_seconds": 33.0, "query": "UPDATE …",
}  # fmt: skip
LAST: Final = {"pid": 4711, "application": "psql", "state": "idle in transaction", "at": NOON}
DRIFT: Final[dict[str, Any]] = {
    "kind": "column", "table": "cameras", "object": "lens", "expected": None, "there": None,
    "words": "A column is missing.", "mend": [],
}  # fmt: skip


def stands(**parts: Any) -> Status:
    whole: dict[str, Any] = {
        "revision": "0006_ccus_switch", "head": revisions.head(), "needed": revisions.needed(),
        "state": "behind", "pending": [], "next": None, "drift": [], "drift_checked_at": NOON,
        "drift_checked_by": "gate", "soak": None, "running": None, "overrides": [], "runs": [],
        "unread": [],
    }  # fmt: skip
    return Status.model_validate(whole | parts)


EMPTY: Final[dict[str, Any]] = {"revision": None, "state": "unmigrated", "drift": None}
HEAD: Final[dict[str, Any]] = {"revision": revisions.head(), "state": "head"}
BEGUN: Final = REHEARSED | {"state": "applying", "decision": DECISION}

# What stands, the command, and words that must be there.
STATES: Final[dict[str, tuple[dict[str, Any], str | None, tuple[str, ...]]]] = {
    "empty": (EMPTY, f"{GATE} --new", ("is empty", "DATABASE_URL")),
    "not adopted": (EMPTY | {"content": "adoptable"}, f"{GATE} adopt {BY}", ("older service",)),
    "strange": (EMPTY | {"content": "strange"}, None, ("none of them is ours", "DATABASE_URL")),
    "its revision lost": (
        EMPTY | {"content": "lost"},
        "psql -c \"INSERT INTO alembic_version VALUES ('THE_REVISION')\"", ("no revision",),
    ),
    "unclear": ({"unclear": "two rows", "state": None, "revision": None}, None, ("two rows",)),
    "not planned": ({"next": RELEASE}, GATE, ("0008_cameras_switch", "asks for approval")),
    "planned": ({"next": PLANNED}, GATE, ("0008_cameras_switch",)),
    "rehearsed": (
        {"next": REHEARSED}, f"{GATE} approve 0123456789ab {BY}", ("waits for a person", "plan"),
    ),
    "rehearsed, and destroys": (
        {"next": REHEARSED | {"destroys": True, "destroyed": "cameras"}},
        f"{GATE} approve 0123456789ab {BY} --destroys cameras", ("waits for a person",),
    ),
    "rehearsed again": (
        {"next": REHEARSED | {"decision": DECISION | {"valid": False}}},
        f"{GATE} approve 0123456789ab {BY}", ("void",),
    ),
    "withheld": (
        {"next": REHEARSED | {"decision": DECISION | {"decision": "withheld", "valid": False}}},
        f"{GATE} approve 0123456789ab {BY}", ("withheld by anna", "read it"),
    ),
    "approved": (
        {"next": REHEARSED | {"decision": DECISION}}, GATE, ("approved by anna", "not applied"),
    ),
    "rehearsal failed": (
        {"next": PLANNED | {"rehearsal": FAILED}}, f"{GATE} rehearse", ("rows are lost", "mend"),
    ),
    "soaking": (
        {"next": RELEASE, "soak": SOAK}, GATE,
        ("soaks until 2026-03-30 12:00 UTC", "--override-soak REASON"),
    ),
    "soak red": (
        {"next": RELEASE, "soak": SOAK | {"state": "red", "reasons": ["GET /x met 42703"]}},
        f"{GATE} rollback {BY}", ("red", "GET /x met 42703", "--override-soak REASON"),
    ),
    "killed half-way": (
        {"next": BEGUN, "runs": [RUN]}, f"{GATE} resume", ("begun", "KILLED", "rollback"),
    ),
    "the first build killed half-way": (EMPTY | {"next": BEGUN}, f"{GATE} resume", ("begun",)),
    "a contract killed half-way": (
        {"next": BEGUN | {"phase": "contract"}, "runs": [RUN]}, f"{GATE} resume", ("begun",),
    ),
    "unverified": (
        {"next": BEGUN | {"state": "applied"}, "runs": [RUN | {"verdict": "UNVERIFIED"}]},
        f"{GATE} resume", ("run the SQL", "rollback"),
    ),
    "half taken back": (
        {"next": BEGUN | {"state": "taking back"}, "soak": SOAK | {"state": "taking back"}},
        f"{GATE} rollback {BY}", ("being taken back", "finishes it"),
    ),
    "ahead": (
        {"revision": "9999_x", "state": "ahead"}, f"{GATE} --allow-ahead", ("9999_x", "Deploy"),
    ),
    "drifted": ({"drift": [DRIFT]}, "python -m app drift", ("1 difference", "undo")),
    "edited": (
        {"runs": [RUN | {"verdict": "EDITED", "words": "0002 was changed."}], "next": RELEASE},
        GATE, ("0002 was changed", "fault with this image"),
    ),
    "a broken image": (
        {"runs": [RUN | {"verdict": "BROKEN", "words": "a revision is missing."}],
         "next": RELEASE}, GATE, ("a revision is missing",),
    ),
    "an older image was broken": (
        {"runs": [RUN | {"verdict": "BROKEN", "head": "0001"}], "next": RELEASE}, GATE,
        ("Next comes",),
    ),
    "running": ({"running": RUNNING, "next": BEGUN}, f"{GATE} status", ("Run 7", "Let it end")),
    "waiting": (
        {"running": RUNNING | {"waits_for": [HOLDER]}, "next": BEGUN},
        "psql -c 'SELECT pg_terminate_backend(4711)'",
        ("process 4711", "psql", "idle in transaction", "33 s", "a person has made sure"),
    ),
    "waiting for a prepared transaction": (
        {"running": RUNNING | {"waits_for": [HOLDER | {"pid": 0}]}},
        "psql -c 'TABLE pg_prepared_xacts'", ("prepared transaction",),
    ),
    "between two tries": (
        {"running": RUNNING | {"statement": STATEMENT | {"lastBlocker": LAST}}},
        f"{GATE} status", ("try 4", "process 4711", "psql", "12:00:00"),
    ),
    "done": (HEAD, None, ("All is done", "deployed")),
    "contracts pending": (
        {"state": "ready", "next": RELEASE | {"phase": "contract"}}, f"{GATE} rehearse",
        ("can serve", "stays pending"),
    ),
    "a contract soaks": (
        {"state": "ready", "next": RELEASE | {"phase": "contract"}, "soak": SOAK}, GATE,
        ("soaks until", "serves meanwhile"),
    ),
    "nothing known": (
        {"state": None, "revision": None, "unread": ["revision", "running"]}, f"{GATE} status",
        ("cannot be read", "revision"),
    ),
    "the last run failed": (
        {"next": RELEASE, "runs": [RUN | {"verdict": "FAILED", "words": "The role may not."}]},
        GATE, ("The last run, 7, failed; mend this first: The role may not.",),
    ),
    "the plan is locked": ({"next": None, "unread": ["next"]}, f"{GATE} status", ("next",)),
    "the soak is locked": (
        {"next": RELEASE, "unread": ["soak", "runs"]}, GATE, ("Not read: soak, runs",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("state", STATES)
def test_every_state_has_its_command(state: str) -> None:
    parts, command, words = STATES[state]
    found = next_command(stands(**parts))
    assert found.command == command
    assert all(word in found.words for word in words), found.words
    assert found.words.count(". ") <= 3, "one sentence, and what else there is to choose"


def test_every_rule_is_tried() -> None:
    """A rule that is never the first to speak would be no rule, and a state without one is lost."""
    spoke = {
        next(rule for rule in advice._RULES if rule(stands(**parts)))  # noqa: SLF001  # which spoke
        for parts, _, words in STATES.values()
        if "All is done" not in words
    }
    assert spoke == set(advice._RULES)  # noqa: SLF001  # as above


# The same, made for real.


async def advised(url: str) -> tuple[str | None, str]:
    found = (await status(url))["nextCommand"]
    return found["command"], found["words"]


async def test_the_way_of_a_release(adopted_database: str) -> None:
    assert (await advised(adopted_database))[0] == GATE
    waiting = await ran(adopted_database)
    command, _ = await advised(adopted_database)
    assert command == f"{GATE} approve {str(waiting.digest)[:12]} {BY}"
    await approved(adopted_database, waiting)
    command, words = await advised(adopted_database)
    assert (command, "approved by anna" in words) == (GATE, True)
    assert (await ran(adopted_database, soak_seconds=86_400)).verdict.name == "STEP_DONE"
    command, words = await advised(adopted_database)
    until = datetime.now(UTC) + timedelta(days=1)
    assert (command, f"{until:%Y-%m-%d}" in words) == (GATE, True)


async def test_an_older_services_database(adopted_database: str) -> None:
    await execute(adopted_database, "DROP TABLE alembic_version")
    assert (await advised(adopted_database))[0] == f"{GATE} adopt {BY}"


async def test_databases_of_nobody_and_of_others(empty_database: str) -> None:
    assert (await advised(empty_database))[0] == f"{GATE} --new"
    await execute(empty_database, "CREATE TABLE theirs (id int)")
    assert (await advised(empty_database))[0] is None


async def test_a_database_whose_revision_is_lost(own_database: str) -> None:
    await execute(own_database, "DELETE FROM alembic_version")
    command, words = await advised(own_database)
    assert "INSERT INTO alembic_version" in str(command)
    assert "no revision is noted" in words


async def test_killed_half_way(approved_database: str) -> None:
    await asyncio.to_thread(killed, approved_database, "statement", "2")
    command, words = await advised(approved_database)
    assert (command, "KILLED" in words) == (f"{GATE} resume", True)


async def test_a_rollback_that_was_killed_is_being_taken_back(approved_database: str) -> None:
    """The soak of what is being taken back does not run on."""
    assert (await ran(approved_database, soak_seconds=86_400)).verdict.name == "STEP_DONE"
    words = ("release", "rollback", "--who", "anna", "--why", "the old page is slow")
    await asyncio.to_thread(killed, approved_database, "steps-back", "1", words=words)
    found = await status(approved_database)
    assert found["soak"]["state"] == found["next"]["state"] == "taking back"
    assert found["nextCommand"]["command"] == f"{GATE} rollback {BY}"
    shown = "\n".join(described(found))
    assert "soak       taking back" in shown
    assert "running, " not in shown
    back = await ran(approved_database, ROLLBACK, word="rollback", who="anna", why="it is slow")
    assert back.verdict == 0
    assert (await status(approved_database))["soak"] is None


async def test_the_terminal_and_machines_are_told(own_database: str) -> None:
    await ran(own_database)
    shown = await asyncio.to_thread(said, own_database, "status")
    assert shown.stdout.splitlines()[-1].startswith("do next    All is done")
    told = await asyncio.to_thread(said, own_database, "status", "--json")
    assert json.loads(told.stdout)["nextCommand"]["command"] is None


def test_a_database_that_does_not_answer() -> None:
    away = said("postgresql://u:s3cret@127.0.0.1:1/none", "status", "--json")
    assert away.returncode == 17
    assert json.loads(away.stdout)["nextCommand"]["command"] == f"{GATE} status"
    assert "s3cret" not in away.stdout + away.stderr


async def test_who_is_in_the_way_is_kept_between_two_tries(approved_database: str) -> None:
    """The next try is seconds away, and nobody waits meanwhile; the query is no one else's."""
    async with connected(approved_database) as theirs:
        await theirs.execute("SET application_name = 'a forgotten console'")
        pid = await theirs.fetchval("SELECT pg_backend_pid()")
        transaction = theirs.transaction()
        await transaction.start()
        await theirs.execute("LOCK TABLE productions IN ACCESS SHARE MODE")
        gate = asyncio.create_task(ran(approved_database))
        async with asyncio.timeout(60):
            found = await status(approved_database)
            while not _between(found):
                assert not gate.done(), gate
                found = await status(approved_database)
        last = found["running"]["statement"]["lastBlocker"]
        assert (last["pid"], last["application"]) == (pid, "a forgotten console")
        assert set(last) == {"pid", "application", "state", "at"}
        shown = "\n".join(described(found))
        assert f"last in the way was pid {pid} (a forgotten console" in shown
        assert f"process {pid}" in found["nextCommand"]["words"]
        await transaction.rollback()
    assert (await gate).verdict.name == "STEP_DONE"


def _between(found: dict[str, Any]) -> bool:
    """Return whether nobody is waited for at this moment, though somebody was."""
    running = found["running"]
    statement = running and running["statement"]
    return bool(statement and statement["lastBlocker"] and not running["waitsFor"])
