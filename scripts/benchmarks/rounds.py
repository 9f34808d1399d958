"""Measures: in every round of a race each workload by each server, in turn."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count, groupby
from typing import Final

from scripts.benchmarks import agreement, show
from scripts.benchmarks.agreement import Entered
from scripts.benchmarks.contenders import Contender
from scripts.benchmarks.load import LoadFailed, Measurement
from scripts.benchmarks.serving import Running, Stage
from scripts.benchmarks.workloads import Workload

WARM_UP_SECONDS: Final = 1
_NUMBERS_A_TURN: Final = 1_000_000  # more than any server answers in one
NUMBERS: Final = count(_NUMBERS_A_TURN, _NUMBERS_A_TURN)
"""The first number of each turn, so that no text and no label is sent twice."""


@dataclass(frozen=True)
class Effort:
    """How long to measure: turns of each server, seconds of a turn; ``say`` reports progress."""

    rounds: int
    seconds: int
    say: Callable[[str], None]


@dataclass
class Outcome:
    """Measurements by workload and contender, and the titles of the contenders."""

    results: dict[str, dict[str, list[Measurement]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    titles: dict[str, str] = field(default_factory=dict)


def run(
    entries: Sequence[tuple[Contender, Stage]],
    workloads: Sequence[Workload],
    effort: Effort,
    outcome: Outcome,
) -> None:
    """Start the servers, measure, stop them, and add to the outcome.

    Raise LoadFailed and Disagreement.
    """
    names = {workload.name for workload in workloads}
    with ExitStack() as stack:
        entered = [
            (contender, stack.enter_context(contender.perform(stage)))
            for contender, stage in entries
            if contender.workloads & names
        ]
        outcome.titles.update({contender.name: contender.title for contender, _ in entered})
        agreement.check(entered, workloads)
        for race, members in groupby(workloads, key=lambda workload: workload.race):
            for workload, name, measured in _race(race, list(members), entered, effort):
                outcome.results[workload][name].append(measured)


def _race(
    race: str, workloads: Sequence[Workload], entered: Entered, effort: Effort
) -> Iterator[tuple[str, str, Measurement]]:
    for turn in range(effort.rounds):
        effort.say(f"{race}: round {turn + 1} of {effort.rounds}")
        for workload in workloads:
            for contender, running in entered:
                if workload.name in contender.workloads:
                    measured = _measured(contender, running, workload, effort.seconds)
                    yield workload.name, contender.name, measured


def _measured(
    contender: Contender, running: Running, workload: Workload, seconds: int
) -> Measurement:
    """Measure one turn after a warm-up. A turn that writes starts from the same rows."""
    if workload.writes:
        asyncio.run(show.tidy(running.stage.database_url, running.stage.show))
    try:
        warm = running.measure(workload, WARM_UP_SECONDS, next(NUMBERS))
        measured = running.measure(workload, seconds * workload.stretch, next(NUMBERS))
    except LoadFailed as failure:
        raise LoadFailed(f"{contender.title}, {workload.title}: {failure}") from None
    agreement.check_written(contender, running, workload, [warm, measured])
    return measured
