"""How the release gate speaks: sentences and progress bars for people, one object for machines."""

import json
import time
from itertools import groupby
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

from app.releases.plan import Plan
from app.releases.release import Ended

_MARKS: Final = {"done": "✓", "skipped": "·", "stopped": "✗"}
_LOOKED_BY: Final = {
    "gate": ", by the gate (--look looks now)",
    "app": ", by a serving app (--look looks now)",
    "question": ", just now",
}
_EVERY: Final = 5.0  # seconds between two lines about the same work where there is no terminal


class Terminal:
    """Speaks on standard error. On a terminal long work has a bar, elsewhere a line at times."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._task: tuple[str, TaskID] | None = None
        self._told: dict[str, float] = {}

    def say(self, line: str) -> None:
        """Print a sentence."""
        self._console.print(f"  {line}", markup=False)

    def stage(self, name: str) -> None:
        """Name the stage that begins, where its bar would stand."""
        if self._console.is_terminal:
            self._console.print(f"… {name}", markup=False, style="dim")

    def stage_over(self, name: str, outcome: str, words: str, seconds: float) -> None:
        """Print how a stage ended; a stage that stopped is explained by the last words."""
        self._close_bar()
        told = "" if outcome == "stopped" else words
        line = f"{_MARKS[outcome]} {name:<12} {seconds:6.1f} s  {told}"
        self._console.print(line.rstrip(), markup=False)

    def progress(self, what: str, done: int, total: int, rate: float, left: float | None) -> None:
        """Move the bar, or say how far it is."""
        if self._console.is_terminal:
            self._move(what, done, total, rate)
        elif time.monotonic() - self._told.get(what, -_EVERY) >= _EVERY or done >= total > 0:
            self._told[what] = time.monotonic()
            rest = "" if left is None else f", {left:.0f} s left"
            self.say(f"{what}: {done} of {total} ({rate:.0f} a second{rest})")

    def _move(self, what: str, done: int, total: int, rate: float) -> None:
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
        self._bar.update(self._task[1], completed=done, total=total, rate=rate)

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = None


def tell_end(ended: Ended, *, as_json: bool) -> None:
    """Print the verdict, as one JSON object on standard output or in words on standard error."""
    if as_json:
        typer.echo(json.dumps(ended.as_json(), default=str))
        return
    name = ended.verdict.name.lower().replace("_", " ")
    typer.echo(f"\n{name} (exit {int(ended.verdict)}): {ended.words}", err=True)


def planned(plan: Plan) -> list[str]:
    """Give a plan in lines: each revision, each transaction's lock, each statement."""
    lines = []
    for revision, statements in groupby(plan.statements, key=lambda s: s.revision):
        lines.append(f"\n-- {revision}")
        for _, together in groupby(statements, key=lambda s: s.step):
            step = list(together)
            lock = next((f"{s.lock} on {', '.join(s.tables)}" for s in step if s.lock), "no lock")
            lines.append(f"-- {step[0].way}, {lock}")
            lines += [f"{statement.sql};" for statement in step]
    return [*lines, f"\n-- digest {plan.digest}"]


def tell_status(found: dict[str, Any]) -> None:
    """Print the status for people."""
    for line in described(found):
        typer.echo(line)


def described(found: dict[str, Any]) -> list[str]:
    """Give the status in lines."""
    needs = f"this image needs {found['needed']}, its newest is {found['head']}"
    lines = [
        f"revision   {found['revision'] or 'nothing'} ({found['state']}); {needs}",
        f"pending    {_pending(found['pending'])}",
        f"drift      {_drift(found)}",
        f"soak       {_soak(found['soak'])}",
        *_running(found["running"]),
        *(f"overridden {o['rule']} by {o['who']}: {o['why']}" for o in found["overrides"] or ()),
        *_next(found["next"]),
    ]
    if found["unread"]:
        lines.append(f"unread     {', '.join(found['unread'])}: locked, or too slow")
    for run in (found["runs"] or ())[:5]:
        verdict = run["verdict"] or "running"
        words = (run["words"] or "").partition("\n")[0]
        lines.append(f"run {run['id']:<6} {run['word']} by {run['who']}: {verdict}. {words}")
    return lines


def _pending(pending: list[dict[str, Any]] | None) -> str:
    if pending is None:
        return "not known"
    return ", ".join(revision["revision"] for revision in pending) or "nothing"


def _drift(found: dict[str, Any]) -> str:
    if found["drift"] is None:
        return "never looked at"
    words = "; ".join(f["words"] for f in found["drift"]) or "none"
    by = _LOOKED_BY.get(found.get("driftCheckedBy") or "", "")
    return f"{words}, at {found['driftCheckedAt']}{by}"


def _soak(soak: dict[str, Any] | None) -> str:
    if soak is None:
        return "none"
    left = soak["remainingSeconds"] or 0
    rest = f", {left / 3_600:.1f} h left" if left else ""
    reasons = "; ".join(soak["reasons"])
    return (
        f"{soak['state']}{rest} ({soak['table'] or 'new tables'}){': ' if reasons else ''}{reasons}"
    )


def _next(pending: dict[str, Any] | None) -> list[str]:
    if pending is None or not pending.get("digest"):
        return []
    decision = pending.get("decision")
    told = f"{decision['decision']} by {decision['who']}" if decision else "not decided"
    return [
        f"next       {', '.join(pending['revisions'])}, {told}; digest {pending['digest'][:12]}"
    ]


def _running(running: dict[str, Any] | None) -> list[str]:
    if running is None:
        return ["running    nothing"]
    lines = [f"running    run {running['run']}, {running['stage']}, since {running['since']}"]
    if statement := running.get("statement"):
        lines.append(f"           {statement['seconds']:.1f} s: {statement['sql'].splitlines()[0]}")
    lines += [f"           waits for pid {w['pid']} ({w['query']})" for w in running["waitsFor"]]
    lines += [
        f"           blocks pid {b['pid']} for {b['seconds']:.1f} s" for b in running["blocks"]
    ]
    return [*lines, f"           {running['safeWords']}"]
