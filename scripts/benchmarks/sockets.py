"""Idle sockets: what thousands of them cost one process, and how soon all get an event."""

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scripts.benchmarks import machine
from scripts.benchmarks.aside import Aside, aside
from scripts.benchmarks.contenders import QUIET, SERVE
from scripts.benchmarks.hearing import Account, Event, Write, account_of
from scripts.benchmarks.load import ANSWER_SECONDS, LoadFailed
from scripts.benchmarks.memory import Footprint, footprint_now
from scripts.benchmarks.rounds import NUMBERS
from scripts.benchmarks.serving import HttpServer, Stage, ask, server
from scripts.benchmarks.workloads import CONNECTIONS

SOCKETS: Final = 2_000
IDLE_SECONDS: Final = 30
"""Longer than the 25 seconds between two of Engine.IO's pings."""
_FILES: Final = SOCKETS + 200
_WAVES: Final = 4
_RATE: Final = 1_000  # as fast as they are answered
_JOIN_SECONDS: Final = 180
_HEAR_SECONDS: Final = 30
_LOOK_SECONDS: Final = 0.5
_STILL: Final = 4  # looks at memory in a row that find the same, within _SAME
_SAME: Final = 0.002
_AT_MOST: Final = 60


@dataclass(frozen=True)
class CrowdResult:
    """What idle sockets cost; ``joining`` and ``until_all`` in seconds, ``idle`` of one core.

    ``footprints`` are in order: before, with the sockets, after a write to each production, when
    all have left, and after each wave of others.
    """

    footprints: list[Footprint]
    joining: float
    idle: float
    productions: int
    account: Account
    until_all: float

    @property
    def each(self) -> float:
        """The memory of one socket, in kB (2**10 bytes)."""
        return (self.footprints[1].megabytes - self.footprints[0].megabytes) * 1024 / SOCKETS


def measure(stage: Stage, idle: int, say: Callable[[str], None]) -> CrowdResult | None:
    """Start one process, connect the sockets, write, and disconnect them. Raise LoadFailed.

    Return None on a system without ``/proc``.
    """
    if not Path("/proc/self/status").exists():
        return None
    with open_files(), server(stage, SERVE, QUIET) as service, aside("crowd") as crowd:
        productions = [_production(service, camera) for camera in stage.show.edited]
        joined = {"origin": service.origin, "productions": productions}
        crowd.ask({**joined, "sockets": 1}, _JOIN_SECONDS)
        crowd.ask({"leave": True}, _JOIN_SECONDS)
        footprints = [_settled("after one socket has come and gone", service)]
        say(f"idle-sockets: {SOCKETS:,} sockets join {len(productions)} productions")
        joining = crowd.ask({**joined, "sockets": SOCKETS}, _JOIN_SECONDS)
        share = _idle(service, idle)
        footprints.append(_settled(f"with {SOCKETS:,} idle sockets", service))
        say("idle-sockets: one write to each production")
        writes, events = _write_and_hear(service, crowd)
        footprints.append(_settled("after a write to each of their productions", service))
        crowd.ask({"leave": True}, _JOIN_SECONDS)
        footprints.append(_settled("when all have left", service))
        for turn in range(1, _WAVES + 1):
            say(f"idle-sockets: {SOCKETS:,} others come and go, {turn} of {_WAVES}")
            crowd.ask({**joined, "sockets": SOCKETS}, _JOIN_SECONDS)
            crowd.ask({"leave": True}, _JOIN_SECONDS)
            footprints.append(
                _settled(f"when {SOCKETS:,} others have come and gone, {turn}", service)
            )
    account, until_all = _compared(writes, events)
    return CrowdResult(footprints, joining, share, len(productions), account, until_all)


@contextmanager
def open_files() -> Iterator[None]:
    """Allow as many open files as there are sockets, here and in started processes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = max(soft, _FILES)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    except (ValueError, OSError):
        raise LoadFailed(
            f"{SOCKETS:,} sockets need {_FILES:,} open files and {hard:,} are allowed: raise the "
            "hard limit (ulimit -Hn)."
        ) from None
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _production(service: HttpServer, camera: str) -> str:
    answer = ask(f"{service.origin}/api/cameras/{camera}").raise_for_status()
    return str(answer.json()["productionUuid"])


def _settled(when: str, service: HttpServer) -> Footprint:
    """Wait until memory no longer changes, and return it."""
    give_up = time.monotonic() + _AT_MOST
    last, still = footprint_now(when, service.pid), 0
    while still < _STILL and time.monotonic() < give_up:
        time.sleep(_LOOK_SECONDS)
        current = footprint_now(when, service.pid)
        still = still + 1 if abs(current.megabytes / last.megabytes - 1) < _SAME else 0
        last = current
    return last


def _idle(service: HttpServer, seconds: int) -> float:
    """Return the share of a core that the process needs while nobody writes."""
    _settled("", service)
    busy = machine.cpu_seconds(service.pid)
    time.sleep(seconds)
    return (machine.cpu_seconds(service.pid) - busy) / seconds


def _write_and_hear(service: HttpServer, crowd: Aside) -> tuple[list[Write], list[list[Event]]]:
    cameras = service.stage.show.edited
    order: dict[str, Any] = {
        "origin": service.origin,
        "cameras": cameras,
        "rate": _RATE,
        "writes": len(cameras),
        "first": next(NUMBERS),
        "connections": CONNECTIONS,
        "answer_seconds": ANSWER_SECONDS,
    }
    with aside("pacer") as pacer:
        paced = pacer.ask(order, _HEAR_SECONDS)
    report = crowd.ask({"within": _HEAR_SECONDS}, _HEAR_SECONDS + ANSWER_SECONDS)
    writes = [Write(*write) for write in paced["written"]]
    return writes, [[Event(*event) for event in socket] for socket in report]


def _compared(writes: list[Write], events: list[list[Event]]) -> tuple[Account, float]:
    """Compare each socket with its production's one write; the sockets joined in turn.

    The second value is the seconds from the first write to the last event.
    """
    each = [([writes[turn % len(writes)]], socket) for turn, socket in enumerate(events)]
    last = max((event.at for socket in events for event in socket), default=0)
    began = min(write.sent_at for write in writes)
    return account_of(each), (last - began) / 1e9
