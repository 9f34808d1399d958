"""What the routes share: strict JSON bodies, the write's transaction, and answers from bytes."""

import json
from collections.abc import Callable, Collection, Coroutine, Sequence
from typing import Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic_core import from_json
from starlette.types import Scope

from app.database.database import Database
from app.entities import discovered
from app.errors import BodyTooLarge, UnsupportedMediaType
from app.model.entity import Row
from app.model.schemas import unknown_members
from app.store.writer import Writer

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]
# What proxies take without complaint.
_IGNORED_NAMES: Final = 50
_IGNORED_LENGTH: Final = 2_000
JSON_TYPE: Final = "application/json"


class JsonRequest(Request):
    """A request whose body is bounded in size and parsed strictly: no NaN, no lone surrogates, no
    bottomless nesting."""

    _read: bytes | None = None

    async def body(self) -> bytes:
        """Read the body. Raises BodyTooLarge as soon as it is known to be."""
        if self._read is None:
            limit = self.app.state.settings.max_body_bytes
            declared = self.headers.get("content-length", "")
            chunks, size = [], int(declared) if declared.isdecimal() else 0
            if size <= limit:
                size = 0
                async for chunk in self.stream():
                    chunks.append(chunk)
                    size += len(chunk)
                    if size > limit:
                        break
            if size > limit:
                raise BodyTooLarge(f"Send at most {limit} bytes.")
            self._read = b"".join(chunks)
        return self._read

    async def json(self) -> Any:
        """Parse the body. Raises JSONDecodeError, which is answered with a 400."""
        try:
            return from_json(await self.body(), allow_inf_nan=False)
        except ValueError as broken:
            raise json.JSONDecodeError(str(broken), "", 0) from None


class JsonRoute(APIRoute):
    """A route whose body must be declared as JSON, or not be declared at all."""

    def get_route_handler(self) -> Endpoint:
        """Wrap FastAPI's handler so that it parses the body strictly."""
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            if request.method == "DELETE":
                # fetch() declares a plain string as text; no other method would be preflighted.
                _declare_json(request.scope)
            strict = JsonRequest(request.scope, request.receive)
            refuse_undeclared(strict, await strict.body())
            return await handle(strict)

        return strictly


def refuse_undeclared(request: Request, body: bytes) -> None:
    """Raise UnsupportedMediaType for a body that says that it is something else than JSON."""
    declared = request.headers.get("content-type", JSON_TYPE).partition(";")[0].strip()
    if body and not declared.lower().endswith(("/json", "+json")):
        raise UnsupportedMediaType(f"Send the body as {JSON_TYPE}, not {declared[:100]!r}.")


def _declare_json(scope: Scope) -> None:
    others = [header for header in scope["headers"] if header[0] != b"content-type"]
    scope["headers"] = [*others, (b"content-type", JSON_TYPE.encode())]


def database(request: Request) -> Database:
    """Give the application's database."""
    found: Database = request.app.state.database
    return found


def writer(request: Request) -> Writer:
    """Give what runs the application's writes."""
    found: Writer = request.app.state.writer
    return found


def answer(
    body: bytes,
    *,
    status: int = 200,
    request_body: BaseModel | None = None,
    read_as_well: Collection[str] = (),
    etag: str = "",
) -> Response:
    """Give JSON bytes as the response, naming the members of the request that were ignored.

    ``read_as_well`` are members that the body's shape does not take but that were not ignored.
    """
    response = Response(body, status, media_type=JSON_TYPE)
    if etag:
        response.headers["etag"] = etag
    unknown = unknown_members(request_body) if request_body is not None else []
    name_ignored(response, [name for name in unknown if name not in read_as_well])
    return response


def name_ignored(response: Response, names: Sequence[str]) -> None:
    """Name members that were ignored in the response, if there are any."""
    if names:
        quoted = ", ".join(quote(name[:100], safe="") for name in names[:_IGNORED_NAMES])
        whole = quoted if len(quoted) <= _IGNORED_LENGTH else quoted[:_IGNORED_LENGTH] + "..."
        response.headers["x-ignored-fields"] = whole


def request_id(request: Request) -> str | None:
    """Give the id that the request log uses for this request."""
    found: str | None = request.scope.get("state", {}).get("request_id")
    return found


def path_parameter(name: str, description: str) -> dict[str, Any]:
    """Document a path parameter that a hot read takes itself."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string", "minLength": 1},
    }


def maybe_parameter(name: str, place: str, description: str, **schema: Any) -> dict[str, Any]:
    """Document what an endpoint takes itself from the query or the headers, if it is there.

    ``schema`` says more of what the text must be like.
    """
    return {
        "name": name,
        "in": place,
        "required": False,
        "description": description,
        "schema": {"type": "string", **schema},
    }


def entity_routers(under: str, add: Callable[[APIRouter, type[Row], str], None]) -> list[APIRouter]:
    """Give a router for every entity type under its collection, and under its other mounts.

    ``add`` puts the routes into it, which begin with ``under``; it is told the type and the name
    for its operations.
    """
    made = []
    for entity in discovered().values():
        for mount in (entity.collection, *entity.path_aliases):
            noun = entity.noun if mount == entity.collection else f"{entity.noun} ({mount})"
            router = APIRouter(prefix=f"/{mount}{under}", tags=[noun], route_class=JsonRoute)
            add(router, entity, mount.replace("-", "_"))
            made.append(router)
    return made
