"""The command line, as people and platforms use it: processes, signals, real sockets."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

import asyncpg
import httpx
import pytest
from typer.core import TyperGroup
from typer.main import get_command

from app.__main__ import cli
from app.cli.load_show import SAMPLE
from app.database import embedded
from app.database.url import DatabaseUrl
from app.entities import discovered
from app.releases.verdict import Verdict
from app.settings import PROJECT, Settings
from tests.support import databases, forks
from tests.support.processes import plain

PATIENCE: Final = 60  # seconds; a busy machine is slow, and a hanging process is not
NOWHERE: Final = "postgresql://somebody:hunter2hunter2@127.0.0.1:1/nothing"
COMMANDS: Final = list(cast("TyperGroup", get_command(cli)).commands)
SHOW: Final = json.loads(SAMPLE.read_text())


def _environment(settings: dict[str, str]) -> dict[str, str]:
    """Return this process's environment with these settings and no others.

    On a busy machine an examination of the whole database may take longer than a platform waits.
    """
    ours = {name.upper() for name in Settings.model_fields}
    kept = {name: value for name, value in os.environ.items() if name.upper() not in ours}
    return {**kept, "COLUMNS": "200", "PYTHONPATH": str(PROJECT), "PORT": "0",
            "HEALTH_TIMEOUT": "60", **settings}  # fmt: skip


def _run(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, away from the project's folder."""
    return forks.run("app", *words, env=_environment(settings), cwd="/")


def _refused(done: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """Return the one line with which a command gave up."""
    (line,) = done.stderr.splitlines()
    assert done.returncode == code
    assert line.startswith("signalbook: ")
    assert not done.stdout
    return line


class Serving:
    """A process that serves; ``root`` is the URL that it printed."""

    def __init__(self, process: subprocess.Popen[bytes], printed: Path) -> None:
        self.process = process
        self._printed = printed
        self.root = self._wait_for_invitation()

    @property
    def words(self) -> str:
        """What it has said so far."""
        return self._printed.read_text()

    def _wait_for_invitation(self) -> str:
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up and self.process.poll() is None:
            if found := re.search(r"serves on (http://\S+)", self.words):
                return found[1]
            time.sleep(0.02)
        raise AssertionError(f"it does not serve ({self.process.poll()}): {self.words}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop, and give how it ended."""
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)

    def listens(self) -> bool:
        """Whether a new connection is taken."""
        url = httpx.URL(self.root)
        try:
            socket.create_connection((url.host, url.port), timeout=5).close()
        except OSError:
            return False
        return True


@contextmanager
def _serving(*options: str, **settings: str) -> Iterator[Serving]:
    with tempfile.TemporaryDirectory(prefix="sb-") as folder:
        printed = Path(folder) / "printed"
        with printed.open("wb") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", "app", "serve", *options],
                env=_environment(settings), cwd="/", stdin=subprocess.DEVNULL, stdout=sink,
                stderr=sink,
            )  # fmt: skip
        try:
            yield Serving(process, printed)
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def data_dir() -> Iterator[str]:
    # Not tmp_path: that is closed to the account that runs PostgreSQL for root.
    top = Path(tempfile.mkdtemp(prefix="sb-")).resolve()
    top.chmod(0o755)
    yield str(top)
    embedded.stop(top / "postgres")
    shutil.rmtree(top)


# Serving


def test_serve_makes_a_database_and_loads_the_sample_once(data_dir: str) -> None:
    with _serving("--prepare", DATA_DIR=data_dir) as first:
        (show,) = httpx.get(f"{first.root}/api/productions").raise_for_status().json()
        assert show["showName"] == SHOW["production"]["showName"]
        assert httpx.get(f"{first.root}/health").status_code == 200
        assert f"{first.root}/docs" in first.words
        assert "Creating a PostgreSQL" in first.words
        assert first.stop() == 0
    with _serving("--prepare", DATA_DIR=data_dir) as second:
        assert httpx.get(f"{second.root}/api/productions").json() == [show]
        assert "Loaded" not in second.words
        assert "Creating" not in second.words
        gone = httpx.request("DELETE", f"{second.root}/api/productions/{show['uuid']}")
        assert gone.status_code == 200
        second.stop()
    with _serving("--prepare", DATA_DIR=data_dir) as third:
        assert httpx.get(f"{third.root}/api/productions").json() == []


