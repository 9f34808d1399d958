"""A service's process: it exits with 0 when it was asked to stop, and its log is JSON alone."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from app import json_lines
from app.settings import PROJECT
from tests.support import forks
from tests.support.processes import plain
from tests.support.service import PlainClient
from tests.support.sockets import tab

PATIENCE: Final = 60  # seconds; a busy machine is slow, and a hanging process is not
CREW: Final = "a-token-for-the-crew"
NOWHERE: Final = "postgresql://somebody:hunter2hunter2@127.0.0.1:1/nothing"


MISBEHAVIOUR: Final = (
    b"BREW / HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01",
    b"POST /api/productions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{",
    (
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\n"
        b"connection: upgrade\r\nsec-websocket-version: 9\r\n\r\n"
    ),
)


class Served:
    """A process of the service in production; both outputs go into one file."""

    def __init__(self, output: Path, url: str, **settings: str) -> None:
        environment = {"PATH": os.environ["PATH"], "ENVIRONMENT": "production", "PORT": "0",
                       "DATABASE_URL": url, "POOL_SIZE": "3",
                       "ACCESS_TOKEN": CREW, **settings}  # fmt: skip
        self._output = output
        with output.open("wb") as sink:
            self.process = subprocess.Popen(
                [sys.executable,
                 "-m", "app", "serve"],
                cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
            )  # fmt: skip

    def lines(self) -> list[dict[str, Any]]:
        """Return every line of both outputs. Raises ValueError where one is no JSON."""
        text = self._output.read_text()
        lines = [json.loads(line) for line in text.split("\n")[: text.count("\n")]]
        assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
        return lines

    def root(self) -> str:
        """Wait until it serves; return the URL that its log names."""
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up and self.process.poll() is None:
            for line in self.lines():
                if line["event"] == "serving":
                    return str(line["url"])
            time.sleep(0.02)
        raise AssertionError(self._output.read_text())


@contextmanager
def served(folder: Path, url: str, **settings: str) -> Iterator[Served]:
    made = Served(folder / "output", url, **settings)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()


def misbehave(root: str) -> None:
    """Ask well and badly, and leave a request in its middle with a reset."""
    address = httpx.URL(root)
    headers = {"authorization": f"Bearer {CREW}"}
    with PlainClient(base_url=root, timeout=PATIENCE, headers=headers) as client:
        assert client.get("/health").status_code in {200, 503}
        client.get("/api/productions")
        client.post("/api/productions", content=b"{\xff")
        client.request("TRACE", "/nothing%0A", params={"a": "\x00"})
        client.get("/socket.io/?EIO=9&transport=x")
        client.get("/livez", headers={"upgrade": "h2c", "connection": "upgrade"})
    for sent in MISBEHAVIOUR:
        with socket.create_connection((address.host, address.port or 80)) as raw:
            raw.sendall(sent)
            if sent.endswith(b"\r\n\r\n"):
                raw.recv(100)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def test_production_says_nothing_but_json_and_ends_with_0(
    own_database: str, tmp_path: Path
) -> None:
    """With sockets and streams open, and a second signal while it drains."""
    with served(tmp_path, own_database) as service:
        root = service.root()
        misbehave(root)
        headers = {"authorization": f"Bearer {CREW}"}
        async with (
            plain(base_url=root, timeout=PATIENCE, headers=headers) as client,
            tab(root, headers=headers) as watcher,
        ):
            show = (await client.post("/api/productions", json={"name": "x"})).json()
            await watcher.join(show["id"])
            path = f"/api/productions/{show['uuid']}/changes/stream"
            async with client.stream("GET", path) as stream:
                chunks = stream.aiter_raw()
                assert await anext(chunks)
                for _ in range(3):
                    service.process.send_signal(signal.SIGTERM)
                async for _ in chunks:
                    pass
                service.process.send_signal(signal.SIGINT)
        assert service.process.wait(PATIENCE) == 0
        lines = service.lines()
    assert [line["event"] for line in lines].count("serving") == 1
    (warning,) = [line["words"] for line in lines if line["event"] == "names"]
    assert "ALLOWED_HOSTS is not set" in warning
    requests = [line for line in lines if line["event"] == "request"]
    assert {line["status"] for line in requests} >= {200, 201, 400, 404}
    assert "connection refused" in {line["event"] for line in lines}
    assert any(line.get("logger") == "uvicorn.error" for line in lines)
    assert not [line for line in lines if line["level"] in {"error", "critical"}]


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_it_starts_ends_it_with_0(tmp_path: Path, sent: signal.Signals) -> None:
    with served(tmp_path, NOWHERE, POOL_WAIT="30") as service:
        while not _catches(service.process.pid, sent) and service.process.poll() is None:
            time.sleep(0.005)
        service.process.send_signal(sent)
        assert service.process.wait(PATIENCE) == 0
        service.lines()


DROPPED: Final = """
import os, signal, weakref
from app.cli import quiet_start
from app.cli.commands import serve

