"""The doctor: each part of an installation, well or not, with what mends it."""

import json
import os
import socket
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from app.database.url import DatabaseUrl
from app.releases.schema.scratch_database import sibling_url
from tests.support import forks
from tests.support.databases import Server, execute
from tests.support.service import service


def told(*words: str, **settings: str) -> CompletedProcess[str]:
    """Run a command of ours with these settings and no other."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    # On a busy machine an examination may take longer than a platform waits.
    quiet = {"PORT": "0", "LOG_LEVEL": "ERROR", "HEALTH_TIMEOUT": "60"}
    return forks.run("app", *words, env=kept | quiet | settings)


def diagnoses(**settings: str) -> dict[str, tuple[bool, str]]:
    done = told("doctor", "--json", **settings)
    found = {each["subject"]: (each["is_well"], each["words"]) for each in json.loads(done.stdout)}
    assert done.returncode == (0 if all(well for well, _ in found.values()) else 1), done.stderr
    return found


def test_what_is_well_is_said_line_by_line(own_database: str) -> None:
    done = told("doctor", DATABASE_URL=own_database)
    assert done.returncode == 0, done.stdout + done.stderr
    subjects = [line.split()[1] for line in done.stdout.splitlines()]
    assert subjects == ["settings", "door", "port", "database", "service", "release", "rehearsal"]
    assert all(line.startswith("ok ") for line in done.stdout.splitlines())


def test_a_database_that_lacks_its_migrations_names_the_command(empty_database: str) -> None:
    found = diagnoses(DATABASE_URL=empty_database)
    assert found["database"][0]
    well, words = found["release"]
    assert (well, "python -m app release" in words) == (False, True), words
    assert found["service"][0] is False


@pytest.mark.parametrize(("settings", "subject", "words"), [
    ({"POOL_SIZE": "many"}, "settings", "POOL_SIZE must be a whole number"),
    ({"HOST": "0.0.0.0"}, "door", "set ACCESS_TOKEN"),
    ({"ENVIRONMENT": "production"}, "door", "set ACCESS_TOKEN"),
    ({"ENVIRONMENT": "production"}, "names", "ALLOWED_HOSTS is not set"),
    ({"HOST": "192.0.2.1", "ANONYMOUS": "editor"}, "port", "set HOST or PORT"),
    ({"DATABASE_URL": "postgresql://u:s3cret@127.0.0.1:1/x"}, "database", "does not answer"),
    ({"DATABASE_URL": "mysql://u:s3cret@db/x"}, "database", "DATABASE_URL"),
    ({"ENVIRONMENT": "production"}, "database", "DATABASE_URL is not set"),
], ids=str)  # fmt: skip
def test_what_is_not_well_says_what_mends_it(
    settings: dict[str, str], subject: str, words: str
) -> None:
    nowhere = {"DATABASE_URL": "postgresql://u:s3cret@127.0.0.1:1/x"}
    if settings.get("ENVIRONMENT") == "production":
        nowhere = {}
    found = diagnoses(**{**nowhere, **settings})
    assert (found[subject][0], words in found[subject][1]) == (False, True), found
    assert "s3cret" not in str(found)


def test_the_port_of_a_service_that_runs_is_well(own_database: str) -> None:
    with service(own_database) as running:
        port = str(running.base_url.port)
        found = diagnoses(DATABASE_URL=own_database, PORT=port)
    assert found["port"] == (True, f"port {port} is where Signalbook serves now")


def test_a_port_of_somebody_else_is_not(own_database: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        found = diagnoses(DATABASE_URL=own_database, PORT=str(other.getsockname()[1]))
    assert (found["port"][0], "set HOST or PORT" in found["port"][1]) == (False, True)


async def test_drift_is_told_to_machines(own_database: str) -> None:
    assert json.loads(told("drift", "--json", DATABASE_URL=own_database).stdout) == []
    await execute(own_database, "ALTER TABLE cameras ALTER COLUMN name DROP NOT NULL")
    done = told("drift", "--json", DATABASE_URL=own_database)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    assert (done.returncode, [each["object"] for each in found]) == (1, ["name"])


def test_a_role_that_may_create_no_database_is_named(
    postgres_server: Server, own_database: str
) -> None:
    name = f"role_of_{DatabaseUrl.parse(own_database).database}"
    postgres_server.run(f"CREATE ROLE {name} LOGIN")
    try:
        found = diagnoses(DATABASE_URL=own_database.replace("//postgres@", f"//{name}@"))
    finally:
        postgres_server.run(f"DROP ROLE {name}")
    well, words = found["rehearsal"]
    assert (well, f"ALTER ROLE {name} CREATEDB" in words) == (False, True), words


def test_a_database_that_is_not_there_is_named(own_database: str) -> None:
    found = diagnoses(DATABASE_URL=sibling_url(own_database, "no_such_database"))
    well, words = found["database"]
    assert (well, "does not exist" in words) == (False, True), words


def test_production_without_tokens_says_what_that_means(own_database: str) -> None:
    done = told("doctor", DATABASE_URL=own_database, ENVIRONMENT="production")
    assert "set ACCESS_TOKEN" in done.stdout
    assert "no OPERATOR_TOKEN is set" in done.stdout


def test_looking_makes_no_database(tmp_path: Path) -> None:
    found = diagnoses(DATA_DIR=str(tmp_path / "data"))
    assert found["folder"][0]
    assert (found["database"][0], "scripts/serve" in found["database"][1]) == (False, True)
    assert not (tmp_path / "data").exists()


def test_a_folder_that_takes_nothing_is_named() -> None:
    well, words = diagnoses(DATA_DIR="/proc/nothing")["folder"]
    assert (well, "set DATA_DIR" in words) == (False, True), words
