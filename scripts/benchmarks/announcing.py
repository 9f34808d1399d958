"""What it costs to announce a write inside its transaction.

The service as it is, beside one that announces nothing; with nobody listening, and with three
listening connections. Neither listens itself. Then the same statements by the database alone.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Final

from scripts.benchmarks import commits
from scripts.benchmarks.aside import aside
from scripts.benchmarks.contenders import QUIET, Contender
from scripts.benchmarks.load import LoadFailed, Measurement
from scripts.benchmarks.rounds import Effort, Outcome, run
from scripts.benchmarks.serving import Running, Stage, server
from scripts.benchmarks.unannounced import DEAF, SILENT
from scripts.benchmarks.workloads import WORKLOADS, Workload

LISTENERS: Final = (0, 3)
_NAMES: Final = ("create", "editors-1", "editors-100")
_COMMAND: Final = (sys.executable, "-m", "scripts.benchmarks.unannounced")
_ASK_SECONDS: Final = 30
Announces = Callable[[Stage, bool], AbstractContextManager[Running]]
"""Starts a server that writes, with or without announcing."""


@dataclass(frozen=True)
class Cost:
    """One workload's turns in the same rounds, with the announcement and without it."""

    title: str
    listeners: int
    announced: Sequence[Measurement]
    silent: Sequence[Measurement]


@dataclass(frozen=True)
class ListenedServer:
    """A server that is measured while others listen to its announcements."""

    started: Running
    listeners: int
    announces: bool

    @property
    def stage(self) -> Stage:
        """The database and rows that it serves."""
        return self.started.stage

    @property
    def origin(self) -> str | None:
        """Its root URL; None without HTTP."""
        return self.started.origin

    def measure(self, workload: Workload, seconds: int, first: int) -> Measurement:
        """Send it a workload's requests. Raise LoadFailed, also if ``announces`` does not hold."""
        with aside("listeners") as ears:
            order = {"listeners": self.listeners, "database_url": self.stage.database_url}
            ears.ask(order, _ASK_SECONDS)
            measured = self.started.measure(workload, seconds, first)
            announcements = ears.ask({}, _ASK_SECONDS)
        if self.listeners and bool(announcements) is not self.announces:
            raise LoadFailed(
                f"{announcements} announcements of {measured.requests} writes were heard."
            )
        return measured


def measure(stage: Stage, effort: Effort) -> list[Cost]:
    """Measure with and without in turn, round by round. Raise LoadFailed and Disagreement."""
    outcome, served = Outcome(), [one for one in WORKLOADS if one.name in _NAMES]
    for workloads, perform in ((served, _service), ([commits.WORKLOAD], commits.alone)):
        names = frozenset(one.name for one in workloads)
        entries = [
            (_contender(names, perform, *kind), stage) for kind in product(LISTENERS, (True, False))
        ]
        run(entries, workloads, effort, outcome)
    return [
        Cost(
            one.title,
            listeners,
            *(
                outcome.results[one.name][_name(listeners, announces)]
                for announces in (True, False)
            ),
        )
        for one in (*served, commits.WORKLOAD)
        for listeners in LISTENERS
    ]


def _contender(
    workloads: frozenset[str],
    perform: Announces,
    listeners: int,
    announces: bool,  # noqa: FBT001  # one of the two that are compared
) -> Contender:
    @contextmanager
    def perform_listened(stage: Stage) -> Iterator[ListenedServer]:
        with perform(stage, announces) as started:
            yield ListenedServer(started, listeners, announces)

    name = _name(listeners, announces)
    return Contender(name, name, perform_listened, workloads, logs=True)


def _name(listeners: int, announces: bool) -> str:  # noqa: FBT001  # one of two kinds
    return f"{'announced' if announces else 'silent'}, {listeners} listeners"


def _service(
    stage: Stage,
    announces: bool,  # noqa: FBT001  # as above
) -> AbstractContextManager[Running]:
    silent = {} if announces else {SILENT: "1"}
    return server(stage, _COMMAND, {**QUIET, DEAF: "1", **silent})
