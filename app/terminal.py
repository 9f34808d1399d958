"""What every command of the command line shares: settings, a database, and plain words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

import typer

from app import logs, postgres, show
from app.database_url import BadDatabaseUrl
from app.errors import SignalbookError
from app.releases.session import MigrationError
from app.settings import BadSettings, Settings, load_settings

_EXPECTED: Final = (
    BadSettings, BadDatabaseUrl, SignalbookError, show.BadShow, postgres.EmbeddedPostgresError,
    MigrationError,
)  # fmt: skip


def say(words: str) -> None:
    """Tell the person at the terminal what is going on."""
    typer.echo(words, err=True)


def give_up(words: object) -> NoReturn:
    """Say what went wrong and exit with 1."""
    say(f"signalbook: {words}")
    raise typer.Exit(1)


@contextmanager
def started() -> Iterator[tuple[Settings, str]]:
    """Read the settings and reach for the database; say plainly what went wrong."""
    try:
        settings = load_settings()
        logs.configure(settings)
        settings.refuse_without_database()
        with _database(settings) as url:
            yield settings, url
    except _EXPECTED as expected:
        give_up(getattr(expected, "message", expected))


@contextmanager
def _database(settings: Settings) -> Iterator[str]:
    """Give the database's URL; without one, run the embedded PostgreSQL meanwhile."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    with postgres.start(settings.data_dir / "postgres", say=say) as embedded:
        yield embedded.url
