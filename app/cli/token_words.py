"""``python -m app token``: the tokens of people and devices."""

from enum import Enum
from typing import Annotated, Final

import typer

from app.cli import commands

words: Final = typer.Typer(
    help="Make, list and revoke the tokens of people and devices. docs/access.md tells of them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class RoleWord(Enum):
    """The roles, as the command line takes them."""

    VIEWER = "viewer"
    EDITOR = "editor"
    OPERATOR = "operator"


Label = Annotated[str, typer.Argument(help="What the token is for: Anna's laptop.")]
Who = Annotated[str, typer.Option("--who", help="Your name; it is kept.")]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]


@words.command()
def create(
    label: Label,
    role: Annotated[RoleWord, typer.Option(help="What its holder may do.")] = RoleWord.EDITOR,
    user_id: Annotated[
        str | None, typer.Option(help="The userId of what is done with it; else the label.")
    ] = None,
    user_name: Annotated[
        str | None, typer.Option(help="The name of its holder; else the label.")
    ] = None,
    production: Annotated[
        list[str] | None,
        typer.Option(help="A show's uuid or label, once for each; without any it is all shows."),
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="How long it lasts; else until revoked.")
    ] = None,
    who: Who = "command line",
) -> None:
    """Make a token and print it, this once: only a hash of it is stored."""
    commands.run(
        "token", word="create", label=label, role=role.value, user_id=user_id or label,
        user_name=user_name or label, productions=production, days=days, who=who,
    )  # fmt: skip


@words.command("list")
def list_tokens(as_json: Json = False) -> None:
    """List the tokens with their keys; their secrets are not known here."""
    commands.run("token", word="list", as_json=as_json)


@words.command()
def revoke(
    key: Annotated[str, typer.Argument(help="The token's key, the part between sb_ and the dot.")],
    who: Who = "command line",
) -> None:
    """Revoke a token: whoever is connected with it is disconnected within seconds."""
    commands.run("token", word="revoke", key=key, who=who)
