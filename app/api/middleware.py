"""ASGI middleware, outermost first.

Client address (``app.access``), security headers, sockets, request log, site check, CORS, who
calls, unhandled errors, HEAD, ignored members of a query. Some have modules of their own.
"""

import asyncio
import time
from collections.abc import Awaitable, Iterator
from secrets import token_hex
from typing import Final
from urllib.parse import parse_qs, parse_qsl

import structlog
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.caller import Caller, Role
from app.access.client_address import address_of
from app.access.credentials import Credentials
from app.access.policies import refusal
from app.api.access import OPEN_PATHS, OPERATOR_PATHS, is_open, refuse_remote
from app.api.error_responses import answer_error, problem_response
from app.api.frontend import is_page, sign_in_redirect
from app.api.responses import IGNORED, header, ignored_names
from app.api.site_check import SiteCheck
from app.errors import BadRequest, MethodNotAllowed, SignalbookError, Unauthorized, Unavailable
from app.health.incidents import Incidents
from app.live.sockets.sessions import SessionServer
from app.masking import masked

_log: Final = structlog.get_logger()
_ID_LENGTH: Final = 64
_VARY: Final = (b"vary", b"Origin")
_SOCKETS: Final = frozenset({"/socket.io", "/socket.io/"})
_SOCKET_METHODS: Final = "GET, OPTIONS, POST"
# Where older services took a token. Proxies log what stands in an address.
_TOKEN_NAMES: Final = frozenset({"token", "access_token", "auth", "authorization"})


class RequestLogMiddleware:
    """Puts an id on each request, returns it as ``X-Request-Id``, and logs one line at its end."""

    def __init__(self, app: ASGIApp, incidents: Incidents) -> None:
        self.app, self._incidents = app, incidents

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["path"] not in OPEN_PATHS:
            self._incidents.count_request()
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        id_header = (b"x-request-id", request_id.encode())
        start_time, status = time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], id_header]
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except asyncio.CancelledError:
            # The time to drain is over: the client can ask the next process.
            if not status:
                stopping = Unavailable("The service is stopping: try again in a moment.")
                await problem_response(stopping, scope["path"])(scope, receive, send_with_id)
            raise
        finally:
            _log.info(
                "request", method=scope["method"], path=scope["path"], status=status,
                ms=round((time.perf_counter() - start_time) * 1_000, 1), request_id=request_id,
                address=address_of(scope),
            )  # fmt: skip


def _request_id(scope: Scope) -> str:
    """Return the caller's id where it is one of letters, digits and hyphens, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            if len(value) <= _ID_LENGTH and value.replace(b"-", b"").isalnum():
                own = str(value, "ascii")
                if own == masked(own):
                    return own
            break
    return token_hex(16)


class CorsMiddleware(CORSMiddleware):
    """Starlette's, but with nothing to do for a request that names no origin."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or any(name == b"origin" for name, _ in scope["headers"]):
            await super().__call__(scope, receive, send)
            return

        async def send_with_vary(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], _VARY]
            await send(message)

        await self.app(scope, receive, send_with_vary)


class UnhandledErrorMiddleware:
    """Answers any other exception with a 500 whose body browsers may read, and logs it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_started = False

        async def note_start(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self.app(scope, receive, note_start)
        except ClientDisconnect:
            return  # nobody waits for the answer, and nothing was done
        except Exception:
            request_id = scope.get("state", {}).get("request_id")
            _log.exception("unforeseen", path=scope["path"], request_id=request_id)
            if has_started or scope["type"] != "http":
                raise
            scope["app"].state.incidents.count_failure(SignalbookError.code)
            error = SignalbookError("Something failed here; it has been logged.")
            await problem_response(error, scope["path"])(scope, receive, send)


class HeadMiddleware:
    """Answers HEAD as GET would be answered, without the body.

    The end is sent with the start. A web server then tells the application that the client has
    gone, so that an event stream ends as well.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer, or hand the request on."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            return self.app(scope, receive, send)

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        return self.app({**scope, "method": "GET"}, receive, send_head)


class IgnoredQueryMiddleware:
    """Names in the answer those parameters of a query that the route does not know."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer, or hand the request on."""
        if scope["type"] != "http" or not scope["query_string"]:
            return self.app(scope, receive, send)

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start" and (names := _ignored_names(scope)):
                headers = MutableHeaders(scope=message)
                headers[IGNORED] = ignored_names(names, headers.get(IGNORED, ""))
            await send(message)

        return self.app(scope, receive, send_named)


