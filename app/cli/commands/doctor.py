"""``python -m app doctor``: what is wrong with this installation, and what mends it."""

import asyncio
import json
import os
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
import typer

from app.cli.load_show import opened
from app.cli.startup import EXPECTED, database, gate_url
from app.database.embedded_home import existing_homes
from app.health import check
from app.releases.rehearsal.copies import find_programs
from app.releases.schema.scratch_database import refuse_without_right
from app.releases.status.status import status
from app.releases.verdict import Stopped
from app.server import listen
from app.settings import BadSettings, Settings, load_settings

_WIDTH: Final = 12
_LEAST: Final = 0.5
"""GB that an embedded PostgreSQL needs for a start: a new cluster has 40 MB, its log files more."""


@dataclass(frozen=True)
class Diagnosis:
    """What was looked at, whether it is well, and in words how it is or what mends it."""

    subject: str
    is_well: bool
    words: str


def run(*, as_json: bool) -> None:
    """Print a line for each part of the installation; exit with 1 where one is not well."""
    diagnoses = list(_examined())
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in diagnoses]))
    else:
        for each in diagnoses:
            mark = "ok" if each.is_well else "!!"
            typer.echo(f"{mark} {each.subject:<{_WIDTH}}{each.words}")
    if not all(each.is_well for each in diagnoses):
        raise typer.Exit(1)


def _examined() -> Iterator[Diagnosis]:
    """Yield what is found, part by part; later parts need those before them."""
    try:
        settings = load_settings()
    except EXPECTED as wrong:
        yield Diagnosis("settings", is_well=False, words=_words(wrong))
        return
    yield Diagnosis("settings", is_well=True, words=f"read; {settings.environment}")
    yield _diagnose("door", lambda: _door(settings))
    if settings.missing_names:
        yield Diagnosis("names", is_well=False, words=settings.missing_names)
    yield from _tokens(settings)
    yield _diagnose("port", lambda: _port(settings))
    if settings.database_url is None:
        yield _diagnose("folder", lambda: _folder(settings))
    if settings.database_url is None and not _has_cluster(settings):
        words = "there is none yet: scripts/serve makes it, with the sample show"
        yield Diagnosis("database", is_well=False, words=words)
        return
    try:
        settings.refuse_without_database()
        with database(settings) as url:
            yield from asyncio.run(_of_database(settings, url))
    except EXPECTED as wrong:
        yield Diagnosis("database", is_well=False, words=_words(wrong))


def _diagnose(subject: str, look: Callable[[], str]) -> Diagnosis:
    try:
        return Diagnosis(subject, is_well=True, words=look())
    except EXPECTED as wrong:
        return Diagnosis(subject, is_well=False, words=_words(wrong))


def _words(error: Exception) -> str:
    return str(getattr(error, "message", getattr(error, "words", error)))


def _door(settings: Settings) -> str:
    settings.refuse_exposed()
    if not settings.beyond_loopback:
        return "only this machine can reach the service"
    if settings.anonymous != "none":
        return f"whoever reaches the service without a token is {settings.anonymous}"
    return "other machines need an access token"


def _tokens(settings: Settings) -> Iterator[Diagnosis]:
    """Say what a production without an operator's token of its own means."""
    if settings.environment == "production" and not settings.operator_token:
        words = "no OPERATOR_TOKEN is set: python -m app token create --role operator makes another"
        yield Diagnosis("note", is_well=True, words=words)


def _port(settings: Settings) -> str:
    try:
        with listen(settings) as listener:
            return f"{settings.host} port {listener.getsockname()[1]} is free"
    except BadSettings:
        if _is_ours(settings):
            return f"port {settings.port} is where Signalbook serves now"
        raise


def _is_ours(settings: Settings) -> bool:
    """Whether this service answers on the port already."""
    local = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  # asked, not bound
    host = local.get(settings.host, settings.host)
    try:
        alive = httpx.get(f"http://{host}:{settings.port}/livez", timeout=2, trust_env=False)
        return bool(alive.json()["server"] == "signalbook")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError):
        return False


def _folder(settings: Settings) -> str:
    """Say where the embedded PostgreSQL keeps its data; its start tells a folder that is shut."""
    there = next(each for each in (settings.data_dir, *settings.data_dir.parents) if each.exists())
    free = os.statvfs(there).f_bavail * os.statvfs(there).f_frsize / 1e9
    if not os.access(there, os.W_OK) or free < _LEAST:
        raise BadSettings(
            f"{there} takes no database ({free:.1f} GB are free, {_LEAST} are needed, and it must "
            "be writable): set DATA_DIR to another folder."
        )
    return f"DATA_DIR is {Path(settings.data_dir)}, {free:.0f} GB are free"


def _has_cluster(settings: Settings) -> bool:
    """Whether an embedded PostgreSQL was made before; production never makes one."""
    homes = existing_homes(settings.data_dir / "postgres")
    return settings.environment == "production" or any(
        (home.data / "PG_VERSION").exists() for home in homes
    )


async def _of_database(settings: Settings, url: str) -> list[Diagnosis]:
    async with opened(settings, url) as pool:
        health = await check.examine(pool, settings.health_timeout)
    if not health.connected:
        return [Diagnosis("database", is_well=False, words=str(health.cause))]
    faults = dict.fromkeys(word for word in health.resources.values() if word != "ok")
    service = "; ".join(faults) or health.cause or "can serve"
    return [
        Diagnosis("database", is_well=True, words=f"answers in {health.latency_ms} ms"),
        Diagnosis("service", is_well=health.healthy, words=service),
        *(Diagnosis("note", is_well=True, words=note) for note in health.notes),
        await _with_faults("release", _release(settings, url, health)),
        await _with_faults("rehearsal", _rehearsal(settings, url)),
    ]


async def _with_faults(subject: str, diagnosis: Coroutine[Any, Any, Diagnosis]) -> Diagnosis:
    """Return a diagnosis, or what kept it from being made."""
    try:
        return await diagnosis
    except (*EXPECTED, Stopped, asyncpg.PostgresError, OSError) as wrong:
        return Diagnosis(subject, is_well=False, words=_words(wrong))


async def _release(settings: Settings, url: str, health: check.Health) -> Diagnosis:
    """Say what the release gate would have done next: no fault while the service can serve."""
    following = (await status(gate_url(settings, url), within=5.0))["nextCommand"]
    command = following["command"]
    words = f"{following['words']}{f' Run: {command}' if command else ''}"
    return Diagnosis("release", is_well=command is None or health.healthy, words=words)


async def _rehearsal(settings: Settings, url: str) -> Diagnosis:
    """Say whether a release could be rehearsed here: it needs PostgreSQL's own programs."""
    program = await find_programs(gate_url(settings, url))
    await refuse_without_right(gate_url(settings, url))
    return Diagnosis("rehearsal", is_well=True, words=f"possible with {program}")