def test_serve_does_not_prepare_a_database_it_is_given(empty_database: str) -> None:
    with _serving(DATABASE_URL=empty_database) as service:
        health = httpx.get(f"{service.root}/health")
        assert (health.status_code, health.json()["schema"]["state"]) == (503, "unmigrated")
        assert httpx.get(f"{service.root}/livez").status_code == 200


def test_serve_prepares_a_database_it_is_given_when_told_to(empty_database: str) -> None:
    with _serving("--prepare", DATABASE_URL=empty_database) as service:
        assert httpx.get(f"{service.root}/health").status_code == 200
        assert len(httpx.get(f"{service.root}/api/productions").json()) == 1


def test_the_sample_holds_every_collection(own_database: str) -> None:
    with _serving("--prepare", DATABASE_URL=own_database) as service:
        (show,) = httpx.get(f"{service.root}/api/productions").json()
        for collection in discovered():
            if collection != "productions":
                url = f"{service.root}/api/{collection}/production/{show['id']}"
                name = re.sub("-(.)", lambda found: found[1].upper(), collection)
                assert len(httpx.get(url).json()) == len(SHOW[name]) > 0


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        line = _refused(_run("serve", "--no-prepare", DATABASE_URL=NOWHERE, PORT=port))
    assert f"127.0.0.1 port {port}" in line
    assert "set HOST or PORT" in line


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "signalbook.internal"])
def test_serving_others_needs_a_credential(host: str) -> None:
    line = _refused(_run("serve", "--no-prepare", DATABASE_URL=NOWHERE, HOST=host))
    assert f"HOST={host}" in line
    assert "ACCESS_TOKEN" in line


def test_an_access_token_closes_the_api_but_not_health(own_database: str) -> None:
    token = "correct-horse-battery"
    with _serving(DATABASE_URL=own_database, ACCESS_TOKEN=token) as service:
        shows = f"{service.root}/api/productions"
        assert httpx.get(shows).status_code == 401
        assert httpx.get(shows, headers={"authorization": f"Bearer {token}"}).status_code == 200
        assert httpx.get(f"{service.root}/health").status_code == 200
        assert token not in service.words


# Stopping


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110  # another process tells no event
            await asyncio.sleep(0.02)


async def _stop_amid_a_write(service: Serving, url: str, *, let_go: bool) -> httpx.Response:
    """Send SIGTERM while a PUT waits for a lock; let go of the lock once nobody new gets in."""
    database = await asyncpg.connect(**DatabaseUrl.parse(url).connect_args())
    # Not the same: within a transaction PostgreSQL shows its sessions as they were at first.
    eyes = await asyncpg.connect(**DatabaseUrl.parse(url).connect_args())
    client = plain(base_url=service.root, timeout=PATIENCE)

    async def waits() -> bool:
        sql = """SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'
          AND datname = current_database())"""
        return bool(await eyes.fetchval(sql))

    async def is_closed() -> bool:
        return not await asyncio.to_thread(service.listens)

    try:
        show = (await client.post("/api/productions", json={"name": "Before"})).json()
        holding = database.transaction()
        await holding.start()
        await database.execute("SELECT FROM productions FOR UPDATE")
        body = {"name": "After", "version": show["version"]}
        put = asyncio.create_task(client.put(f"/api/productions/{show['id']}", json=body))
        await _until(waits)
        service.process.terminate()
        await _until(is_closed)
        assert not put.done()
        if let_go:
            await holding.commit()
        return await put
    finally:
        await client.aclose()
        await eyes.close()
        await database.close()


async def test_sigterm_lets_a_running_request_end(own_database: str) -> None:
    with _serving(DATABASE_URL=own_database) as service:
        answer = await _stop_amid_a_write(service, own_database, let_go=True)
        assert (answer.status_code, answer.json()["name"]) == (200, "After")
        assert service.process.wait(PATIENCE) == 0
        assert "Traceback" not in service.words


