"""The hot writes: found by a look into a dictionary, answered before the framework has begun.

Matching a path against every route in turn costs more than a write's own work in Python. The
routes stay registered for the OpenAPI document, which their signatures describe; this layer calls
the same endpoints with what it has parsed and validated as strictly.
"""

from collections.abc import Iterable

from fastapi.exceptions import RequestValidationError
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api import errors as problems
from app.api.requests import JsonRequest, JsonRoute, refuse_undeclared
from app.errors import BrokenJson, SignalbookError

_MISSING = {"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}


class FastWriteRoute(JsonRoute):
    """Documents a write that ``HotWrites`` answers.

    Its endpoint takes ``body``, ``request`` and, where its path ends in one, ``key``.
    """


class FastWrites:
    """Answers writes to a collection, and to one of its rows."""

    def __init__(self, app: ASGIApp, prefix: str, routes: Iterable[BaseRoute]) -> None:
        self.app = app
        self._whole: dict[tuple[str, str], FastWriteRoute] = {}
        self._keyed: dict[tuple[str, str], FastWriteRoute] = {}
        for route in routes:
            if isinstance(route, FastWriteRoute):
                for method in route.methods or ():
                    path, keyed, _ = f"{prefix}{route.path}".partition("/{key}")
                    (self._keyed if keyed else self._whole)[method, path] = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on."""
        found = self._find(scope) if scope["type"] == "http" else None
        if found is None:
            await self.app(scope, receive, send)
            return
        route, scope["path_params"] = found
        request = JsonRequest(scope, receive, send)
        try:
            response = await _answered(route, request)
        except SignalbookError as error:
            response = await problems.answer_ours(request, error)
        except RequestValidationError as error:
            response = await problems.answer_invalid(request, error)
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> tuple[FastWriteRoute, dict[str, str]] | None:
        method, path = scope["method"], scope["path"]
        if route := self._whole.get((method, path)):
            return route, {}
        fixed, _, key = path.rpartition("/")
        route = self._keyed.get((method, fixed))
        return (route, {"key": key}) if route and key else None


async def _answered(route: FastWriteRoute, request: JsonRequest) -> Response:
    sent = await request.body()
    refuse_undeclared(request, sent)
    if not sent:
        raise RequestValidationError([_MISSING])
    try:
        parsed = await request.json()
    except ValueError as broken:
        raise BrokenJson(f"The body is not JSON: {broken}.") from None
    assert route.body_field is not None
    body, errors = route.body_field.validate(parsed, loc=("body",))
    if errors:
        raise RequestValidationError(errors)
    response: Response = await route.endpoint(body=body, request=request, **request.path_params)
    return response
