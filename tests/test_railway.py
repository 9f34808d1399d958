"""Railway's project file says what ``railway.toml`` says, as long as both are read."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import SecretStr

from app.settings import PROJECT, Settings
from tests.support.service import service
from tests.test_examples import CURL, ORIGIN, request_of

FOLDER: Final = PROJECT / ".railway"
TOML: Final = tomllib.loads((PROJECT / "railway.toml").read_text())
# Railway's CLI evaluates the file so, and lays the outcome beside what is there.
EVALUATE: Final = """
import { createRailwayContext, project } from "railway/iac";
import program from "./railway.ts";
console.log(JSON.stringify(await program(createRailwayContext(), project)));
"""


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return the project's resources by type, as the platform's own package reads the file."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("no Node here: .railway/railway.ts was not evaluated")
    folder = tmp_path_factory.mktemp("railway")
    for name in ("railway.ts", "package.json", "package-lock.json"):
        shutil.copy(FOLDER / name, folder)
    (folder / "evaluate.mjs").write_text(EVALUATE)
    run(folder, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    graph = json.loads(run(folder, "node", "--import", "tsx", "evaluate.mjs"))
    return {resource["type"]: resource for resource in graph["resources"]}


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_both_files_ask_for_the_same(resources: dict[str, dict[str, Any]]) -> None:
    service = resources["service"]
    assert {"build": service["build"], "deploy": service["deploy"]} == TOML


def test_the_database_is_the_projects_own_and_secrets_are_nowhere(
    resources: dict[str, dict[str, Any]],
) -> None:
    variables = resources["service"]["variables"]
    assert {name.lower() for name in variables} <= Settings.model_fields.keys()
    assert variables["DATABASE_URL"] == {
        "type": "reference", "resource": resources["database"]["address"], "output": "DATABASE_URL",
    }  # fmt: skip
    for name in ("ACCESS_TOKEN", "OPERATOR_TOKEN"):
        assert variables[name] == {"type": "preserve"}, "it stays what it is on the platform"


def test_the_lock_names_no_registry() -> None:
    lock = (FOLDER / "package-lock.json").read_text()
    assert "://" not in lock
    assert lock.count('"integrity": "sha512-') == lock.count('"node_modules/')


def test_the_checks_of_the_guide_say_what_it_says(own_database: str) -> None:
    """Each call of the guide is sent to a service with two tokens and no show."""
    tokens = {"ACCESS_TOKEN": "a" * 32, "OPERATOR_TOKEN": "o" * 32}
    guide = (PROJECT / "docs" / "railway.md").read_text().replace("https://YOUR-DOMAIN", ORIGIN)
    for name, value in tokens.items():
        guide = guide.replace(f"${name}", value)
    calls = [c for block in re.findall(r"(?ms)^```sh\n(curl .*?)^```", guide)
             for c in CURL.split(block)[1:]]  # fmt: skip
    secrets = {name.lower(): SecretStr(value) for name, value in tokens.items()}
    with service(own_database, **secrets) as client:
        health, shows, status, created = [client.send(request_of(client, c)) for c in calls]
        assert client.get("/api/productions").status_code == 401
    assert (health.json()["status"], health.json()["schema"]["state"]) == ("healthy", "head")
    assert shows.json() == []
    assert (status.status_code, status.json()["pending"]) == (200, [])
    assert (created.status_code, created.json()["showName"]) == (201, "My first show")
