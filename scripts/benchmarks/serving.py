"""Starts a server for the benchmark, waits until it answers, sends it traffic, and stops it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from tempfile import TemporaryFile
from typing import Final, Protocol
from urllib.parse import urlsplit

import httpx

from scripts.benchmarks.load import Generator, LoadFailed, Measurement
from scripts.benchmarks.show import Show
from scripts.benchmarks.workloads import Traffic, Workload

HOST: Final = "127.0.0.1"
_START_SECONDS, _STOP_SECONDS = 30, 10
_LOOK_AGAIN: Final = 0.005


@dataclass(frozen=True)
class Stage:
    """What every contender gets: the database, its rows, and the load generator."""

    database_url: str
    show: Show
    generator: Generator


class Running(Protocol):
    """A contender that is ready; ``origin`` is None if it speaks no HTTP."""

    @property
    def stage(self) -> Stage: ...
    @property
    def origin(self) -> str | None: ...
    def measure(self, workload: Workload, seconds: int, first: int) -> Measurement: ...


Perform = Callable[[Stage], AbstractContextManager[Running]]


@dataclass(frozen=True)
class HttpServer:
    """A server that listens on loopback, as one process."""

    stage: Stage
    origin: str
    pid: int

    def measure(self, workload: Workload, seconds: int, first: int) -> Measurement:
        """Send it a workload's requests. Raise LoadFailed."""
        traffic = workload.traffic(self.stage.show)
        if workload.conditional:
            traffic = self._conditional(traffic)
        measured = self.stage.generator.send(self.origin, traffic, seconds, first)
        return replace(measured, requests_each=workload.requests)

    def _conditional(self, traffic: Traffic) -> Traffic:
        """Return the traffic with the current tag of the first path's answer."""
        path = self.origin + traffic.paths[0]
        headers = {"If-None-Match": ask(path).headers.get("etag", "")}
        if (status := ask(path, headers).status_code) != HTTPStatus.NOT_MODIFIED:
            raise LoadFailed(f"{traffic.paths[0]} answers {status} to its own ETag, not 304.")
        return replace(traffic, paths=traffic.paths[:1], headers=headers)


def ask(url: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """Send one GET, without a proxy."""
    return httpx.get(url, headers=headers, timeout=10, trust_env=False)


def served(*command: str, probe: str = "", **environment: str) -> Perform:
    """Return what starts a server by a command, with DATABASE_URL, HOST and PORT set.

    ``{port}`` in the command stands for the port. ``probe`` is the path that must answer before
    the server counts as started, by default the list of 20 cameras.
    """
    return partial(server, command=command, environment=environment, probe=probe)


@contextmanager
def server(
    stage: Stage, command: tuple[str, ...], environment: Mapping[str, str], probe: str = ""
) -> Iterator[HttpServer]:
    """Start a server as ``served`` describes it, and stop it. Raise LoadFailed."""
    with spawned(stage, command, environment) as (process, origin):
        path = probe or f"/api/cameras/production/{stage.show.small[0]}"
        until_answered(process, origin + path)
        yield HttpServer(stage, origin, process.pid)


@contextmanager
def spawned(
    stage: Stage, command: tuple[str, ...], environment: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start a command and stop it; yield the process and its root URL.

    Its standard output is dropped. Its standard error is shown if it ends too early.
    """
    port = _free_port()
    variables = {"DATABASE_URL": stage.database_url, "HOST": HOST, "PORT": str(port), **environment}
    variables.setdefault("PATH", os.environ.get("PATH", os.defpath))
    quiet = variables.pop("STDERR", "") == os.devnull
    with TemporaryFile() as errors_file:
        process = subprocess.Popen(
            [word.replace("{port}", str(port)) for word in command], env=variables,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if quiet else errors_file,
        )  # fmt: skip
        try:
            yield process, f"http://{HOST}:{port}"
        except LoadFailed as failure:
            if process.poll() is None:  # another process failed
                raise
            errors_file.seek(0)
            errors = errors_file.read()[-2000:].decode(errors="replace")
            raise LoadFailed(f"{failure}\n{errors}".strip()) from None
        finally:
            _stop(process)


def until_answered(process: subprocess.Popen[bytes], url: str) -> None:
    """Return as soon as the URL is answered with a success. Raise LoadFailed."""
    give_up = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        if _is_success(url):
            return
        time.sleep(_LOOK_AGAIN)
    command = [str(word) for word in process.args] if isinstance(process.args, list) else []
    raise LoadFailed(f"{' '.join(command[:4])} did not answer {url} in {_START_SECONDS} s.")


def _is_success(url: str) -> bool:
    """Ask once. ``http.client`` is used since httpx is slower than some servers' start."""
    place = urlsplit(url)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=_START_SECONDS)
    try:
        connection.request("GET", place.path)
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def uvicorn(application: str) -> tuple[str, ...]:
    """Return the command that serves an ASGI application as the service serves itself."""
    return (
        sys.executable, "-m", "uvicorn", application, "--host", HOST, "--port", "{port}",
        "--loop", "uvloop", "--http", "httptools", "--workers", "1", "--no-access-log",
        "--log-level", "warning", "--no-server-header",
    )  # fmt: skip
