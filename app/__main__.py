"""The command line: ``python -m app serve | release … | load | export | status | drift | …``.

It declares the commands and their options; ``app.cli.commands`` runs them.
"""

# ruff: isort: off
from app.cli import quiet_start  # before all others: it is about their imports

# ruff: isort: on
import os
from pathlib import Path
from typing import Annotated, Final

import typer

from app import VERSION, json_lines
from app.cli import audit_words, commands, release, token_words

# A shell completes one word, so there is no completion for ``python -m app``.
_COMMAND: Final = os.environ.get("SIGNALBOOK_COMMAND", "")

cli = typer.Typer(
    add_completion=bool(_COMMAND),
    help="Signalbook keeps the video equipment of live shows and serves it as JSON. Settings come "
    "from the environment (docs/operations.md lists them); without DATABASE_URL it runs a "
    "PostgreSQL of its own in DATA_DIR.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain lines: a command in a box cannot be copied
)
cli.add_typer(token_words.words, name="token", short_help="The tokens of people and devices.")
cli.add_typer(audit_words.words, name="audit", short_help="What happened with access.")
cli.add_typer(release.words, name="release", short_help="The gate before every deploy.")


def _print_version(is_wanted: bool) -> None:
    """Print the version and end, where ``--version`` asks for it."""
    if is_wanted:
        typer.echo(VERSION)
        raise typer.Exit


def _name_the_setting(option: typer.CallbackParam, value: str | None) -> None:
    """Refuse an option that other servers have: here it is a setting."""
    if value is not None:
        name = str(option.name).upper()
        raise typer.BadParameter(f"that is a setting here: {name}={value} python -m app serve")


Setting = Annotated[str | None, typer.Option(hidden=True, callback=_name_the_setting)]


@cli.callback()
def options(
    version: Annotated[  # noqa: ARG001  # its callback prints it
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
    host: Setting = None,  # noqa: ARG001  # refused by its callback
    port: Setting = None,  # noqa: ARG001  # refused by its callback
) -> None:
    """Take what stands before the command."""
    quiet_start.end()


@cli.command()
def serve(
    prepare: Annotated[
        bool | None,
        typer.Option(
            help="First migrate without the release gate, and load the sample show into an empty "
            "database: for development. The default: yes with the embedded PostgreSQL, no with "
            "DATABASE_URL; refused in production, and wherever a database holds something to lose."
        ),
    ] = None,
    host: Setting = None,  # noqa: ARG001  # refused by its callback
    port: Setting = None,  # noqa: ARG001  # refused by its callback
) -> None:
    """Serve the API on HOST and PORT until SIGINT or SIGTERM."""
    if json_lines.applies(os.environ):
        json_lines.capture()
    quiet_start.exit_on_signals()
    commands.run("serve", prepare=prepare)


@cli.command()
def load(
    file: Annotated[
        Path,
        typer.Argument(help="A show as JSON; app/sample/show.json is one. - is standard input."),
    ],
    as_copy: Annotated[
        bool,
        typer.Option("--as-copy", help="Give every row a new uuid: the show is here already."),
    ] = False,
) -> None:
    """Load a show from FILE as a new one: all of it or nothing."""
    commands.run("load", file=file, as_copy=as_copy)


@cli.command()
def export(
    production: Annotated[str, typer.Argument(help="The show's uuid, or its label: SHOW 1.")],
) -> None:
    """Print a show, as it is now, as the JSON that load reads."""
    commands.run("export", production=production)


@cli.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Say whether the database is what this version needs.

    Exit with 1 where it is not.
    """
    commands.run("status", as_json=as_json)


@cli.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Say what is wrong with this installation and what mends it.

    Exit with 1 where something is.

    Looks at the settings, who can get in, the port, the folder, the database, whether the service
    could serve, what the release gate would do next, and whether a release could be rehearsed.
    """
    commands.run("doctor", as_json=as_json)


@cli.command()
def drift(
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """List where the live schema differs from its migrations.

    Exit with 1 where it does.

    Builds the schema once more in a scratch database beside it, compares the two catalogues, and
    tells each difference with the SQL that mends it. Nothing of the live database is changed.
    """
    commands.run("drift", as_json=as_json)


@cli.command()
def unresolved() -> None:
    """List the ends of connections that are only text.

    No row of the show bears it.

    A router that nobody keeps here is such a text, and so is what an older service left behind.
    """
    commands.run("unresolved")


if __name__ == "__main__":
    cli(prog_name=_COMMAND or "python -m app")
else:
    quiet_start.end()
