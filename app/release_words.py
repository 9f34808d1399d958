"""``python -m app release``: the gate before every deploy, and the words of its operators."""

import asyncio
import json
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import ModuleType
from typing import Annotated, Any, Final, NoReturn, TypeVar

import typer

from app.errors import DatabaseAway, SignalbookError
from app.release_terminal import Terminal, planned, tell_end, tell_status
from app.releases import gate as gates
from app.releases.beside import Beside, beside
from app.releases.decisions import decide
from app.releases.release import NOBODY, Ended, Order
from app.releases.scratch import connected
from app.releases.session import MigrationError
from app.releases.status import looked
from app.releases.status import status as status_of
from app.releases.telling import Silence
from app.releases.verdict import Stopped, Verdict
from app.settings import Settings
from app.terminal import say, started
from app.truth import demands

words: Final = typer.Typer(
    help="The gate before every deploy: looks, rehearses, asks for approval, migrates, verifies. "
    "Without a word it runs the whole. docs/migrations.md tells what each exit code asks for.",
    invoke_without_command=True,
    no_args_is_help=False,
)

Answer = TypeVar("Answer")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for machines.")]
Look = Annotated[
    bool, typer.Option("--look", help="Look for drift now, instead of giving the last look.")
]
Who = Annotated[str, typer.Option("--who", help="Your name; it is kept.")]
Why = Annotated[str, typer.Option("--why", help="Your reason; it is kept.")]
Contract = Annotated[
    bool,
    typer.Option(
        "--contract", help="Insist on the next contract, although this image serves without it."
    ),
]
Override = Annotated[
    str | None,
    typer.Option("--override-soak", help="Pass over an unfinished or red soak, for this reason."),
]
Ahead = Annotated[
    bool,
    typer.Option(
        "--allow-ahead", help="Let an older image serve on a newer schema where all its SQL runs."
    ),
]


@words.callback()
def release(
    context: typer.Context,
    as_json: Json = False,
    contract: Contract = False,
    override_soak: Override = None,
    allow_ahead: Ahead = False,
    who: Annotated[str, typer.Option(help="Who runs it; kept with the run.")] = NOBODY,
) -> None:
    """Take the next approved step; exit 0 when this image may be deployed."""
    if context.invoked_subcommand is None:
        _gate("release", as_json, contract=contract, override=override_soak,
              allow_ahead=allow_ahead, who=who)  # fmt: skip


@words.command()
def plan(as_json: Json = False) -> None:
    """Show what the next release would do, statement by statement; change nothing."""
    with started() as (settings, url):
        order = order_of(settings, url, "plan", contract=True)
        ended = _run(order, gates.PLAN, as_json=as_json)
        if ended.plan is not None and not as_json:
            typer.echo("\n".join(planned(ended.plan)))
    raise typer.Exit(int(ended.verdict))


@words.command()
def rehearse(as_json: Json = False) -> None:
    """Rehearse the next release on a copy, anew; an approval that was there is void."""
    _gate("rehearse", as_json, gates.REHEARSE, contract=True, anew=True)


@words.command()
def resume(
    plan_anew: Annotated[
        str | None,
        typer.Option(
            "--plan-anew", help="Plan, rehearse and approve the rest anew, for this reason."
        ),
    ] = None,
    who: Annotated[str, typer.Option(help="Who runs it; kept with the run.")] = NOBODY,
    as_json: Json = False,
) -> None:
    """Finish a release that a killed or stopped run has begun."""
    stages = gates.RESUME if plan_anew is None else gates.STAGES
    _gate("resume", as_json, stages, contract=True, supersede=plan_anew, who=who)


@words.command()
def rollback(who: Who, why: Why, as_json: Json = False) -> None:
    """Go back to before the last release, with its data; not from a contract."""
    _gate("rollback", as_json, gates.ROLLBACK, who=who, why=why)


@words.command()
def adopt(who: Who, why: Why, as_json: Json = False) -> None:
    """Take over the older service's database as it stands, or say where it differs."""
    _gate("adopt", as_json, gates.ADOPT, who=who, why=why)


