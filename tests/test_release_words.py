"""The operator's words at the terminal: what they print, and how they exit."""

import json
import subprocess
from typing import Any

import pytest

from app.releases.verdict import Verdict
from tests.support import forks
from tests.support.databases import column, execute


@pytest.fixture
def older(adopted_database: str) -> str:
    return adopted_database


def said(url: str, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "DATABASE_URL": url, "SOAK_HOURS": "24", **settings}
    return forks.run("app", "release", *words, env=environment)


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def test_the_way_of_an_operator(older: str) -> None:
    """Wait, read, approve, release, wait for the soak, look, go back."""
    waiting = said(older)
    assert waiting.returncode == Verdict.AWAITING_APPROVAL, waiting.stderr
    assert "✓ rehearse" in waiting.stderr
    digest = told(said(older, "status", "--json"))["next"]["digest"]
    refused = said(older, "approve", "00000000", "--who", "anna", "--why", "no such plan")
    assert (refused.returncode, "00000000" in refused.stderr) == (Verdict.REFUSED, True)
    approved = said(older, "approve", digest[:12], "--who", "anna", "--why", "read it", "--json")
    assert (approved.returncode, told(approved)["decision"]) == (0, "approved")

    done = said(older, "--json")
    assert (done.returncode, told(done)["verdict"]) == (Verdict.STEP_DONE, "STEP_DONE"), done.stderr
    soaking = said(older)
    assert (soaking.returncode, "soak" in soaking.stderr) == (Verdict.REFUSED, True)
    status = said(older, "status")
    assert "soak       running, 24.0 h left (productions)" in status.stdout
    assert "release by deploy: STEP_DONE" in status.stdout

    back = said(older, "rollback", "--who", "anna", "--why", "the old page is slow")
    assert back.returncode == 0, back.stderr
    assert await column(older, "SELECT version_num FROM alembic_version") == ["0001_older_schema"]


def test_the_plan_is_shown_and_nothing_done(older: str) -> None:
    done = said(older, "plan")
    assert done.returncode == 0, done.stderr
    assert "ALTER TABLE productions ADD COLUMN IF NOT EXISTS uuid uuid" in done.stdout
    assert "ACCESS EXCLUSIVE" in done.stdout


async def test_another_database_is_laid_beside_this_one(older: str, own_database: str) -> None:
    same = said(older, "compare", older)
    assert (same.returncode, "schemas are the same" in same.stdout) == (0, True)
    await execute(own_database, "CREATE INDEX by_hand ON cameras (name)")
    other = said(older, "compare", COMPARE_URL=own_database)
    assert other.returncode == 1
    assert "0001_older_schema" in other.stdout
    assert "by_hand" in other.stdout


def test_who_and_why_are_asked_for(older: str) -> None:
    for word in ("adopt", "rollback", "approve"):
        assert said(older, word).returncode == 2


def test_the_status_of_a_database_that_is_away_is_said() -> None:
    away = said("postgresql://u:s3cret@127.0.0.1:1/none", "status")
    assert (away.returncode, "s3cret" in away.stderr) == (Verdict.UNREACHABLE, False)
