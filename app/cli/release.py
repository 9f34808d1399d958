"""``python -m app release``: the gate before every deploy, and the words of its operators."""

from typing import Annotated, Final

import typer

from app.cli import commands

NOBODY: Final = "deploy"
"""Who runs the gate when no person does."""

words: Final = typer.Typer(
    help="The gate before every deploy: looks, rehearses, asks for approval, migrates, verifies. "
    "Without a word it runs the whole. docs/migrations.md tells what each exit code asks for.",
    invoke_without_command=True,
    no_args_is_help=False,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for machines.")]
Look = Annotated[bool, typer.Option(
    "--look", help="Look for drift now, instead of giving the last look."
)]  # fmt: skip
Who = Annotated[str, typer.Option("--who", help="Your name; it is kept.")]
Why = Annotated[str, typer.Option("--why", help="Your reason; it is kept.")]
Runner = Annotated[str, typer.Option("--who", help="Who runs it; kept with the run.")]
Contract = Annotated[bool, typer.Option(
    "--contract",
    help="Take the next contract now: remove what only older versions used. Without it, contracts "
    "wait, since this version serves without them."
)]  # fmt: skip
Override = Annotated[str | None, typer.Option(
    "--override-soak", help="Pass over an unfinished or red soak, for this reason."
)]  # fmt: skip
Whole = Annotated[bool, typer.Option(
    "--whole",
    help="All expands and switches together, or all contracts together: for a small database.",
)]  # fmt: skip
New = Annotated[bool, typer.Option(
    "--new", help="In production: the database is new and meant to be empty."
)]  # fmt: skip
Ahead = Annotated[bool, typer.Option(
    "--allow-ahead", help="Let an older image serve on a newer schema where all its SQL runs."
)]  # fmt: skip
PlanAnew = Annotated[str | None, typer.Option(
    "--plan-anew", help="Plan, rehearse and approve the rest anew, for this reason."
)]  # fmt: skip
Destroys = Annotated[str | None, typer.Option(
    "--destroys", help="What the plan takes something from: a table, or several with commas."
)]  # fmt: skip


@words.callback()
def release(
    context: typer.Context, as_json: Json = False, contract: Contract = False,
    override_soak: Override = None, allow_ahead: Ahead = False, whole: Whole = False,
    new: New = False, who: Runner = NOBODY,
) -> None:  # fmt: skip
    """Take the next approved step; exit 0 when this image may be deployed."""
    if context.invoked_subcommand is None:
        commands.run(
            "run_release", word="release", as_json=as_json, contract=contract,
            override=override_soak, allow_ahead=allow_ahead, whole=whole, new=new, who=who,
        )  # fmt: skip


@words.command()
def plan(as_json: Json = False, whole: Whole = False) -> None:
    """Show what the next release would do; change nothing."""
    commands.run("run_release", word="plan", as_json=as_json, contract=True, whole=whole)


@words.command()
def rehearse(as_json: Json = False, whole: Whole = False) -> None:
    """Rehearse the next release on a copy, anew.

    An approval that was there is void.
    """
    commands.run(
        "run_release", word="rehearse", as_json=as_json, contract=True, anew=True, whole=whole
    )


@words.command()
def resume(plan_anew: PlanAnew = None, who: Runner = NOBODY, as_json: Json = False) -> None:
    """Finish a release that a killed or stopped run has begun."""
    commands.run(
        "run_release", word="resume", as_json=as_json, contract=True, supersede=plan_anew, who=who
    )


@words.command()
def rollback(who: Who, why: Why, as_json: Json = False) -> None:
    """Go back to before the last release, with its data.

    There is no way back from a contract.
    """
    commands.run("run_release", word="rollback", as_json=as_json, who=who, why=why)


@words.command()
def adopt(who: Who, why: Why, as_json: Json = False) -> None:
    """Take over the older service's database as it stands.

    Or say where it differs from what is expected.
    """
    commands.run("run_release", word="adopt", as_json=as_json, who=who, why=why)


@words.command()
def approve(
    digest: Annotated[str, typer.Argument(help="The plan's digest, or its first 8 characters.")],
    who: Who,
    why: Why,
    destroys: Destroys = None,
    withhold: Annotated[bool, typer.Option("--withhold", help="Say no instead.")] = False,
    as_json: Json = False,
) -> None:
    """Approve a plan that was rehearsed, or withhold it."""
    choice = "withhold" if withhold else "approve"
    commands.run(
        "approve", digest=digest, choice=choice, as_json=as_json, who=who, why=why,
        destroys=destroys,
    )  # fmt: skip


@words.command()
def status(as_json: Json = False, look: Look = False) -> None:
    """Say where the database stands and what to do next.

    That is: what is pending, what runs now, and what ran before.
    """
    commands.run("release_status", as_json=as_json, look=look)


@words.command()
def compare(
    url: Annotated[
        str, typer.Argument(envvar="COMPARE_URL", help="The other database; it is only read.")
    ],
    as_json: Json = False,
) -> None:
    """Lay another database's history and schema beside this one's.

    Exit with 1 where they differ.
    """
    commands.run("compare", url=url, as_json=as_json)