@words.command()
def approve(
    digest: Annotated[str, typer.Argument(help="The plan's digest, or its first 8 characters.")],
    who: Who,
    why: Why,
    destroys: Annotated[
        str | None, typer.Option(help="The table that the plan takes something from.")
    ] = None,
    withhold: Annotated[bool, typer.Option("--withhold", help="Say no instead.")] = False,
    as_json: Json = False,
) -> None:
    """Approve a plan that was rehearsed, or withhold it."""
    choice = "withhold" if withhold else "approve"

    async def decided(settings: Settings, url: str) -> dict[str, Any]:
        async with connected(_gate_url(settings, url)) as connection:
            return await decide(connection, digest, choice, who=who, why=why, destroys=destroys)

    found = _asked(decided)
    if as_json:
        typer.echo(json.dumps(found, default=str))
    else:
        say(f"{found['decision']}: {found['digest'][:12]} by {who}. Run the release again.")


@words.command()
def status(as_json: Json = False, look: Look = False) -> None:
    """Say where the database stands, what is pending, what runs now, and what ran before."""

    async def examined(settings: Settings, url: str) -> dict[str, Any]:
        order = order_of(settings, url)
        found = await status_of(order.url, within=5.0, look=look, role=order.service_role)
        return await looked(order.url, found, role=order.service_role)

    found = _asked(examined)
    if as_json:
        typer.echo(json.dumps(found, default=str))
    else:
        tell_status(found)


@words.command()
def compare(
    url: Annotated[
        str, typer.Argument(envvar="COMPARE_URL", help="The other database; it is only read.")
    ],
    as_json: Json = False,
) -> None:
    """Lay another database's history and schema beside this one's; exit 1 where they differ."""

    async def laid(settings: Settings, here: str) -> Beside:
        return await beside(_gate_url(settings, here), url)

    found = _asked(laid)
    if as_json:
        typer.echo(json.dumps(found.as_json(), default=str))
    else:
        typer.echo("\n".join(found.lines()))
    raise typer.Exit(0 if found.same else 1)


def _gate(
    word: str, as_json: bool, stages: tuple[ModuleType, ...] = gates.STAGES, **order: Any
) -> NoReturn:
    """Run the gate and exit with its verdict."""
    with started() as (settings, url):
        ended = _run(order_of(settings, url, word, **order), stages, as_json=as_json)
    raise typer.Exit(int(ended.verdict))


def _run(order: Order, stages: tuple[ModuleType, ...], *, as_json: bool) -> Ended:
    tell = Silence() if as_json else Terminal()
    ended = asyncio.run(_stoppable(gates.gate(order, demands(), tell, stages)))
    tell_end(ended, as_json=as_json)
    return ended


async def _stoppable(gate: Coroutine[Any, Any, Ended]) -> Ended:
    """Let SIGTERM and Ctrl-C stop the gate between two statements, its page closed.

    Also where it was started with these signals ignored, as shells start what runs behind.
    """
    task = asyncio.ensure_future(gate)
    with suppress(NotImplementedError):  # Windows has no such handlers
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


def order_of(settings: Settings, url: str, word: str = "release", **order: Any) -> Order:
    """Make an order of the settings; ``url`` is how the service connects."""
    return Order(
        url=_gate_url(settings, url),
        service_url=url,
        word=word,
        stall_budget=settings.stall_budget,
        wall_clock=settings.release_wall_clock,
        connect_patience=settings.connect_patience,
        patience=settings.release_patience,
        soak_seconds=settings.soak_hours * 3_600,
        **order,
    )


def _gate_url(settings: Settings, url: str) -> str:
    """Give the address of the server itself where a pooler stands before it."""
    unpooled = settings.database_unpooled_url
    return unpooled.get_secret_value() if unpooled else url


def _asked(question: Callable[[Settings, str], Coroutine[Any, Any, Answer]]) -> Answer:
    """Ask the database something beside the gate; say plainly what went wrong."""
    with started() as (settings, url):
        try:
            return asyncio.run(question(settings, url))
        except DatabaseAway as away:
            _refuse(Verdict.UNREACHABLE, away.message)
        except SignalbookError as refused:
            _refuse(Verdict.REFUSED, refused.message)
        except Stopped as stopped:
            _refuse(stopped.verdict, stopped.words)
        except MigrationError as error:
            gone = isinstance(error.__cause__, OSError | TimeoutError)
            _refuse(Verdict.UNREACHABLE if gone else Verdict.FAILED, str(error))


def _refuse(verdict: Verdict, words: str) -> NoReturn:
    say(f"signalbook: {words}")
    raise typer.Exit(int(verdict))
