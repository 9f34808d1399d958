"""What the routes share: strict JSON bodies, the write's transaction, and answers from bytes."""

import json
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic_core import from_json
from starlette.types import Scope

from app.db import Connection, Database
from app.errors import BodyTooLarge, UnsupportedMediaType
from app.shapes import unknown_members

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
            declared = request.headers.get("content-type", JSON_TYPE).partition(";")[0].strip()
            if await strict.body() and not declared.lower().endswith(("/json", "+json")):
                raise UnsupportedMediaType(f"Send the body as {JSON_TYPE}, not {declared[:100]!r}.")
            return await handle(strict)

        return strictly


def _declare_json(scope: Scope) -> None:
    others = [header for header in scope["headers"] if header[0] != b"content-type"]
    scope["headers"] = [*others, (b"content-type", JSON_TYPE.encode())]


def database(request: Request) -> Database:
    """Give the application's database."""
    found: Database = request.app.state.database
    return found


async def transaction(request: Request) -> AsyncIterator[Connection]:
    """Lend a transaction that commits before the response leaves, or not at all."""
    async with database(request).transaction() as connection:
        yield connection


WriteDep = Annotated[Connection, Depends(transaction, scope="function")]


def answer(
    body: bytes,
    *,
    status: int = 200,
    request_body: BaseModel | None = None,
    read_as_well: Collection[str] = (),
) -> Response:
    """Give JSON bytes as the response, naming the members of the request that were ignored.

    ``read_as_well`` are members that the body's shape does not take but that were not ignored.
    """
    response = Response(body, status, media_type=JSON_TYPE)
    unknown = unknown_members(request_body) if request_body is not None else []
    if names := [name for name in unknown if name not in read_as_well]:
        quoted = ", ".join(quote(name[:100], safe="") for name in names[:_IGNORED_NAMES])
        whole = quoted if len(quoted) <= _IGNORED_LENGTH else quoted[:_IGNORED_LENGTH] + "..."
        response.headers["x-ignored-fields"] = whole
    return response


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
