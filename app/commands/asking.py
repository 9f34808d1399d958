"""Asks the database something beside the gate, and says plainly what went wrong."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

import typer

from app.errors import SignalbookError
from app.releases.failure import stopped
from app.releases.verdict import Stopped, Verdict
from app.settings import Settings
from app.terminal import say, started

Answer = TypeVar("Answer")


def answered(question: Callable[[Settings, str], Coroutine[Any, Any, Answer]]) -> Answer:
    """Return the answer; exit with the verdict where there is none."""
    with started() as (settings, url):
        try:
            return asyncio.run(question(settings, url))
        except Exception as error:
            if (verdict := _verdict(error)) is None:
                raise
            _refuse(verdict)


def _verdict(error: Exception) -> Stopped | None:
    """Return the verdict on an error that somebody foresaw, None for any other."""
    verdict = stopped(error)
    if verdict is None and isinstance(error, SignalbookError):
        return Stopped(Verdict.REFUSED, error.message)
    return verdict


def _refuse(verdict: Stopped) -> NoReturn:
    say(f"signalbook: {verdict.words}")
    raise typer.Exit(int(verdict.verdict))
