"""What endpoints take by ``Depends``: the application's services, and parts of the request.

Each is an async function of the request alone, so that FastAPI calls it without a thread and the
fast path can call it as well. They run with every request, so they ask the scope itself.
"""

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import Depends, Path, Query, Request

from app.access.caller import Caller, Role
from app.access.client_address import address_of
from app.access.credentials import Credentials
from app.access.sender import Sender
from app.api.idempotent import IdempotentWriter
from app.api.permissions import caller_of, find_production, role_of, shows_of, still_sees
from app.api.responses import header
from app.database.database import Database
from app.database.url import DatabaseUrl
from app.entities import by_path, root
from app.health.check import Checkup
from app.live.feed.hub import Hub
from app.live.feed.listener import Listener
from app.live.sse.event_stream import EventStreams
from app.model.fields import NO_NUL
from app.model.schemas import known_uuid
from app.settings import Settings
from app.shows.diagrams import DiagramReader
from app.shows.signal_reading import SignalReader
from app.store.many_writes import find_in_show
from app.store.writer import Writer

Dependency = Callable[[Request], Coroutine[Any, Any, Any]]
StillSees = Callable[[UUID], Awaitable[bool]]
FindProduction = Callable[[str | None], Awaitable[str | None]]


def _service(name: str) -> Dependency:
    """Return a dependency on what ``app.main`` keeps in the application's state."""

    async def service(request: Request) -> Any:
        return getattr(request.scope["app"].state, name)

    return service


SettingsDep = Annotated[Settings, Depends(_service("settings"))]
DatabaseDep = Annotated[Database, Depends(_service("database"))]
DatabaseUrlDep = Annotated[DatabaseUrl, Depends(_service("url"))]
CheckupDep = Annotated[Checkup, Depends(_service("checkup"))]
CredentialsDep = Annotated[Credentials, Depends(_service("credentials"))]
HubDep = Annotated[Hub, Depends(_service("hub"))]
ListenerDep = Annotated[Listener, Depends(_service("listener"))]
DiagramsDep = Annotated[DiagramReader, Depends(_service("diagrams"))]
SignalsDep = Annotated[SignalReader, Depends(_service("signals"))]
StreamsDep = Annotated[EventStreams, Depends(_service("event_streams"))]


async def _writer(request: Request) -> Writer:
    writer, shows = request.scope["app"].state.writer, shows_of(caller_of(request))
    return cast("Writer", writer if shows is None else writer.limited_to(shows))


async def _idempotent_writer(request: Request) -> IdempotentWriter:
    return IdempotentWriter(request, await _writer(request))


async def _sees_secrets(request: Request) -> bool:
    return role_of(request) >= Role.EDITOR


async def _body_production(request: Request) -> FindProduction:
    return partial(find_production, request)


async def _sender(request: Request) -> Sender:
    state = request.scope["state"]
    return Sender(state["caller"], state.get("request_id"), address_of(request.scope))


async def _caller(request: Request) -> Caller:
    return caller_of(request)


async def _still_sees(request: Request) -> StillSees:
    return partial(still_sees, request)


async def _url_path(request: Request) -> str:
    return request.url.path


def _header(name: bytes) -> Dependency:
    async def value(request: Request) -> bytes:
        return header(request.scope, name)

    return value


async def _row_key(request: Request) -> str:
    """Return the path's key; where ``?production=`` names its show, the uuid of that show's row."""
    scope = request.scope
    key: str = scope["path_params"].get("key", "")
    if b"production=" not in scope["query_string"] or known_uuid(key):
        return key
    production = request.query_params.get("production", "")
    entity = by_path().get(scope["path"].split("/")[2])
    if not production or entity is None or entity is root():
        return key
    return str(await find_in_show(scope["app"].state.database, entity, production, key))


def _path_part(name: str) -> Dependency:
    async def part(request: Request) -> Any:
        return request.scope["path_params"].get(name, "")

    return part


WriterDep = Annotated[Writer, Depends(_writer)]
IdempotentWriterDep = Annotated[IdempotentWriter, Depends(_idempotent_writer)]
SenderDep = Annotated[Sender, Depends(_sender)]
CallerDep = Annotated[Caller, Depends(_caller)]
FindProductionDep = Annotated[FindProduction, Depends(_body_production)]
"""Finds the production that a body names, for who may write there."""
StillSeesDep = Annotated[StillSees, Depends(_still_sees)]
"""Asks anew whether the caller sees a production, while an answer is being sent."""
SeesSecretsDep = Annotated[bool, Depends(_sees_secrets)]
"""Whether the caller may edit, and so sees what only editors see."""
UrlPathDep = Annotated[str, Depends(_url_path)]
IfMatchDep = Annotated[bytes, Depends(_header(b"if-match"))]
IfNoneMatchDep = Annotated[bytes, Depends(_header(b"if-none-match"))]
# The reads' own: their routes document the parameter, and refuse no key as invalid.
KeyDep = Annotated[str, Depends(_row_key)]
ProductionDep = Annotated[str, Depends(_path_part("production"))]

ProductionKey = Annotated[str, Path(pattern=NO_NUL, description="The production's uuid or label.")]
Limit = Annotated[int, Query(ge=1, le=1_000, description="How many at most.")]
