"""The command line: scripts/drill."""

import asyncio
from contextlib import ExitStack
from typing import Annotated

import typer

from scripts.benchmarks import show
from scripts.drills.commands import DrillFailed
from scripts.drills.drill import FOR_THE_CONTRACTS, TO_THE_DEPLOY, drill

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@cli.command()
def run(
    kill: Annotated[
        bool, typer.Option("--kill", help="Kill each command once while it runs.")
    ] = False,
    database: Annotated[
        str | None,
        typer.Option(envvar="DRILL_DATABASE", help="An empty database; else an embedded one."),
    ] = None,
) -> None:
    """Take an older database of five shows to the first deploy and through the contracts.

    The older service writes until the first deploy. Exit 0 if nothing failed, nothing was lost,
    and the commands were few enough.
    """
    with ExitStack() as stack:
        url = database or stack.enter_context(show.postgresql())
        try:
            outcome = asyncio.run(drill(url, typer.echo, killing=kill))
        except DrillFailed as failed:
            typer.echo(f"drill: {failed}", err=True)
            raise typer.Exit(1) from None
    typer.echo(
        f"\n{outcome.to_the_deploy} commands to the first deploy (at most {TO_THE_DEPLOY}), "
        f"{outcome.for_the_contracts} for the contracts (at most {FOR_THE_CONTRACTS}); "
        f"{outcome.older_operations} operations of the older service meanwhile."
    )
    for fault in outcome.faults:
        typer.echo(f"FAULT: {fault}", err=True)
    few = outcome.to_the_deploy <= TO_THE_DEPLOY and outcome.for_the_contracts <= FOR_THE_CONTRACTS
    raise typer.Exit(0 if few and not outcome.faults else 1)


if __name__ == "__main__":
    cli(prog_name="scripts/drill")