def _ignored_names(scope: Scope) -> list[str]:
    """Return the names in a query that its route does not declare; none before it has a route."""
    declared: set[str] = set()
    if isinstance(route := scope.get("route"), APIRoute):
        if scope["method"] not in (route.methods or ()):
            return []
        declared = {*_declared_names(route.dependant), *_documented_names(route)}
    elif "endpoint" not in scope:
        return []
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return [name for name, _ in pairs if name and name not in declared]


def _declared_names(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for dependency in dependant.dependencies:
        yield from _declared_names(dependency)


def _documented_names(route: APIRoute) -> Iterator[str]:
    """Yield what a dependency reads from the query itself."""
    for parameter in (route.openapi_extra or {}).get("parameters", ()):
        if parameter["in"] == "query":
            yield parameter["name"]


class CallerMiddleware:
    """Finds out who calls and puts them into the scope; refuses who sends no credential."""

    def __init__(self, app: ASGIApp, credentials: Credentials, *, has_frontend: bool) -> None:
        self.app, self._credentials, self._has_frontend = app, credentials, has_frontend

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        try:
            await self._admit(scope)
        except SignalbookError as error:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            elif self._has_frontend and isinstance(error, Unauthorized) and is_page(scope):
                await sign_in_redirect(scope)(scope, receive, send)
            else:
                response = await answer_error(Request(scope), error)
                await response(scope, receive, send)
            return
        await self.app(scope, receive, send)

    async def _admit(self, scope: Scope) -> None:
        """Put the caller into the scope. Raises what the request is refused with."""
        state, path = scope.setdefault("state", {}), scope["path"]
        is_start = path == "/" and not self._has_frontend
        if is_start or is_open(path) or scope.get("method") == "OPTIONS":
            state["caller"] = self._credentials.anonymous
            return
        caller = state["caller"] = await self._credentials.caller(scope)
        if caller.is_anonymous:
            if self._credentials.trusts_local and path.startswith(OPERATOR_PATHS):
                refuse_remote(scope)
                state["caller"] = Caller.nobody(Role.OPERATOR)
            elif caller.role is None:
                raise refusal(caller, Role.VIEWER)


class SocketMiddleware:
    """Hands requests for Socket.IO to ``sockets``, and all others on.

    It stands outside the request log, which would log every poll. It also stands outside the
    refusals of who calls: a browser cannot send an Authorization header with a WebSocket, so its
    token comes in the first packet.
    """

    def __init__(
        self, app: ASGIApp, sockets: SessionServer, site: SiteCheck, credentials: Credentials
    ) -> None:
        self.app, self._sockets, self._site = app, sockets, site
        self._credentials = credentials

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"} or scope["path"] not in _SOCKETS:
            await self.app(scope, receive, send)
            return
        if scope.get("method") == "OPTIONS" and not header(scope, b"access-control-request-method"):
            listed = Response(status_code=204, headers={"allow": _SOCKET_METHODS})
            await listed(scope, receive, send)
            return
        try:
            if self._admit(scope):  # a wrong token is refused before there is a session
                await self._credentials.caller(scope)
        except SignalbookError as error:
            _log.info("socket refused", code=error.code, address=address_of(scope))
            await problem_response(error, scope["path"])(scope, receive, send)
            return
        await self._sockets.serve(scope, receive, send)

    def _admit(self, scope: Scope) -> bool:
        """Return whether a request begins a session. Raises what it is refused with."""
        self._site.refuse(scope)
        if scope["type"] == "http" and scope["method"] not in _SOCKET_METHODS.split(", "):
            raise MethodNotAllowed(scope["method"], _SOCKET_METHODS)
        query = parse_qs(scope["query_string"].decode("latin-1"))
        needs_token = self._credentials.anonymous.role is None
        if needs_token and not _TOKEN_NAMES.isdisjoint(query):
            raise BadRequest(
                "Send the token in the auth of the connection, never in the address: "
                "addresses are logged. Replace this token, as it may be known by now."
            )
        if "j" in query:
            raise BadRequest("Answers as scripts (JSONP) are not given: poll with XHR or fetch.")
        name = query.get("sid", [""])[0]
        self._sockets.admit(name, address_of(scope), websocket=scope["type"] == "websocket")
        return not name
