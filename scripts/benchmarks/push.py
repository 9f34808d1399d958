"""The live push: three processes on one database, writes to the first, readers on each."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from scripts.benchmarks import machine
from scripts.benchmarks.aside import aside
from scripts.benchmarks.contenders import QUIET, SERVE
from scripts.benchmarks.hearing import Account, Event, Write, account_of
from scripts.benchmarks.load import ANSWER_SECONDS
from scripts.benchmarks.rounds import NUMBERS, WARM_UP_SECONDS
from scripts.benchmarks.serving import HttpServer, Stage, server
from scripts.benchmarks.workloads import CONNECTIONS

PROCESSES: Final = 3
RATE: Final = 50
SOCKETS: Final = 4
SECONDS: Final = 20
_START_SECONDS: Final = 60
_CATCH_UP_SECONDS: Final = 15


@dataclass(frozen=True)
class PushResult:
    """An account by readers; ``shares`` of one core by process; ``late`` in milliseconds."""

    seconds: int
    accounts: dict[str, Account]
    shares: dict[str, float]
    late: float


def measure(stage: Stage, seconds: int, say: Callable[[str], None]) -> PushResult:
    """Start the processes, watch on each, write to the first, and stop them. Raise LoadFailed."""
    with ExitStack() as stack:
        say(f"push: {PROCESSES} processes, {RATE} writes a second for {seconds} s")
        servers = [stack.enter_context(server(stage, SERVE, QUIET)) for _ in range(PROCESSES)]
        audience, pacer = (stack.enter_context(aside(name)) for name in ("audience", "pacer"))
        places = [_joined(one, servers) for one in servers]
        audience.ask({"production": stage.show.scratch, "servers": places}, _START_SECONDS)
        before = [machine.cpu_seconds(one.pid) for one in servers]
        paced = pacer.ask(_order(servers[0], seconds), seconds + _START_SECONDS)
        after = [machine.cpu_seconds(one.pid) for one in servers]
        enough = {"expect": len(paced["written"]), "within": _CATCH_UP_SECONDS}
        audience_report = audience.ask(enough, _START_SECONDS)
    shares = {
        f"process {n}": (late - early) / paced["seconds"]
        for n, (early, late) in enumerate(zip(before, after, strict=True), 1)
    }
    shares |= {"the writer": paced["share"], "the readers": audience_report["share"]}
    return PushResult(seconds, _accounts(paced, audience_report), shares, paced["late"])


def _joined(one: HttpServer, servers: list[HttpServer]) -> dict[str, Any]:
    return {"origin": one.origin, "sockets": SOCKETS, "streams": int(one is servers[-1])}


def _order(one: HttpServer, seconds: int) -> dict[str, Any]:
    return {
        "origin": one.origin,
        "cameras": one.stage.show.scratch_cameras,
        "rate": RATE,
        "writes": RATE * (WARM_UP_SECONDS + seconds),
        "first": next(NUMBERS),
        "connections": CONNECTIONS,
        "answer_seconds": ANSWER_SECONDS,
    }


def _accounts(paced: dict[str, Any], audience_report: dict[str, Any]) -> dict[str, Account]:
    """Return the account of the sockets of each process, and last that of the stream."""
    writes = [Write(*write) for write in paced["written"]]
    events = [[Event(*event) for event in reader] for reader in audience_report["heard"]]
    *sockets, stream = events
    groups = {
        f"{SOCKETS} sockets on process {n + 1}": sockets[n * SOCKETS : (n + 1) * SOCKETS]
        for n in range(PROCESSES)
    }
    groups[f"a stream (SSE) on process {PROCESSES}"] = [stream]
    warm_up = RATE * WARM_UP_SECONDS
    return {
        who: account_of([(writes, reader) for reader in readers], warm_up)
        for who, readers in groups.items()
    }
