"""Who is measured: one entry in CONTENDERS for each server, started and stopped here."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Final, Protocol

import httpx

from scripts.benchmarks.load import Generator, LoadFailed, Measurement
from scripts.benchmarks.show import Show
from scripts.benchmarks.workloads import WORKLOADS, Workload

_HOST: Final = "127.0.0.1"
_START_SECONDS, _STOP_SECONDS = 30, 10


@dataclass(frozen=True)
class Stage:
    """What every contender finds: the database, its rows, and who sends the requests."""

    database_url: str
    show: Show
    generator: Generator


class Running(Protocol):
    """A contender that is ready. One that speaks no HTTP has no ``origin``."""

    @property
    def origin(self) -> str | None: ...
    def measure(self, workload: Workload, seconds: int, first: int) -> Measurement: ...


@dataclass(frozen=True)
class Contender:
    """One that takes part in ``workloads``; ``title`` stands in the report."""

    name: str
    title: str
    perform: Callable[[Stage], AbstractContextManager[Running]]
    workloads: frozenset[str]
    agrees: str = "bytes"
    """How its answers must equal ours before anything is measured: "bytes" or "values"."""


@dataclass(frozen=True)
class HttpServer:
    """A server that listens on loopback."""

    stage: Stage
    origin: str

    def measure(self, workload: Workload, seconds: int, first: int) -> Measurement:
        """Send it a workload's requests."""
        traffic = workload.traffic(self.stage.show)
        return self.stage.generator.send(self.origin, traffic, seconds, first)


def served(
    *command: str, **environment: str
) -> Callable[[Stage], AbstractContextManager[HttpServer]]:
    """Give what starts a server: a command that finds DATABASE_URL and PORT set.

    ``{port}`` in the command stands for the port.
    """

    @contextmanager
    def perform(stage: Stage) -> Iterator[HttpServer]:
        port = _free_port()
        origin = f"http://{_HOST}:{port}"
        told = {"DATABASE_URL": stage.database_url, "HOST": _HOST, "PORT": str(port)}
        told["PATH"] = os.environ.get("PATH", os.defpath)
        arguments = [word.replace("{port}", str(port)) for word in command]
        with _process(arguments, {**told, **environment}, origin + _probe(stage)):
            yield HttpServer(stage, origin)

    return perform


def _probe(stage: Stage) -> str:
    return WORKLOADS[0].traffic(stage.show).paths[0]


@contextmanager
def _process(command: list[str], environment: dict[str, str], probe: str) -> Iterator[None]:
    """Run a server; its standard output is dropped, its standard error shown if it dies."""
    with TemporaryFile() as said:
        quiet = environment.pop("STDERR", "") == os.devnull
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if quiet else said,
        )  # fmt: skip
        try:
            if not _answers(process, probe):
                said.seek(0)
                raise LoadFailed(f"{command} did not start:\n{said.read()[-2000:].decode()}")
            yield
        finally:
            _stop(process)


def _answers(process: subprocess.Popen[bytes], probe: str) -> bool:
    give_up = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        try:
            if httpx.get(probe, timeout=5, trust_env=False).is_success:
                return True
        except httpx.TransportError:
            time.sleep(0.05)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((_HOST, 0))
        return int(found.getsockname()[1])


def _uvicorn(application: str) -> tuple[str, ...]:
    return (
        sys.executable, "-m", "uvicorn", application, "--host", _HOST, "--port", "{port}",
        "--loop", "uvloop", "--http", "httptools", "--workers", "1", "--no-access-log",
        "--log-level", "warning", "--no-server-header",
    )  # fmt: skip


_OURS: Final = (sys.executable, "-m", "app", "serve")
_ALL: Final = frozenset(workload.name for workload in WORKLOADS)
_READS: Final = frozenset(workload.name for workload in WORKLOADS if not workload.writes)

OURS: Final = Contender("ours", "Signalbook", served(*_OURS, LOG_LEVEL="WARNING"), _ALL)
CONTENDERS: Final = (
    OURS,
    Contender(
        "textbook",
        "FastAPI + SQLModel",
        served(*_uvicorn("scripts.benchmarks.textbook:app")),
        _ALL,
        agrees="values",
    ),
    Contender(
        "bare", "bare Starlette + asyncpg", served(*_uvicorn("scripts.benchmarks.bare:app")), _READS
    ),
    Contender(
        "logging",
        "Signalbook, a log line a request",
        served(*_OURS, LOG_LEVEL="INFO", LOG_FORMAT="json", STDERR=os.devnull),
        frozenset({"list-20"}),
    ),
)
