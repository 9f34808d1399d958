"""The command line: scripts/bench."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import count
from typing import Annotated, Final

import typer

from app.postgres import EmbeddedPostgresError
from scripts.benchmarks import agreement, load, machine, report, show
from scripts.benchmarks.contenders import CONTENDERS, OURS, Running, Stage
from scripts.benchmarks.load import LoadFailed, Measurement
from scripts.benchmarks.workloads import WORKLOADS, Workload

_WARM_UP_SECONDS: Final = 1
_NUMBERS_A_TURN: Final = 1_000_000  # more than any server answers in one
_NAMES: Final = ", ".join(workload.name for workload in WORKLOADS)

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@cli.command()
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="3 rounds of 2 s; not written.")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each server.")] = 5,
    seconds: Annotated[int, typer.Option(min=1, help="Seconds of a turn.")] = 4,
    only: Annotated[list[str] | None, typer.Option(help=f"Only this workload: {_NAMES}.")] = None,
    generator: Annotated[str, typer.Option(help="auto, wrk or builtin.")] = "auto",
    write: Annotated[bool, typer.Option(help="Write docs/performance.md.")] = True,
) -> None:
    """Measure Signalbook beside other servers on the same rows, in turn, over loopback.

    Starts all it needs: a PostgreSQL in a temporary folder and each server as one process.
    A run takes about six minutes, a quick one about two.
    """
    if quick:
        rounds, seconds, write = 3, 2, False
    workloads = [w for w in WORKLOADS if not only or w.name in only]
    try:
        told = _measured(workloads, rounds, seconds, load.choose(generator))
    except (LoadFailed, agreement.Disagreement, EmbeddedPostgresError) as failure:
        typer.echo(f"bench: {failure}", err=True)
        raise typer.Exit(1) from None
    typer.echo(told)
    if write and not only:
        report.write(told)
        typer.echo(f"\nWritten to {report.PAGE}.", err=True)


def _measured(
    workloads: list[Workload], rounds: int, seconds: int, generator: load.Generator
) -> str:
    with show.postgresql() as url, ExitStack() as stack:
        typer.echo("Seeding …", err=True)
        seeded = asyncio.run(show.seed(url))
        about = machine.described(generator.title, asyncio.run(show.version(url)))
        stage = Stage(url, seeded, generator)
        running = {c.name: stack.enter_context(c.perform(stage)) for c in CONTENDERS}
        agreement.check(running, seeded)
        turns = _turns(stage, running, workloads, rounds, seconds)
        results: dict[str, dict[str, list[Measurement]]] = defaultdict(lambda: defaultdict(list))
        for workload, name, measured in turns:
            results[workload][name].append(measured)
    return "\n".join([*_preface(rounds, seconds, about), "", report.table(results)])


def _turns(
    stage: Stage,
    running: Mapping[str, Running],
    workloads: list[Workload],
    rounds: int,
    seconds: int,
) -> Iterator[tuple[str, str, Measurement]]:
    """Give the measurements: of each workload all rounds, in each round every server in turn."""
    numbers = count(0, _NUMBERS_A_TURN)
    for workload in workloads:
        names = [c.name for c in CONTENDERS if workload.name in c.workloads]
        for turn in range(rounds):
            typer.echo(f"{workload.title}: round {turn + 1} of {rounds}", err=True)
            for name in names:
                if workload.writes:
                    asyncio.run(show.tidy(stage.database_url, stage.show))
                yield workload.name, name, _measure(running[name], workload, seconds, numbers)


def _measure(
    server: Running, workload: Workload, seconds: int, numbers: Iterator[int]
) -> Measurement:
    server.measure(workload, _WARM_UP_SECONDS, next(numbers))
    measured = server.measure(workload, seconds * workload.stretch, next(numbers))
    if not measured.requests:
        raise LoadFailed(f"No answer in {seconds} s ({workload.title}): ask for more --seconds.")
    return measured


def _preface(rounds: int, seconds: int, about: list[str]) -> list[str]:
    lines = [
        (
            f"`scripts/bench --rounds {rounds} --seconds {seconds}`: medians of {rounds} rounds of "
            f"{seconds} s (long lists: twice that) after {_WARM_UP_SECONDS} s of warm-up, the "
            f"servers in turn, {load.CONNECTIONS} connections kept open, over loopback."
        ),
        (
            "Each server is one process with uvloop and httptools and writes no log "
            f"(LOG_LEVEL=WARNING for {OURS.title}), save where the table says so."
        ),
        "In brackets: the lowest and the highest round.",
        *about,
    ]
    return [line for paragraph in lines for line in (paragraph, "")][:-1]


if __name__ == "__main__":
    cli(prog_name="scripts/bench")
