"""The command line: scripts/adoption-drill."""

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from app.database.embedded_home import EmbeddedPostgresError
from app.releases.verdict import MigrationError
from scripts.adoption_drill.gate import GateStopped
from scripts.adoption_drill.older_database import NotEmpty, Sizes
from scripts.adoption_drill.report import report_lines
from scripts.adoption_drill.run import Options, Result, carry
from scripts.adoption_drill.serving import NotServing
from scripts.benchmarks import show

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@cli.command()
def adoption_drill(  # noqa: PLR0917  # options of a command line
    cameras: Annotated[int, typer.Option(min=1, help="Rows of cameras.")] = 100_000,
    sources: Annotated[int, typer.Option(min=1, help="Rows of sources.")] = 100_000,
    events: Annotated[int, typer.Option(min=1, help="Rows of events.")] = 1_000_000,
    older: Annotated[int, typer.Option(min=1, help="Writers of the older service.")] = 4,
    ours: Annotated[int, typer.Option(min=1, help="Writers of ours.")] = 4,
    pause: Annotated[float, typer.Option(min=0, help="Seconds between a writer's steps.")] = 0.02,
    together: Annotated[float, typer.Option(min=0, help="Seconds both services write.")] = 20.0,
    database: Annotated[
        str | None,
        typer.Option(envvar="ADOPTION_DATABASE", help="An empty database; else an embedded one."),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the result there as JSON.")
    ] = None,
) -> None:
    """Carry a large older database to head through the release gate while everybody writes.

    Exit 0 if no statement failed, no row was lost, and nobody waited longer than 500 ms.
    """
    options = Options(
        sizes=Sizes(cameras, sources, events),
        older=older, ours=ours, pause=pause, together=together,
    )  # fmt: skip
    signal.signal(signal.SIGTERM, _end)  # so that processes are stopped and folders removed
    try:
        with _database(database) as url:
            result = asyncio.run(carry(url, options, Progress()))
    except (GateStopped, NotServing, NotEmpty, MigrationError, EmbeddedPostgresError) as stopped:
        typer.echo(f"adoption-drill: {stopped}", err=True)
        raise typer.Exit(1) from None
    _print(result, json_file)
    raise typer.Exit(1 if result.faults else 0)


def _end(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


@contextmanager
def _database(named: str | None) -> Iterator[str]:
    if named:
        yield named
        return
    with show.postgresql() as url:
        yield url


class Progress:
    """Prints lines with the seconds since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, line: str) -> None:
        """Print one line."""
        typer.echo(f"{time.monotonic() - self._began:7.1f} s  {line}", err=True)


def _print(result: Result, json_file: Path | None) -> None:
    values = result.as_json()
    typer.echo("\n".join(report_lines(values)))
    if json_file:
        json_file.write_text(json.dumps(values, indent=1, default=str))
        typer.echo(f"Written to {json_file}.", err=True)


if __name__ == "__main__":
    cli(prog_name="scripts/adoption-drill")
