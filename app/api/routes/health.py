"""The routes of health: for the platform, for the frontend, and for people."""

import socket
import time
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from app import VERSION
from app.api.dependencies import CheckupDep, ListenerDep, SettingsDep
from app.api.problem_schemas import problems
from app.errors import MethodNotAllowed
from app.timestamps import wire_moment

router: Final = APIRouter(tags=["Health"], responses=problems([MethodNotAllowed]))
_STARTED: Final = time.monotonic()


class DatabaseHealth(BaseModel):
    """Whether the database answers, and how long it took."""

    connected: bool
    """Whether the database answers."""
    latencyMs: float | None
    """How long its answer took, in milliseconds; null without one."""


class SchemaHealth(BaseModel):
    """Which migration the database is at, beside the newest one this version has."""

    revision: str | None
    """The migration that the database is at; null where none can be told."""
    head: str
    """The newest migration that this version has."""
    state: str
    """How the two compare: "head", "ready", "ahead", "behind", "unmigrated", "unclear" or
    "unknown".
    """


class LiveHealth(BaseModel):
    """Whether this process hears of others' writes. Without it, push is late but loses nothing."""

    listening: bool
    """Whether this process hears at once what others write."""


class HealthReport(BaseModel):
    """``resources`` says "ok" for each collection, or what is wrong with its table.

    ``cause`` is the first thing that is wrong, null where the service is healthy. ``notes`` name
    what is not as it should be and is no reason to send nobody here.
    """

    status: str
    """"healthy", or "unhealthy" with a 503."""
    timestamp: str
    """When this was said, in UTC."""
    uptime: float
    """Seconds since the process started."""
    version: str
    """The version of the program."""
    environment: str
    """"development", "test" or "production"."""
    database: DatabaseHealth
    """Whether the database answers."""
    schema_: SchemaHealth = Field(alias="schema")
    """How far the migrations of the database are."""
    resources: dict[str, str]
    """For each collection "ok", or what is wrong with its table."""
    cause: str | None
    """The first thing that is wrong; null where nothing is."""
    notes: list[str]
    """What is not as it should be and stops nobody."""
    live: LiveHealth
    """Whether changes are pushed at once."""


class Alive(BaseModel):
    """The process answers."""

    status: str
    """"alive", or what the route says of the service."""
    timestamp: str
    """When this was said, in UTC."""
    server: str
    """The name of this server (SERVER_NAME)."""
    version: str
    """The version of the program."""


class Reachable(Alive):
    """Whether a page may begin: ``status`` is "ok", or "unavailable" with the cause."""

    message: str | None = None
    """Why it is not available, if it is not."""


class ServerInfo(BaseModel):
    """Where this server can be reached."""

    serverName: str
    """The name of this server (SERVER_NAME)."""
    port: int
    """The port that it listens on."""
    addresses: list[str]
    """The addresses that it can be reached at."""
    isLANServer: bool
    """Whether other machines can reach it."""
    uptime: float
    """Seconds since the process started."""


def _uptime() -> float:
    return round(time.monotonic() - _STARTED, 3)


@router.get("/health", operation_id="get_health", summary="Tell whether the service can serve",
            responses={200: {"model": HealthReport}, 503: {"model": HealthReport}})  # fmt: skip
async def health(settings: SettingsDep, checkup: CheckupDep, listener: ListenerDep) -> Response:
    """Answer 200 only when the service can really serve, otherwise 503 with the ``cause``.

    The database answers, its schema is what this version needs, every collection's own statements
    can be planned, a write is accepted, and requests do not fail for reasons of the database.
    """
    report = await checkup()
    body: dict[str, Any] = {
        "status": "healthy" if report.healthy else "unhealthy",
        "timestamp": wire_moment(datetime.now(UTC)),
        "uptime": _uptime(),
        "version": VERSION,
        "environment": settings.environment,
        "database": {"connected": report.connected, "latencyMs": report.latency_ms},
        "schema": {"revision": report.revision, "head": report.head, "state": report.state},
        "resources": report.resources,
        "cause": report.cause,
        "notes": list(report.notes),
        "live": {"listening": listener.listening.is_set()},
    }
    return JSONResponse(body, 200 if report.healthy else 503, {"cache-control": "no-store"})


@router.get("/livez", operation_id="get_liveness", summary="Tell whether the process answers")
async def livez() -> Alive:
    """Answer for the process alone: 200 also while the database is away."""
    return _alive("alive", "signalbook")


@router.get("/api/health", operation_id="get_api_health", summary="Tell a page whether to begin",
            responses={200: {"model": Reachable}, 503: {"model": Reachable}})  # fmt: skip
async def api_health(settings: SettingsDep, checkup: CheckupDep) -> Response:
    """Answer 200 where `/health` does, otherwise 503 with the cause as `message`.

    The frontend waits for it before it fetches anything.
    """
    report = await checkup()
    body = _alive("ok" if report.healthy else "unavailable", settings.server_name)
    members = body.model_dump() | ({} if report.healthy else {"message": report.cause})
    return JSONResponse(members, 200 if report.healthy else 503, {"cache-control": "no-store"})


def _alive(status: str, server: str) -> Alive:
    now = wire_moment(datetime.now(UTC))
    return Alive(status=status, timestamp=now, server=server, version=VERSION)


@router.get("/api/server/info", operation_id="get_server_info",
            summary="Tell where the server can be reached")  # fmt: skip
async def server_info(settings: SettingsDep) -> ServerInfo:
    """Return where this server can be reached, for a frontend opened on another machine."""
    everywhere = settings.host in {"0.0.0.0", "::"}  # noqa: S104  # compared with, not bound to
    addresses = [socket.gethostname() if everywhere else settings.host]
    return ServerInfo(
        serverName=settings.server_name, port=settings.port, addresses=addresses,
        isLANServer=settings.beyond_loopback, uptime=_uptime(),
    )  # fmt: skip
