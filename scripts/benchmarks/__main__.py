"""The command line: scripts/bench."""

import asyncio
import signal
from collections.abc import Sequence
from types import FrameType
from typing import Annotated, Final, NoReturn

import typer

from app.database.embedded_home import EmbeddedPostgresError
from scripts.benchmarks import (
    footprints,
    growth,
    hostile,
    live,
    load,
    machine,
    memory,
    push,
    report,
    show,
    signals,
)
from scripts.benchmarks.agreement import Disagreement
from scripts.benchmarks.contenders import OURS, contenders, grown
from scripts.benchmarks.load import LoadFailed
from scripts.benchmarks.rounds import WARM_UP_SECONDS, Effort, Outcome, run
from scripts.benchmarks.serving import Stage
from scripts.benchmarks.workloads import CONNECTIONS, GROWTH, RACES, WORKLOADS, Workload

_MEMORY: Final = "memory"
_NAMES: Final = (*RACES, _MEMORY, signals.PART, hostile.PART, *live.PARTS)
_PARTS: Final = ", ".join(_NAMES)
_INTERRUPTED: Final = 130

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@cli.command()
def bench(
    quick: Annotated[
        bool, typer.Option("--quick", help="2 rounds of 1 s, 20,000 requests; not written.")
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each server.")] = 4,
    seconds: Annotated[int, typer.Option(min=1, help="Seconds of a turn.")] = 3,
    only: Annotated[
        list[str] | None, typer.Option(help=f"Only this part, not written unless --write: {_PARTS}")
    ] = None,
    requests: Annotated[
        int, typer.Option(min=1, help="Requests between two looks at memory.")
    ] = 100_000,
    push_seconds: Annotated[
        int, typer.Option(min=1, help="Seconds of writes to push.")
    ] = push.SECONDS,
    generator: Annotated[str, typer.Option(help="auto, wrk or builtin.")] = "auto",
    write: Annotated[
        bool | None, typer.Option(help="Write docs/performance.md; the default for a full run.")
    ] = None,
) -> None:
    """Measure Signalbook beside other servers on the same rows, in turn, over loopback.

    Starts all it needs: a PostgreSQL in a temporary folder and each server as one process. A full
    run takes about 30 minutes, with --requests 1000000 about 6 more; a quick one about 10.
    """
    if quick:
        rounds, seconds, requests, push_seconds = 2, 1, min(requests, 20_000), min(push_seconds, 5)
    _refuse_unknown(only)
    signal.signal(signal.SIGTERM, _interrupted)
    effort = Effort(rounds, seconds, lambda text: typer.echo(text, err=True))
    try:
        parts = set(only or _NAMES)
        sections = {}
        if parts - {signals.PART}:
            sections = _report(parts, effort, requests, push_seconds, load.choose(generator))
        if signals.PART in parts:
            sections[report.SIGNAL] = signals.measured(effort.say)
    except (LoadFailed, Disagreement, EmbeddedPostgresError) as failure:
        typer.echo(f"bench: {failure}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("bench: interrupted; every process that it started is stopped.", err=True)
        raise typer.Exit(_INTERRUPTED) from None
    typer.echo("\n\n".join(sections.values()))
    if write or (write is None and not only and not quick):
        for section, text in sections.items():
            report.write(text, section)
        typer.echo(f"\nWritten to {report.PAGE}.", err=True)


def _refuse_unknown(only: Sequence[str] | None) -> None:
    for name in only or ():
        if name not in _NAMES:
            typer.echo(f"bench: there is no part {name!r}: choose from {_PARTS}.", err=True)
            raise typer.Exit(2)


def _interrupted(_signal: int, _frame: FrameType | None) -> NoReturn:
    """End as Ctrl-C does, so that each started process is stopped."""
    raise KeyboardInterrupt


def _report(
    parts: set[str], effort: Effort, requests: int, push_seconds: int, generator: load.Generator
) -> dict[str, str]:
    """Measure, and return the text of each section of the page that was measured."""
    outcome = Outcome()
    absent: list[str] = []
    tables: list[str] = []
    with show.postgresql() as url:
        effort.say("Seeding …")
        stage = Stage(url, asyncio.run(show.seed(url)), generator)
        about = machine.described(generator.title, asyncio.run(show.version(url)))
        chosen = [workload for workload in WORKLOADS if workload.race in parts]
        _compare(stage, [w for w in chosen if w.table != GROWTH], effort, outcome, absent)
        _grow(stage, [w for w in chosen if w.table == GROWTH], effort, outcome)
        if _MEMORY in parts:
            started = memory.start_up(stage, effort.say)
            footprint = memory.footprint(stage, requests, effort.say)
            tables.append(footprints.table(started, footprint, requests))
        live_tables = live.measured(parts, stage, effort, push_seconds)
        strangers = hostile.measured(stage, effort) if hostile.PART in parts else ""
    compared = report.tables(outcome.results, outcome.titles)
    sections = {}
    if compared or tables:
        preface = _preface(effort, requests, [*about, *absent])
        sections[report.SERVING] = "\n\n".join(filter(None, [preface, compared, *tables]))
    if live_tables:
        preface = f"`{live.command(parts, effort, push_seconds)}`, over loopback."
        sections[report.LIVE] = "\n\n".join([preface, *about, *live_tables])
    if strangers:
        command = (
            f"scripts/bench --only hostile --rounds {effort.rounds} --seconds {effort.seconds}"
        )
        preface = f"`{command}`, over loopback; medians of the rounds."
        sections[report.HOSTILE] = "\n\n".join([preface, *about, strangers])
    return sections


def _compare(
    stage: Stage,
    workloads: list[Workload],
    effort: Effort,
    outcome: Outcome,
    absent: list[str],
) -> None:
    if workloads:
        entries = [(contender, stage) for contender in contenders(absent.append)]
        run(entries, workloads, effort, outcome)


def _grow(stage: Stage, workloads: list[Workload], effort: Effort, outcome: Outcome) -> None:
    if not workloads:
        return
    entries = []
    for size in growth.SIZES:
        effort.say(f"Filling a database of {size:,} productions …")
        filled = growth.database(stage.database_url, size, stage.generator)
        entries.append((grown(size), filled))
    run(entries, workloads, effort, outcome)


def _preface(effort: Effort, requests: int, about: list[str]) -> str:
    command = f"scripts/bench --rounds {effort.rounds} --seconds {effort.seconds}"
    lines = [
        (
            f"`{command} --requests {requests}`: medians of {effort.rounds} rounds of "
            f"{effort.seconds} s (the list of 500: twice that) after {WARM_UP_SECONDS} s of "
            f"warm-up. The servers take turns; {CONNECTIONS} connections stay open, over loopback."
        ),
        (
            f"Each server is one process. It writes no log (LOG_LEVEL=WARNING for {OURS.title}), "
            "except where the table says so."
        ),
        "The brackets show the lowest and the highest round.",
        *about,
    ]
    return "\n\n".join(lines)


if __name__ == "__main__":
    cli(prog_name="scripts/bench")
