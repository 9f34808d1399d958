"""JSON requests: bounded in size, strictly parsed, and declared as JSON."""

import asyncio
import json
from codecs import BOM_UTF8
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, Protocol

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.types import Scope

from app.access.sender import Sender
from app.api.permissions import admit, policy_for
from app.changelog.log import Actor
from app.errors import BodyTooLarge, UnsupportedMediaType
from app.rules.json_bounds import refuse_beyond_bounds, refuse_many_values
from app.rules.json_items import read_items
from app.rules.json_text import read_json
from app.store.many_writes import MOST
from app.sync import mutations

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
JSON_TYPE: Final = "application/json"
# By the last word of the path: the list whose items are read each for itself, and its most items.
_ITEMS: Final = {
    "bulk": ("operations", MOST),
    "sync": ("mutations", mutations.MAX_MUTATIONS),
}


class NamesActor(Protocol):
    """A body that may say who sent it."""

    user_id: str | None
    user_name: str | None
    last_modified_by: str | None


def actor_in(body: NamesActor, sender: Sender) -> Actor:
    """Return who a request's writes are attributed to."""
    return sender.actor(body.user_id, body.user_name, body.last_modified_by)


class JsonRequest(Request):
    """A request with a bounded body of strict JSON: no NaN, lone surrogate or endless nesting."""

    _bytes: bytes | None = None
    _parsed: tuple[Any, str] | None = None

    async def body(self) -> bytes:
        """Read the body. Raises BodyTooLarge as soon as the limit is passed."""
        if self._bytes is None:
            limit = self.app.state.settings.max_body_bytes
            # Not ``self.headers``, which would keep the headers as they are now.
            declared = Headers(scope=self.scope).get("content-length", "")
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
            self._bytes = b"".join(chunks)
        return self._bytes

    async def json(self) -> Any:
        """Parse the body. Raises BodyTooLarge and Invalid for more than it may hold.

        Raises JSONDecodeError, which is answered with a 400. Of a batch each item that cannot be
        parsed becomes an ``Unreadable``.
        """
        if self._parsed is None:
            body = await self.body()
            refuse_many_values(body)
            items = _ITEMS.get(self.scope["path"].rpartition("/")[2])
            parsed, reason = await self._parse(body, items)
            refuse_beyond_bounds(parsed, but=items[0] if items else "")
            self._parsed = parsed, reason
        parsed, reason = self._parsed
        if reason:
            raise json.JSONDecodeError(reason, "", 0)
        return parsed

    async def _parse(self, body: bytes, items: tuple[str, int] | None) -> tuple[Any, str]:
        """Return what the body says, or why it is not JSON."""
        try:
            return read_json(body), ""
        except ValueError as error:
            reason = str(error)
        if items and json.detect_encoding(body).startswith("utf-8"):
            try:
                # In a thread: Python reads what no parser does, and others are answered meanwhile.
                content = body.removeprefix(BOM_UTF8)
                return await asyncio.to_thread(read_items, content, *items), ""
            except ValueError as error:
                reason = str(error)
        return None, reason


class JsonRoute(APIRoute):
    """A route whose body must be declared as JSON, or not be declared at all."""

    def get_route_handler(self) -> Handler:
        """Wrap FastAPI's handler so that it parses the body strictly."""
        handle, policy = super().get_route_handler(), policy_for(self)

        async def handle_strictly(request: Request) -> Response:
            await admit(request, policy)
            if request.method == "DELETE":
                # fetch() declares a plain string as text; no other method would be preflighted.
                declare_json(request.scope)
            strict = JsonRequest(request.scope, request.receive)
            body = await strict.body()
            refuse_undeclared(request.scope, body)
            if body and self.body_field:
                # FastAPI would answer any error of ours with a 400, but for this one.
                with suppress(json.JSONDecodeError):
                    await strict.json()
            return await handle(strict)

        return handle_strictly


def refuse_undeclared(scope: Scope, body: bytes) -> None:
    """Raise UnsupportedMediaType for a body that is declared as something else than JSON."""
    if not body:
        return
    declared = Headers(scope=scope).get("content-type", JSON_TYPE).partition(";")[0].strip()
    if not declared.lower().endswith(("/json", "+json")):
        raise UnsupportedMediaType(f"Send the body as {JSON_TYPE}, not {declared[:100]!r}.")


def declare_json(scope: Scope) -> None:
    """Replace the declared type of the body by JSON's."""
    others = [header for header in scope["headers"] if header[0] != b"content-type"]
    scope["headers"] = [*others, (b"content-type", JSON_TYPE.encode())]
