"""The servers that are measured: one Contender for each."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from scripts.benchmarks import node, pgbench, targets
from scripts.benchmarks.node import NodeMissing
from scripts.benchmarks.serving import Perform, served, uvicorn
from scripts.benchmarks.workloads import GROWTH, WORKLOADS


@dataclass(frozen=True)
class Contender:
    """A server that takes part in ``workloads``; ``title`` stands in the report.

    ``agrees`` says how its answers must equal ours before anything is measured: in "bytes" or in
    "values". With ``logs`` its writes must be in the change log.
    """

    name: str
    title: str
    perform: Perform
    workloads: frozenset[str]
    agrees: str = "bytes"
    logs: bool = False


_READS: Final = frozenset({"list-20", "list-500", "get", "six-lists"})
_WRITES: Final = frozenset({"create", "update"})
_EDITORS: Final = frozenset({"editors-1", "editors-100"})
_GROWTH: Final = frozenset(workload.name for workload in WORKLOADS if workload.table == GROWTH)

SERVE: Final = (sys.executable, "-m", "scripts.benchmarks.imaged", "serve")
# All clients of a benchmark have one address.
QUIET: Final = {"LOG_LEVEL": "WARNING", "CONNECTIONS_PER_ADDRESS": "0"}
TEXTBOOK: Final = "scripts.benchmarks.textbook"
OURS: Final = Contender(
    targets.OURS,
    "Signalbook",
    served(*SERVE, **QUIET),
    _READS | _WRITES | _EDITORS | {"304", "show", "show-six", "eight"},
    logs=True,
)
_ALWAYS: Final = (
    OURS,
    Contender(
        "bare",
        "bare Starlette + asyncpg",
        served(*uvicorn("scripts.benchmarks.bare:app")),
        _READS | _WRITES,
        logs=True,
    ),
    Contender(
        "textbook",
        "FastAPI + SQLModel",
        served(*uvicorn(f"{TEXTBOOK}:app")),
        _READS | _WRITES | _EDITORS,
        agrees="values",
    ),
    Contender(
        "pgbench", "pgbench: the database alone", pgbench.alone, frozenset(pgbench.WORKLOADS)
    ),
    Contender(
        "logging",
        "Signalbook, a log line a request",
        served(*SERVE, LOG_LEVEL="INFO", LOG_FORMAT="json", STDERR=os.devnull),
        frozenset({"list-20"}),
    ),
)


def contenders(say: Callable[[str], None]) -> tuple[Contender, ...]:
    """Return the servers that can run on this machine, and say which cannot and why."""
    try:
        perform, version = node.prepared()
    except NodeMissing as missing:
        say(f"Node is left out: {missing}.")
        return _ALWAYS
    express = Contender(
        "node",
        f"Express + pg on Node {version}",
        perform,
        _READS | _WRITES | _EDITORS,
        agrees="values",
        logs=True,
    )
    return (*_ALWAYS[:3], express, *_ALWAYS[3:])


def grown(size: int) -> Contender:
    """Return our service on a database of so many productions."""
    title = f"{size:,} productions"
    return replace(OURS, name=f"at-{size}", title=title, workloads=_GROWTH)
