"""Runs a question to the database outside the gate, with a verdict where it fails."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import typer

from app.cli.startup import say, started
from app.errors import Busy, DatabaseAway, SignalbookError
from app.releases.apply.error_verdicts import stopped
from app.releases.verdict import Stopped, Verdict
from app.settings import Settings

Answer = TypeVar("Answer")
_KINDS: Final[dict[type[SignalbookError], Verdict]] = {
    DatabaseAway: Verdict.UNREACHABLE,
    Busy: Verdict.CONTENDED,
}


def answered(
    question: Callable[[Settings, str], Coroutine[Any, Any, Answer]],
    refuse: Callable[[Stopped], None] = lambda verdict: say(f"signalbook: {verdict.words}"),
) -> Answer:
    """Return the answer; on an expected error, call ``refuse`` and exit with its verdict.

    Raise any other error.
    """
    with started() as (settings, url):
        try:
            return asyncio.run(question(settings, url))
        except Exception as error:
            if (verdict := _verdict(error)) is None:
                raise
        refuse(verdict)
        raise typer.Exit(int(verdict.verdict))


def _verdict(error: Exception) -> Stopped | None:
    """Return the verdict on an expected error, None for any other."""
    verdict = stopped(error)
    if verdict is None and isinstance(error, SignalbookError):
        return Stopped(_KINDS.get(type(error), Verdict.REFUSED), error.message)
    return verdict
