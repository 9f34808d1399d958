"""The commands that run the gate: release, plan, rehearse, resume, rollback and adopt."""

import asyncio
import signal
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any, Final

import typer

from app.cli.release_output import Terminal, planned, print_end
from app.cli.startup import gate_url, started
from app.releases.gate import gate as gates
from app.releases.gate.run import Ended, Order
from app.releases.output import GateOutput
from app.releases.product import required_statements
from app.settings import Settings

_STAGES: Final[Mapping[str, tuple[ModuleType, ...]]] = {
    "release": gates.STAGES, "plan": gates.PLAN, "rehearse": gates.REHEARSE,
    "resume": gates.RESUME, "rollback": gates.ROLLBACK, "adopt": gates.ADOPT,
}  # fmt: skip


def run(*, word: str, as_json: bool, **order: Any) -> None:
    """Run the gate and exit with its verdict."""
    anew = order.get("supersede") is not None
    stages = gates.STAGES if anew else _STAGES[word]
    output = GateOutput() if as_json else Terminal()
    with started() as (settings, url):
        asked = _order(settings, url, word, **order)
        ended = asyncio.run(_stoppable(gates.gate(asked, required_statements(), output, stages)))
        print_end(ended, as_json=as_json)
        if word == "plan" and ended.plan is not None and not as_json:
            typer.echo("\n".join(planned(ended.plan)))
    raise typer.Exit(int(ended.verdict))


async def _stoppable(gate: Coroutine[Any, Any, Ended]) -> Ended:
    """Let SIGTERM and Ctrl-C stop the gate between two statements, its page closed.

    This holds also where it was started with these signals ignored, as shells start background
    jobs.
    """
    task = asyncio.ensure_future(gate)
    with suppress(NotImplementedError):  # Windows has no such handlers
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


def _order(settings: Settings, url: str, word: str, **order: Any) -> Order:
    """Return an order from the settings; ``url`` is how the service connects."""
    return Order(
        url=gate_url(settings, url),
        service_url=url,
        word=word,
        stall_budget=settings.stall_budget,
        wall_clock=settings.release_wall_clock,
        connect_patience=settings.connect_patience,
        patience=settings.release_patience,
        soak_seconds=settings.soak_hours * 3_600,
        small_seconds=settings.small_release_seconds,
        quiet_seconds=settings.contract_quiet_minutes * 60,
        harmless_sessions=settings.harmless_sessions,
        production=settings.environment == "production",
        **{**order, "new": order.get("new", False) or settings.new_database},
    )
