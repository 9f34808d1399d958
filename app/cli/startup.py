"""What every command starts with: settings, a database, and words for expected errors."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn, TypeVar

import typer

from app import json_lines, logs
from app.database import embedded as postgres
from app.database.embedded_home import EmbeddedPostgresError
from app.database.url import BadDatabaseUrl, DatabaseUrl
from app.errors import Busy, DatabaseAway, SignalbookError
from app.releases.apply.error_verdicts import stopped
from app.releases.verdict import MigrationError, Stopped, Verdict
from app.settings import BadSettings, Settings, load_settings


class BadShow(Exception):
    """A file is not a show; the text names the row and the member."""


Answer = TypeVar("Answer")
EXPECTED: Final = (
    BadSettings, SignalbookError, EmbeddedPostgresError, MigrationError, BadShow, BadDatabaseUrl,
)  # fmt: skip
_VERDICTS: Final[dict[type[SignalbookError], Verdict]] = {
    DatabaseAway: Verdict.UNREACHABLE,
    Busy: Verdict.CONTENDED,
}


def say(words: str, level: int = logging.INFO) -> None:
    """Print words on standard error; where a machine reads that, as a line of the log."""
    if json_lines.is_capturing():
        json_lines.SERVICE.log(level, words)
    else:
        typer.echo(words, err=True)


def give_up(words: object, code: int = 1) -> NoReturn:
    """Print what went wrong and exit."""
    say(f"signalbook: {words}", logging.CRITICAL)
    raise typer.Exit(code)


@contextmanager
def started() -> Iterator[tuple[Settings, str]]:
    """Yield the settings and the database's URL; on an expected error, print it and exit."""
    try:
        settings = load_settings()
        logs.configure(settings)
        settings.refuse_without_database()
        _refuse_unusable(settings)
        with database(settings) as url:
            yield settings, url
    except BadDatabaseUrl as bad:
        give_up(bad, int(Verdict.MISCONFIGURED))
    except EXPECTED as expected:
        give_up(getattr(expected, "message", expected))


def answered(
    question: Callable[[Settings, str], Coroutine[Any, Any, Answer]],
    refuse: Callable[[Stopped], None] = lambda verdict: say(f"signalbook: {verdict.words}"),
) -> Answer:
    """Return the answer to a question outside the gate.

    On an expected error call ``refuse`` and exit with its verdict; raise any other.
    """
    with started() as (settings, url):
        try:
            return asyncio.run(question(settings, url))
        except Exception as error:
            verdict = stopped(error)
            if verdict is None and isinstance(error, SignalbookError):
                code = _VERDICTS.get(type(error), Verdict.REFUSED)
                verdict = Stopped(code, error.message)
            if verdict is None:
                raise
        refuse(verdict)
        raise typer.Exit(int(verdict.verdict))


def gate_url(settings: Settings, url: str) -> str:
    """Return the address of the server itself where a pooler stands before it."""
    unpooled = settings.database_unpooled_url
    return unpooled.get_secret_value() if unpooled else url


def service_role(settings: Settings, url: str) -> str | None:
    """Return the service's role where it is another than the gate's."""
    role = DatabaseUrl.parse(url).user
    return None if role == DatabaseUrl.parse(gate_url(settings, url)).user else role


def _refuse_unusable(settings: Settings) -> None:
    """Raise BadDatabaseUrl, which names the setting, before anything is done."""
    for name in ("database_url", "database_unpooled_url"):
        if secret := getattr(settings, name):
            DatabaseUrl.from_setting(secret.get_secret_value(), name.upper())


@contextmanager
def database(settings: Settings) -> Iterator[str]:
    """Yield the database's URL; without one, run the embedded PostgreSQL meanwhile."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    with postgres.start(settings.data_dir / "postgres", say=say) as embedded:
        yield embedded.url
