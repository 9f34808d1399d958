"""A shortcut to the routes that are asked most: found by one look-up, called without FastAPI.

To match a path against every route in turn and to solve an endpoint's parameters costs FastAPI
more than a statement takes. docs/decisions/0024-one-fast-path.md has the measurements.
The routes are ordinary ones: without this layer the same requests get the same answers.
"""

from collections.abc import Iterable
from typing import Any, Final

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.error_responses import answer_error, answer_http, answer_invalid
from app.api.json_requests import Handler, JsonRequest, declare_json, refuse_undeclared
from app.api.permissions import admit, policy_for
from app.errors import BrokenJson, SignalbookError

_MISSING: Final = {"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}


class FastRoute(APIRoute):
    """A route that ``FastPath`` may call itself. Its path has at most one parameter.

    Its endpoint takes path parameters as text, a body of JSON, and what async functions of the
    request give it, by ``Depends``. Nothing else.
    """

    def get_route_handler(self) -> Handler:
        """Return FastAPI's handler, held to the same answers as ``direct_handler``."""
        handle, policy = super().get_route_handler(), policy_for(self)

        async def read(request: Request) -> Response:
            # The router lets a path end in a line break. Such a path names nothing to read.
            if request.scope["path"].endswith("\n") and not self.path.endswith("}"):
                raise HTTPException(404)
            await admit(request, policy)
            return await handle(request)

        async def write(request: Request) -> Response:
            await admit(request, policy)
            strict = JsonRequest(request.scope, request.receive)
            await _read_json(strict)
            # What may be declared otherwise, such as text/json, FastAPI would not parse.
            declare_json(strict.scope)
            return await handle(strict)

        return write if self.body_field else read

    def direct_handler(self) -> Handler:
        """Return a handler that does the same without FastAPI's way of solving parameters."""
        endpoint, dependant, body_field = self.endpoint, self.dependant, self.body_field
        policy = policy_for(self)
        assert not [*dependant.query_params, *dependant.header_params, *dependant.cookie_params]
        assert all(field.field_info.annotation is str for field in dependant.path_params)
        assert all(use.name and not use.dependencies for use in dependant.dependencies)
        parameters = [field.name for field in dependant.path_params]
        dependencies: list[tuple[str, Any]] = [
            (str(use.name), use.call) for use in dependant.dependencies
        ]

        async def handle(request: Request) -> Response:
            await admit(request, policy)
            values: dict[str, Any] = {}
            for name in parameters:
                values[name] = request.scope["path_params"][name]
            parsed = await _read_json(request) if body_field else None
            for name, dependency in dependencies:
                values[name] = await dependency(request)
            if body_field:
                if not await request.body():
                    raise RequestValidationError([_MISSING])
                values[body_field.name], errors = body_field.validate(parsed, loc=("body",))
                if errors:
                    raise RequestValidationError(errors)
            response: Response = await endpoint(**values)
            return response

        return handle


async def _read_json(request: Request) -> Any:
    """Return the parsed body, if any. Raises BodyTooLarge, UnsupportedMediaType, BrokenJson."""
    body = await request.body()
    refuse_undeclared(request.scope, body)
    try:
        return await request.json() if body else None
    except ValueError as error:
        raise BrokenJson(f"The body is not JSON: {error}.") from None


class FastPath:
    """Answers requests to the fast ``routes``, and hands everything else on."""

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self.app = app
        # By method and path; by method, and path before and after the parameter.
        self._fixed: dict[tuple[str, str], tuple[FastRoute, Handler]] = {}
        self._keyed: dict[tuple[str, str, str], tuple[str, FastRoute, Handler]] = {}
        for route in routes:
            if isinstance(route, FastRoute):
                path, handler = route.path, route.direct_handler()
                before, opening, rest = path.partition("/{")
                name, _, ending = rest.partition("}")
                for method in route.methods or ():
                    if opening:
                        self._keyed[method, before, ending.removeprefix("/")] = name, route, handler
                    else:
                        self._fixed[method, path] = route, handler
        self._endings = {ending for _, _, ending in self._keyed if ending}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand the request on."""
        call = self._find(scope) if scope["type"] == "http" else None
        if call is None:
            await self.app(scope, receive, send)
            return
        scope["route"], handler, scope["path_params"] = call
        request = JsonRequest(scope, receive, send)
        try:
            response = await handler(request)
        except SignalbookError as error:
            response = await answer_error(request, error)
        except RequestValidationError as error:
            response = await answer_invalid(request, error)
        except HTTPException as error:
            response = await answer_http(request, error)
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> tuple[FastRoute, Handler, dict[str, str]] | None:
        """Return the route of the path, who answers, and the parameters."""
        method, path = scope["method"], scope["path"]
        if fixed := self._fixed.get((method, path)):
            return *fixed, {}
        before, _, key = path.rpartition("/")
        ending = ""
        if key in self._endings and (method, before, "") not in self._keyed:
            ending = key
            before, _, key = before.rpartition("/")
        if key and (keyed := self._keyed.get((method, before, ending))):
            name, route, handler = keyed
            return route, handler, {name: key}
        return None
