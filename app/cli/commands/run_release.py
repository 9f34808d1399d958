"""The commands that run the gate: release, plan, rehearse, resume, rollback and adopt."""

import asyncio
import json
import signal
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from itertools import groupby
from types import ModuleType
from typing import Any, Final

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from app.cli.startup import gate_url, started
from app.releases.gate import gate as gates
from app.releases.gate.run import Ended, Order
from app.releases.output import GateOutput
from app.releases.plan.plan import Plan
from app.releases.product import required_statements
from app.settings import Settings

_STAGES: Final[Mapping[str, tuple[ModuleType, ...]]] = {
    "release": gates.STAGES, "plan": gates.PLAN, "rehearse": gates.REHEARSE,
    "resume": gates.RESUME, "rollback": gates.ROLLBACK, "adopt": gates.ADOPT,
}  # fmt: skip
_MARKS: Final = {"done": "✓", "skipped": "·", "stopped": "✗"}
_EVERY: Final = 5.0  # seconds between two lines about the same work where there is no terminal


def run(*, word: str, as_json: bool, **order: Any) -> None:
    """Run the gate and exit with its verdict."""
    plans_anew = order.get("supersede") is not None
    stages = gates.STAGES if plans_anew else _STAGES[word]
    output = GateOutput() if as_json else Terminal()
    with started() as (settings, url):
        request = _order(settings, url, word, **order)
        ended = asyncio.run(_stoppable(gates.gate(request, required_statements(), output, stages)))
        print_end(ended, as_json=as_json)
        if word == "plan" and ended.plan is not None and not as_json:
            typer.echo("\n".join(planned(ended.plan)))
    raise typer.Exit(int(ended.verdict))


async def _stoppable(gate: Coroutine[Any, Any, Ended]) -> Ended:
    """Let SIGTERM and Ctrl-C stop the gate between two statements, its page closed.

    This holds also where it was started with these signals ignored, as shells start background
    jobs.
    """
    task = asyncio.ensure_future(gate)
    with suppress(NotImplementedError):  # Windows has no such handlers
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


def _order(settings: Settings, url: str, word: str, **order: Any) -> Order:
    """Return an order from the settings; ``url`` is how the service connects."""
    return Order(
        url=gate_url(settings, url),
        service_url=url,
        word=word,
        stall_budget=settings.stall_budget,
        wall_clock=settings.release_wall_clock,
        connect_patience=settings.connect_patience,
        patience=settings.release_patience,
        soak_seconds=settings.soak_hours * 3_600,
        small_seconds=settings.small_release_seconds,
        quiet_seconds=settings.contract_quiet_minutes * 60,
        harmless_sessions=settings.harmless_sessions,
        production=settings.environment == "production",
        **{**order, "new": order.get("new", False) or settings.new_database},
    )


class Terminal(GateOutput):
    """Prints on standard error. On a terminal long work has a bar, elsewhere a line at times."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._task: tuple[str, TaskID] | None = None
        self._last_lines: dict[str, float] = {}

    def say(self, line: str) -> None:
        """Print a sentence."""
        self._console.print(f"  {line}", markup=False)

    def stage(self, name: str) -> None:
        """Print the stage that begins, on a terminal."""
        if self._console.is_terminal:
            self._console.print(f"… {name}", markup=False, style="dim")

    def stage_over(self, name: str, outcome: str, words: str, seconds: float) -> None:
        """Print how a stage ended; why one stopped is printed at the end."""
        self._close_bar()
        shown_words = "" if outcome == "stopped" else words
        line = f"{_MARKS[outcome]} {name:<12} {seconds:6.1f} s  {shown_words}"
        self._console.print(line.rstrip(), markup=False)

    def progress(
        self, what: str, units_done: int, total: int, rate: float, seconds_left: float | None
    ) -> None:
        """Move the bar, or print a line at times."""
        if self._console.is_terminal:
            self._move(what, units_done, total, rate)
        elif (
            time.monotonic() - self._last_lines.get(what, -_EVERY) >= _EVERY
            or units_done >= total > 0
        ):
            self._last_lines[what] = time.monotonic()
            rest = "" if seconds_left is None else f", {seconds_left:.0f} s left"
            self.say(f"{what}: {units_done} of {total} ({rate:.0f} a second{rest})")

    def _move(self, what: str, units_done: int, total: int, rate: float) -> None:
        if self._task is None or self._task[0] != what:
            self._close_bar()
            self._bar = Progress(
                TextColumn("  {task.description}"), BarColumn(), TaskProgressColumn(),
                TextColumn("{task.completed:.0f} of {task.total:.0f}, {task.fields[rate]:.0f}/s"),
                TimeRemainingColumn(), console=self._console, transient=True,
            )  # fmt: skip
            self._bar.start()
            self._task = (what, self._bar.add_task(what, total=total, rate=rate))
        assert self._bar is not None
        self._bar.update(self._task[1], completed=units_done, total=total, rate=rate)

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = None


def print_end(ended: Ended, *, as_json: bool) -> None:
    """Print the verdict, as one JSON object on standard output or in words on standard error."""
    if as_json:
        typer.echo(json.dumps(ended.as_json(), default=str))
        return
    name = ended.verdict.name.lower().replace("_", " ")
    typer.echo(f"\n{name} (exit {int(ended.verdict)}): {ended.words}", err=True)


def planned(plan: Plan) -> list[str]:
    """Return a plan in lines: each revision, each transaction's lock, each statement."""
    lines = []
    for revision, statements in groupby(plan.statements, key=lambda s: s.revision):
        lines.append(f"\n-- {revision}")
        for _, together in groupby(statements, key=lambda s: s.step):
            step = list(together)
            lock = next((f"{s.lock} on {', '.join(s.tables)}" for s in step if s.lock), "no lock")
            lines.append(f"-- {step[0].way}, {lock}")
            lines += [f"{statement.sql};" for statement in step]
    return [*lines, f"\n-- digest {plan.digest}"]
