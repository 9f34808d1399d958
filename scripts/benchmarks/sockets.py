"""Idle sockets: what thousands that watch shows cost one process, and how soon all of them hear."""

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
from scripts.benchmarks.hearing import Account, Heard, Written, accounted
from scripts.benchmarks.load import ANSWER_SECONDS, LoadFailed
from scripts.benchmarks.memory import Kept, kept
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
_STILL: Final = 4  # looks at memory that find the same, within ...
_SAME: Final = 0.002
_AT_MOST: Final = 60


@dataclass(frozen=True)
class Crowded:
    """Memory before, with the sockets, after a write to each production, when all have left, and
    when others have come and gone again and again.

    ``joining`` and ``until_all`` are in seconds, ``idle`` is a share of one core.
    """

    held: list[Kept]
    joining: float
    idle: float
    productions: int
    account: Account
    until_all: float

    @property
    def each(self) -> float:
        """What a socket takes, in kB (2**10 bytes)."""
        return (self.held[1].megabytes - self.held[0].megabytes) * 1024 / SOCKETS


def measure(stage: Stage, idle: int, say: Callable[[str], None]) -> Crowded | None:
    """Start one process, fill it with sockets, write, and empty it again. Raises LoadFailed.

    Gives nothing where the system does not tell of a process's memory.
    """
    if not Path("/proc/self/status").exists():
        return None
    with _files(), server(stage, SERVE, QUIET) as service, aside("crowd") as crowd:
        productions = [_production(service, camera) for camera in stage.show.edited]
        joined = {"origin": service.origin, "productions": productions}
        crowd.ask({**joined, "sockets": 1}, _JOIN_SECONDS)
        crowd.ask({"leave": True}, _JOIN_SECONDS)
        held = [_settled("after one socket has come and gone", service)]
        say(f"idle-sockets: {SOCKETS:,} sockets join {len(productions)} productions")
        joining = crowd.ask({**joined, "sockets": SOCKETS}, _JOIN_SECONDS)
        share = _idle(service, idle)
        held.append(_settled(f"with {SOCKETS:,} idle sockets", service))
        say("idle-sockets: one write to each production")
        written, heard = _told(service, crowd)
        held.append(_settled("after a write to each of their productions", service))
        crowd.ask({"leave": True}, _JOIN_SECONDS)
        held.append(_settled("when all have left", service))
        for turn in range(1, _WAVES + 1):
            say(f"idle-sockets: {SOCKETS:,} others come and go, {turn} of {_WAVES}")
            crowd.ask({**joined, "sockets": SOCKETS}, _JOIN_SECONDS)
            crowd.ask({"leave": True}, _JOIN_SECONDS)
            held.append(_settled(f"when {SOCKETS:,} others have come and gone, {turn}", service))
    account, until_all = _compared(written, heard)
    return Crowded(held, joining, share, len(productions), account, until_all)


@contextmanager
def _files() -> Iterator[None]:
    """Allow as many open files as there are sockets, here and in what is started."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, _FILES)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
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


def _settled(when: str, service: HttpServer) -> Kept:
    """Wait until memory is what it was a while ago, and give it."""
    give_up = time.monotonic() + _AT_MOST
    last, still = kept(when, service.pid), 0
    while still < _STILL and time.monotonic() < give_up:
        time.sleep(_LOOK_SECONDS)
        found = kept(when, service.pid)
        still = still + 1 if abs(found.megabytes / last.megabytes - 1) < _SAME else 0
        last = found
    return last


def _idle(service: HttpServer, seconds: int) -> float:
    """Give the share of a core that the process needs while nobody writes."""
    _settled("", service)
    busy = machine.cpu_seconds(service.pid)
    time.sleep(seconds)
    return (machine.cpu_seconds(service.pid) - busy) / seconds


def _told(service: HttpServer, crowd: Aside) -> tuple[list[Written], list[list[Heard]]]:
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
    told = crowd.ask({"within": _HEAR_SECONDS}, _HEAR_SECONDS + ANSWER_SECONDS)
    written = [Written(*write) for write in paced["written"]]
    return written, [[Heard(*event) for event in socket] for socket in told]


def _compared(written: list[Written], heard: list[list[Heard]]) -> tuple[Account, float]:
    """Compare each socket with its production's one write; the sockets joined in turn.

    Gives the seconds from the first write to the last event, too.
    """
    each = [([written[turn % len(written)]], socket) for turn, socket in enumerate(heard)]
    last = max((event.at for socket in heard for event in socket), default=0)
    begun = min(write.sent for write in written)
    return accounted(each), (last - begun) / 1e9