async def test_draining_ends_when_a_request_does_not(own_database: str) -> None:
    with _serving(DATABASE_URL=own_database, DRAIN="1", STATEMENT_TIMEOUT="300") as service:
        answer = await _stop_amid_a_write(service, own_database, let_go=False)
        assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
        assert answer.headers["retry-after"]
        assert service.process.wait(20) == 0


def test_ctrl_c_stops_it_without_a_traceback(own_database: str) -> None:
    with _serving(DATABASE_URL=own_database) as service:
        assert service.stop(signal.SIGINT) == 0
        assert "Traceback" not in service.words


# Settings


@pytest.mark.parametrize("command", ["serve", "release", "status", "load"])
def test_production_needs_a_database_of_its_own(command: str, data_dir: str) -> None:
    words = [command, str(SAMPLE)] if command == "load" else [command]
    settings = {"ENVIRONMENT": "production", "LOG_FORMAT": "console", "DATA_DIR": data_dir}
    line = _refused(_run(*words, **settings))
    assert "DATABASE_URL is not set" in line
    assert not list(Path(data_dir).iterdir())


@pytest.mark.parametrize(
    "url",
    [
        "mysql://somebody:hunter2hunter2@database:3306/shows",
        "postgresql://somebody:hunter2/hunter2@database/shows",
        "postgresql://somebody:hunter2hunter2@database:five/shows",
        "postgresql://somebody:hunter2hunter2@database/shows?sslmode=perhaps",
        "hunter2hunter2",
    ],
)
def test_a_bad_database_url_is_explained_without_its_password(url: str) -> None:
    line = _refused(_run("serve", DATABASE_URL=url), Verdict.MISCONFIGURED)
    assert line.startswith("signalbook: DATABASE_URL ")
    assert "hunter2" not in line


WORDS: Final = (
    ("serve",), ("status",), ("drift",), ("load", str(SAMPLE)), ("release",), ("release", "plan"),
    ("release", "status"), ("release", "approve", "0" * 12, "--who", "a", "--why", "b"),
    ("release", "rollback", "--who", "a", "--why", "b"), ("release", "compare", NOWHERE),
)  # fmt: skip


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
@pytest.mark.parametrize("name", ["DATABASE_URL", "DATABASE_UNPOOLED_URL"])
def test_a_reference_that_nobody_resolved_is_named_by_its_setting(
    name: str, words: tuple[str, ...]
) -> None:
    settings = {"DATABASE_URL": NOWHERE, name: "${{Postgres.DATABASE_URL}}"}
    line = _refused(_run(*words, **settings), Verdict.MISCONFIGURED)
    assert line.startswith(f"signalbook: {name} holds a reference")


def test_the_other_databases_address_is_named_by_its_setting() -> None:
    done = _run("release", "compare", DATABASE_URL=NOWHERE, COMPARE_URL="$PRODUCTION_URL")
    line = _refused(done, Verdict.MISCONFIGURED)
    assert line.startswith("signalbook: COMPARE_URL holds a reference")


def test_every_bad_setting_is_named_at_once() -> None:
    wrong = {
        "PORT": "99999", "POOL_SIZE": "none", "LOG_LEVEL": "LOUD", "ACCESS_TOKEN": "hunter2",
        "ENVIRONMENT": "moon",
    }  # fmt: skip
    line = _refused(_run("serve", **wrong))
    assert all(f"{name} must " in line for name in wrong)
    assert "hunter2" not in line


# The other commands


def test_status_tells_whether_the_database_fits(own_database: str, empty_database: str) -> None:
    fits, empty = (_run("status", DATABASE_URL=url) for url in (own_database, empty_database))
    assert (fits.returncode, empty.returncode) == (0, 1)
    assert "schema     head" in fits.stdout
    assert "schema     unmigrated: at nothing" in empty.stdout


async def test_drift_lists_what_differs_with_its_mend(own_database: str) -> None:
    clean = _run("drift", DATABASE_URL=own_database)
    assert (clean.returncode, "No drift" in clean.stdout) == (0, True)
    await databases.execute(own_database, "ALTER TABLE cameras RENAME COLUMN lens_type TO lost")
    drifted = _run("drift", DATABASE_URL=own_database)
    assert drifted.returncode == 1
    assert "lens_type" in drifted.stdout
    assert "ALTER TABLE" in drifted.stdout


