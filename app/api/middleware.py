"""Pure ASGI middleware: a request id and one log line each, and the door."""

import asyncio
import time
from secrets import token_hex
from typing import Final

import structlog
from pydantic import SecretStr
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import response
from app.api.operator_auth import ADMIN, holds
from app.api.routes.health import OPEN_PATHS
from app.errors import SignalbookError, Unauthorized, Unavailable
from app.health.incidents import Incidents

_log: Final = structlog.get_logger()
_ID_LENGTH: Final = 64
_VARY: Final = (b"vary", b"Origin")


class RequestLogMiddleware:
    """Gives each request an id, hands it back as ``X-Request-Id``, and logs one line at its end."""

    def __init__(self, app: ASGIApp, incidents: Incidents) -> None:
        self.app, self._incidents = app, incidents

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["path"] not in OPEN_PATHS:
            self._incidents.count_request()
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        stamp = (b"x-request-id", request_id.encode())
        started, status = time.perf_counter(), 0

        async def stamped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], stamp]
            await send(message)

        try:
            await self.app(scope, receive, stamped)
        except asyncio.CancelledError:
            # The time to drain is over; the client can ask the next process.
            if not status:
                stopping = Unavailable("The service is stopping: try again in a moment.")
                await response(stopping, scope["path"])(scope, receive, stamped)
            raise
        finally:
            _log.info(
                "request", method=scope["method"], path=scope["path"], status=status,
                ms=round((time.perf_counter() - started) * 1_000, 1), request_id=request_id,
            )  # fmt: skip


def _request_id(scope: Scope) -> str:
    """Take the caller's id where it is harmless, else make one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return _harmless(value) or token_hex(16)
    return token_hex(16)


def _harmless(given: bytes) -> str:
    """Give an id of letters, digits and hyphens; "" for anything else."""
    plain = 0 < len(given) <= _ID_LENGTH and given.replace(b"-", b"").isalnum()
    return given.decode() if plain else ""


class CorsMiddleware(CORSMiddleware):
    """Starlette's, without its work where no page of another origin asks."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http" or any(name == b"origin" for name, _ in scope["headers"]):
            await super().__call__(scope, receive, send)
            return

        async def varied(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], _VARY]
            await send(message)

        await self.app(scope, receive, varied)


class UnhandledErrorMiddleware:
    """Answers what nobody foresaw with a 500 that the browser may read and the log can find."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except ClientDisconnect:
            return  # nobody is left to be answered, and nothing was done
        except Exception:
            request_id = scope.get("state", {}).get("request_id")
            _log.exception("unforeseen", path=scope["path"], request_id=request_id)
            if started or scope["type"] != "http":
                raise
            scope["app"].state.incidents.count_failure(SignalbookError.code)
            words = "Something failed here; it has been logged."
            await response(SignalbookError(words), scope["path"])(scope, receive, send)


class AccessTokenMiddleware:
    """Lets in who brings the access token; health can be asked without one.

    ``operator`` is the operator token, which opens the operators' own paths as well; whether it
    is needed there, they decide.
    """

    def __init__(self, app: ASGIApp, token: SecretStr, operator: SecretStr | None = None) -> None:
        self.app = app
        self._expected = token.get_secret_value().encode()
        self._operator = operator.get_secret_value().encode() if operator else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if scope["type"] == "websocket" and not holds(scope, self._expected):
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "http" and not self._may_pass(scope):
            refusal = Unauthorized("Send the access token: Authorization: Bearer …")
            await response(refusal, scope["path"])(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        asks = scope["path"] in OPEN_PATHS or scope["method"] == "OPTIONS"
        return asks or holds(scope, self._expected) or self._is_operator(scope)

    def _is_operator(self, scope: Scope) -> bool:
        return (
            self._operator is not None
            and scope["path"].startswith(ADMIN)
            and holds(scope, self._operator)
        )
