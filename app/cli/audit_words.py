"""``python -m app audit``: what happened with access."""

from datetime import datetime
from typing import Annotated, Final

import typer

from app.cli import commands

words: Final = typer.Typer(
    help="What happened with access. docs/audit.md tells what is in it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_FORMATS: Final = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]


@words.callback()
def audit() -> None:
    """Take the word that follows."""


@words.command()
def export(
    since: Annotated[
        datetime | None, typer.Option(formats=_FORMATS, help="The first moment, in UTC.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=_FORMATS, help="The first moment after it, in UTC.")
    ] = None,
) -> None:
    """Print the audit as JSON lines, the oldest first."""
    commands.run("audit", since=since, until=until)
