"""Turns every failure into a response: ``application/problem+json`` (see ``app.errors``)."""

import json
import re
from collections.abc import Sequence
from typing import Final

import structlog
from asyncpg import exceptions as pg
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException

from app.access.audit.audit_entries import REFUSED, of_request
from app.api.access import OPERATOR_PATHS
from app.api.problem_schemas import PROBLEM_TYPE
from app.entities import discovered
from app.errors import (
    BadRequest,
    BrokenJson,
    DiskFull,
    Forbidden,
    MethodNotAllowed,
    NotFound,
    OutOfMemory,
    PoolerInTheWay,
    SchemaMismatch,
    SignalbookError,
    TooManyConnections,
)
from app.health.soak_recorder import SoakRecorder
from app.masking import masked
from app.model.schemas import invalid
from app.releases.ledger import signals

# What counts against the service's health: by itself, and as the cause of DATABASE_AWAY.
_DATABASE_FAILURES: Final = (
    DiskFull, OutOfMemory, PoolerInTheWay, SchemaMismatch, TooManyConnections,
)  # fmt: skip
_REFUSED_BY_SERVER: Final = (
    pg.ReadOnlySQLTransactionError, pg.InvalidAuthorizationSpecificationError,
    pg.InvalidCatalogNameError, pg.ProtocolViolationError,
)  # fmt: skip
_LISTS: Final = frozenset(
    path for entity in discovered().values() for path in (entity.collection, *entity.path_aliases)
)
_log: Final = structlog.get_logger()


def install(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(SignalbookError, answer_error)
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_exception_handler(HTTPException, answer_http)


def problem_json(error: SignalbookError, path: str) -> bytes:
    """Return an error's body as JSON."""
    text = json.dumps(error.body(path), ensure_ascii=False, default=str)
    return text.encode("utf-8", "backslashreplace")


def problem_response(error: SignalbookError, path: str) -> Response:
    """Return the response of an error."""
    body, headers = problem_json(error, path), dict(error.headers)
    return Response(body, error.status, headers=headers, media_type=PROBLEM_TYPE)


async def answer_error(request: Request, error: Exception) -> Response:
    """Return the response of an error of ours; record and log the database error behind it."""
    assert isinstance(error, SignalbookError)
    if error.__cause__ is not None and not request.url.path.startswith(OPERATOR_PATHS):
        recorder: SoakRecorder = request.app.state.recorder
        recorder.note(error.__cause__, f"{request.method} {_template(request)}")
    if isinstance(error, Forbidden):
        room = "/".join(request.url.path.split("/")[:3])
        details = {"code": error.code, "method": request.method, "path": room}
        note = of_request(request.scope, "forbidden", REFUSED, **details)
        request.app.state.credentials.audit.note_refusal(note)
    if code := incident(error):
        request.app.state.incidents.count_failure(code)
    if error.status >= 500 and error.__cause__ is not None:
        _log.warning("database", code=error.code, cause=type(error.__cause__).__name__,
                     reason=signals.without_values(error.__cause__))  # fmt: skip
    return problem_response(error, request.url.path)


def incident(error: SignalbookError) -> str | None:
    """Return the code under which a failure counts against the health of the service.

    None where it does not count: a client's mistake, a busy moment, or a database that is away,
    which ``/health`` notices itself.
    """
    cause = error.__cause__
    counts = isinstance(error, _DATABASE_FAILURES) or isinstance(cause, _REFUSED_BY_SERVER)
    if not counts or error.status < 500:
        return None
    state = getattr(cause, "sqlstate", None)
    return f"{error.code} {state}" if state and not isinstance(error, DiskFull) else error.code


def _template(request: Request) -> str:
    """Return the path of the request with its parameters' names for their values."""
    parts = request.scope["path"].split("/")
    for name, value in request.path_params.items():
        if value in parts:
            last = len(parts) - 1 - parts[::-1].index(value)
            parts[last] = f"{{{name}}}"
    return masked("/".join(parts))


async def answer_invalid(request: Request, error: Exception) -> Response:
    """Return the response for what FastAPI's validation refused."""
    assert isinstance(error, RequestValidationError)
    faults, path = error.errors(), request.url.path
    for fault in faults:
        if fault["type"] == "json_invalid":
            reason = fault.get("ctx", {}).get("error", "")
            return problem_response(BrokenJson(f"The body is not JSON: {reason}."), path)
    inner = [fault | {"loc": _inside(fault["loc"])} for fault in faults]
    return problem_response(invalid(inner), path)


def _inside(loc: Sequence[object]) -> Sequence[object]:
    return loc[1:] if loc and loc[0] in {"body", "query", "path"} else loc


async def answer_http(request: Request, error: Exception) -> Response:
    """Return the response for an error of FastAPI's own, such as a path without a route."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 405 and (allow := _allowed_methods(request)):
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"allow": allow})
        return problem_response(MethodNotAllowed(request.method, allow), path)
    if error.status_code in {404, 405}:
        message = f"Nothing answers {request.method} {path!r}.{_elsewhere(path)}"
        return problem_response(NotFound(message, error="Route not found"), path)
    return problem_response(BadRequest(str(error.detail)), path)


def _elsewhere(path: str) -> str:
    """Return where the list is that somebody looked for below its show."""
    collection = path.rstrip("/").rpartition("/")[2]
    if re.fullmatch(r"/api/productions/[^/]+/[^/]+/?", path) and collection in _LISTS:
        return f" The list is at '/api/{collection}/production/…'."
    return ""


def _allowed_methods(request: Request) -> str:
    """Return the methods that the request's path takes, "" where it is no path of ours.

    The router knows only the methods of the first route that matches.
    """
    methods: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        # Unlike the router, let no path end in a line break.
        if route.path_regex.fullmatch(request.scope["path"]):
            methods |= route.methods or {"GET"}  # what is mounted are files
    if not methods:
        return ""
    return ", ".join(sorted({*methods, "OPTIONS", *(["HEAD"] if "GET" in methods else [])}))