@pytest.mark.parametrize("reachable", [True, False])
def test_status_tells_machines(own_database: str, *, reachable: bool) -> None:
    done = _run("status", "--json", DATABASE_URL=own_database if reachable else NOWHERE)
    found = json.loads(done.stdout)
    assert done.returncode == (0 if reachable else 1)
    assert (found["healthy"], found["connected"]) == (reachable, reachable)
    assert set(found["resources"]) > set(discovered())
    assert "hunter2" not in done.stdout + done.stderr


def test_the_release_gate_builds_an_empty_database(empty_database: str) -> None:
    done = _run("release", "--json", DATABASE_URL=empty_database)
    told = json.loads(done.stdout)
    assert (done.returncode, told["exitCode"], told["verdict"]) == (0, 0, "DONE")
    found = json.loads(_run("release", "status", "--json", DATABASE_URL=empty_database).stdout)
    assert found["revision"] == found["head"]
    assert (found["pending"], found["drift"], found["running"]) == ([], [], None)
    assert len(found["runs"]) == 1
    assert _run("status", DATABASE_URL=empty_database).returncode == 0


def test_load_gives_the_shows_label(own_database: str) -> None:
    first, second = (_run("load", str(SAMPLE), DATABASE_URL=own_database) for _ in range(2))
    assert (first.stdout, second.stdout) == ("SHOW 1\n", "SHOW 2\n")
    listed = _run("unresolved", DATABASE_URL=own_database)
    assert listed.returncode == 0
    assert "intermediate 'SCREEN PROCESSOR' of type 'SCREEN PROCESSOR'" in listed.stdout


BROKEN: Final[list[tuple[Any, str]]] = [
    ({}, "production: expected an object"),
    ({"production": {"client": "Nobody"}}, "production.showName"),
    ({"production": {"name": "X"}, "sends": {}}, "sends: expected an array"),
    ({"production": {"name": "X"}, "sends": ["DST 1"]}, "sends.0: expected an object"),
    (
        {"production": {"name": "X"}, "cameras": [{"name": "A"}, {"name": "B", "maxZoom": "far"}]},
        "cameras.1.maxZoom",
    ),
    (
        {"production": {"name": "X"}, "cameras": [{"name": "A", "ccuId": "CCU 9"}]},
        "cameras.0.ccuId: no CCU 'CCU 9'",
    ),
]


@pytest.mark.parametrize(("show", "words"), BROKEN, ids=[words for _, words in BROKEN])
def test_a_broken_show_is_not_loaded_at_all(
    own_database: str, tmp_path: Path, show: Any, words: str
) -> None:
    file = tmp_path / "show.json"
    file.write_text(json.dumps(show))
    assert words in _refused(_run("load", str(file), DATABASE_URL=own_database))
    rows = "SELECT count(*) FROM productions"
    assert asyncio.run(databases.column(own_database, rows)) == [0]


@pytest.mark.parametrize(("content", "words"), [(None, "No such file"), ("{,", "is not JSON")])
def test_a_file_that_is_no_show_is_named(tmp_path: Path, content: str | None, words: str) -> None:
    file = tmp_path / "show.json"
    if content is not None:
        file.write_text(content)
    line = _refused(_run("load", str(file), DATABASE_URL=NOWHERE))
    assert words in line
    assert str(file) in line


HELP: Final = {
    "serve": ("HOST and PORT", "SIGTERM", "--prepare", "sample show"),
    "release": ("gate", "rehearses", "exit code", "rollback"),
    "load": ("FILE", "all of it or nothing"),
    "status": ("Exit with 1", "--json"),
    "drift": ("differs from its migrations",),
}


def test_help_of_the_whole_names_every_command() -> None:
    done = _run("--help")
    assert done.returncode == 0
    assert HELP.keys() <= set(COMMANDS)
    assert all(re.search(rf"\b{command} +[A-Z]", done.stdout) for command in COMMANDS)
    assert "docs/operations.md" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_says_what_it_does(command: str) -> None:
    done = _run(command, "--help")
    text = " ".join(done.stdout.split())
    assert done.returncode == 0
    assert re.search(rf"Usage: python -m app {command}\b.* [A-Z][a-z]+ .*\.", text)
    assert all(words in text for words in HELP.get(command, ()))