class Thing:
    pass

quiet_start.exit_on_signals()
thing = Thing()
reference = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM))
del thing
print("goes on", flush=True)
serve.run(prepare=False)
"""


def test_a_signal_whose_exit_python_drops_ends_it_as_well(own_database: str) -> None:
    """What is raised in a weak reference's callback goes no further: the service was started."""
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": own_database, "PORT": "0"}
    done = subprocess.run(
        [sys.executable, "-c", DROPPED], cwd=PROJECT, env=environment, timeout=PATIENCE,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "goes on\n"), done.stderr
    assert "SystemExit" not in done.stderr


def _catches(pid: int, sent: signal.Signals) -> bool:
    """Whether a process handles a signal in a way of its own; Python itself does so with SIGINT."""
    status = Path(f"/proc/{pid}/status").read_text()
    masks = dict(line.split(":\t") for line in status.splitlines() if line.startswith("Sig"))
    both = 1 << (signal.SIGTERM - 1) | 1 << (sent - 1)
    return int(masks["SigCgt"], 16) & both == both


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"PORT": "many"}, "PORT"),
        ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL"),
        ({"DATABASE_URL": ""}, "DATABASE_URL is not set"),
        ({"DATABASE_URL": "postgresql://h:x/x"}, "DATABASE_URL"),
        ({"ACCESS_TOKEN": ""}, "ACCESS_TOKEN"),
        ({"PORT": "taken"}, "set HOST or PORT"),
    ],
)
def test_a_failed_start_says_why_in_json(settings: dict[str, str], words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        if settings.get("PORT") == "taken":
            settings = {"PORT": str(holder.getsockname()[1])}
        environment = {
            "ENVIRONMENT": "production",
            "DATABASE_URL": NOWHERE,
            "ACCESS_TOKEN": CREW,
            **settings,
        }
        done = forks.run("app", "serve", env=environment)
    assert done.returncode > 0
    (line,) = done.stderr.splitlines()
    assert (json.loads(line)["level"], done.stdout) == ("critical", "")
    assert words in json.loads(line)["event"]


LAST_WORDS: Final = """
import asyncio, gc, logging, os, threading, warnings
from app import json_lines
from app.logs import configure
from app.settings import load_settings

json_lines.capture()
warnings.warn("a warning\\nof two lines")
logging.getLogger("early").warning("too %s", "many", "arguments")
configure(load_settings())
warnings.warn("another", DeprecationWarning, stacklevel=1)
logging.getLogger("library").error("late %d", "no number")
logging.getLogger("library").info("nobody reads this")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()

class Odd:
    def __del__(self):
        raise ValueError("unraisable")

async def main():
    async def fail():
        raise RuntimeError("never retrieved")
    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    del task
    gc.collect()
    asyncio.get_running_loop().call_soon(lambda: 1 / 0)
    await asyncio.sleep(0)

Odd()
asyncio.run(main())
async def forgotten():
    pass
forgotten()
raise SyntaxError("last words")
"""


def test_what_python_and_libraries_print_is_json() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", LAST_WORDS], cwd=PROJECT, capture_output=True,
        env={"ENVIRONMENT": "production", "PATH": ""}, text=True, timeout=110, check=False,
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert (done.returncode, done.stdout) == (1, "")
    found = [line["event"] + line.get("exception", "") for line in lines]
    for words in ("a warning\nof two lines", "another", "many", "no number", "ZeroDivisionError",
                  "ValueError: unraisable", "never retrieved", "was never awaited"):  # fmt: skip
        assert any(words in each for each in found), words
    assert not any("nobody reads this" in each for each in found)
    assert lines[-1]["event"] == "ended by an error"
    assert "SyntaxError: last words" in lines[-1]["exception"]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False), ({"ENVIRONMENT": "production"}, True), ({"environment": "production"}, True),
        ({"ENVIRONMENT": "test"}, False), ({"LOG_FORMAT": "json"}, True),
        ({"ENVIRONMENT": "production", "LOG_FORMAT": "console"}, False),
        ({"ENVIRONMENT": "production", "LOG_FORMAT": ""}, True),
        ({"ENVIRONMENT": "production", "LOG_FORMAT": "xml"}, True),
    ],
)  # fmt: skip
def test_json_is_wanted_where_the_settings_say_it(
    environment: dict[str, str], expected: bool
) -> None:
    assert json_lines.applies(environment) is expected
