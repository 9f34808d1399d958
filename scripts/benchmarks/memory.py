"""Memory and start-up: how soon the service answers, and what it holds after much work."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from scripts.benchmarks import churn
from scripts.benchmarks.contenders import QUIET, SERVE, TEXTBOOK
from scripts.benchmarks.load import LoadFailed
from scripts.benchmarks.rounds import NUMBERS
from scripts.benchmarks.serving import HttpServer, Stage, spawned, until_answered
from scripts.benchmarks.workloads import WORKLOADS, Traffic

Say = Callable[[str], None]
_TIMES: Final = 5
_WITHOUT: Final = "from scripts.benchmarks import imaged; imaged.leave_out()"
_STEADY_REQUESTS: Final = 20_000
_TURN_SECONDS: Final = {"list-20": 4, "list-500": 1, "get": 4, "editors-1": 1}
_SETTLE_SECONDS: Final = 2.0  # seconds until closed connections are freed


@dataclass(frozen=True)
class StartUp:
    """Medians in seconds, from the start of a process."""

    imported: float
    textbook_imported: float
    alive: float
    first_list: float


@dataclass(frozen=True)
class Footprint:
    """What a process holds at some moment: memory in MB (2**20 bytes), and open files."""

    when: str
    megabytes: float
    files: int

    def growth(self, earlier: "Footprint") -> float:
        """Return how much more memory than earlier, in percent."""
        return (self.megabytes / earlier.megabytes - 1) * 100


def start_up(stage: Stage, say: Say) -> StartUp:
    """Import and start the service, and import the textbook's server, in turn."""
    imports: dict[str, list[float]] = {"app.server": [], TEXTBOOK: []}
    started: list[tuple[float, float]] = []
    for turn in range(_TIMES):
        say(f"start: round {turn + 1} of {_TIMES}")
        for module, times in imports.items():
            times.append(_import(module, stage))
        started.append(_first_answers(stage))
    alive, first_list = (median(times) for times in zip(*started, strict=True))
    ours, theirs = (median(times) for times in imports.values())
    return StartUp(ours, theirs, alive, first_list)


def _import(module: str, stage: Stage) -> float:
    command = [sys.executable, "-c", f"{_WITHOUT}; import {module}"]
    began = time.perf_counter()
    ended = subprocess.run(
        command, env={"DATABASE_URL": stage.database_url}, stdin=subprocess.DEVNULL, check=False
    )
    if ended.returncode:
        raise LoadFailed(f"{module} cannot be imported: run {' '.join(command)} to see why.")
    return time.perf_counter() - began


def _first_answers(stage: Stage) -> tuple[float, float]:
    """Return the seconds to the first answer of the process, and to the first list."""
    began = time.perf_counter()
    with spawned(stage, SERVE, QUIET) as (process, origin):
        until_answered(process, f"{origin}/livez")
        alive = time.perf_counter() - began
        until_answered(process, f"{origin}{_list(stage)}")
        return alive, time.perf_counter() - began


def footprint(stage: Stage, requests: int, say: Say) -> list[Footprint]:
    """Return what one process holds: idle, warm, after ``requests``, and after churn.

    Return nothing on a system without ``/proc``.
    """
    if not Path("/proc/self/status").exists():
        return []
    with _service(stage) as service:
        first = footprint_now("idle, after the first list", service.pid)
        say(f"memory: {_STEADY_REQUESTS:,} requests to warm up")
        requests_sent = _send(service, _STEADY_REQUESTS)
        warm = footprint_now(f"warm, after {requests_sent:,} requests", service.pid)
        say(f"memory: {requests:,} requests")
        requests_sent += _send(service, requests)
        after = footprint_now(f"after {requests_sent:,} requests", service.pid)
        return [first, warm, after, *_churned(service, say)]


@contextmanager
def _service(stage: Stage) -> Iterator[HttpServer]:
    with spawned(stage, SERVE, QUIET) as (process, origin):
        until_answered(process, f"{origin}{_list(stage)}")
        yield HttpServer(stage, origin, process.pid)


def _list(stage: Stage) -> str:
    return f"/api/cameras/production/{stage.show.small[0]}"


def _send(service: HttpServer, requests: int) -> int:
    """Send a mix of reads and writes until at least so many were answered; return how many."""
    requests_sent = 0
    while requests_sent < requests:
        for workload in (workload for workload in WORKLOADS if workload.name in _TURN_SECONDS):
            # Numbers never repeat: a write that changes nothing would do no work.
            first = next(NUMBERS)
            answered = service.measure(workload, _TURN_SECONDS[workload.name], first).requests
            if not answered:
                raise LoadFailed(f"No answer while memory was measured ({workload.title}).")
            requests_sent += answered
    return requests_sent


def _churned(service: HttpServer, say: Say) -> Iterator[Footprint]:
    """Open and close many connections, then keep many open that send nothing."""
    path = _list(service.stage)
    for turn in range(churn.TURNS):
        say(f"memory: {churn.CONNECTIONS:,} connections, turn {turn + 1} of {churn.TURNS}")
        churn.used_once(service.origin, path)
    time.sleep(_SETTLE_SECONDS)
    yield footprint_now(
        f"after {churn.TURNS} × {churn.CONNECTIONS:,} connections used once", service.pid
    )
    with churn.silent(service.origin):
        _still_served(service)
        yield footprint_now(f"with {churn.SILENT} silent connections", service.pid)
    time.sleep(_SETTLE_SECONDS)
    yield footprint_now("when they are gone", service.pid)


def _still_served(service: HttpServer) -> None:
    """Ask for a list beside the silent connections. Raise LoadFailed."""
    traffic = Traffic("GET", (_list(service.stage),))
    service.stage.generator.send(service.origin, traffic, 1, 0)


def footprint_now(when: str, pid: int) -> Footprint:
    """Return what a process holds now, on a system with ``/proc``."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return Footprint(when, kilobytes / 1024, files)
