"""The parts that measure the live push: their names, and the tables that each makes."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Final

from scripts.benchmarks import announcing, live_tables, push, show, sockets
from scripts.benchmarks.rounds import Effort
from scripts.benchmarks.serving import Stage

_PARTS: Final[Mapping[str, Callable[[Stage, Effort, int], str]]] = {
    "push": lambda stage, effort, seconds: live_tables.pushed(
        push.measure(stage, seconds, effort.say)
    ),
    "idle-sockets": lambda stage, effort, seconds: live_tables.crowded(
        sockets.measure(stage, min(seconds * 2, sockets.IDLE_SECONDS), effort.say)
    ),
    "announcing": lambda stage, effort, _: live_tables.announced(announcing.measure(stage, effort)),
}
PARTS: Final = tuple(_PARTS)


def measured(parts: Collection[str], stage: Stage, effort: Effort, seconds: int) -> list[str]:
    """Measure these parts, each from the same rows, and return their tables.

    Raise LoadFailed and Disagreement.
    """
    tables = []
    for name, measure in _PARTS.items():
        if name in parts:
            asyncio.run(show.tidy(stage.database_url, stage.show))
            tables.append(measure(stage, effort, seconds))
    return tables


def command(parts: Collection[str], effort: Effort, seconds: int) -> str:
    """Return the command that measures them."""
    only = " ".join(f"--only {name}" for name in PARTS if name in parts)
    effort_words = f"--rounds {effort.rounds} --seconds {effort.seconds}"
    return f"scripts/bench {only} {effort_words} --push-seconds {seconds}"
