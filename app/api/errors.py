"""Turns every failure into one body: ``application/problem+json`` (see ``app.errors``)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from asyncpg import exceptions as pg
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from app.api.operator_auth import ADMIN
from app.database.driver_errors import DiskFull, OutOfMemory, TooManyConnections
from app.errors import (
    BadRequest,
    BodyTooLarge,
    BrokenJson,
    Invalid,
    NotFound,
    PoolerInTheWay,
    SchemaMismatch,
    SignalbookError,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)
from app.health.soak_recorder import SoakRecorder
from app.releases.ledger import signals

PROBLEM_TYPE: Final = "application/problem+json"
_EVERYWHERE: Final = (
    SignalbookError,
    BadRequest,
    Unauthorized,
    BodyTooLarge,
    UnsupportedMediaType,
    Unavailable,
)
_OF_DATABASE: Final = (
    DiskFull, OutOfMemory, PoolerInTheWay, SchemaMismatch, TooManyConnections,
)  # fmt: skip
# A server that takes no writes or a door that lets nobody in, told as DATABASE_AWAY.
_OF_DOOR: Final = (
    pg.ReadOnlySQLTransactionError, pg.InvalidAuthorizationSpecificationError,
    pg.InvalidCatalogNameError, pg.ProtocolViolationError,
)  # fmt: skip
_log: Final = structlog.get_logger()


class Problem(BaseModel):
    """What every error looks like; some carry more members, named in their description."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    error: str
    message: str
    code: str


def documented(*errors: type[SignalbookError]) -> dict[int | str, dict[str, Any]]:
    """Give the OpenAPI responses of these errors and of those that any request may meet."""
    schema = {"$ref": "#/components/schemas/Problem"}
    every: tuple[type[SignalbookError], ...] = (*_EVERYWHERE, *errors)
    return {
        error.status: {
            "description": (error.__doc__ or "").strip(),
            "content": {PROBLEM_TYPE: {"schema": schema}},
        }
        for error in every
    }


def install(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(SignalbookError, answer_ours)
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)


def encoded(error: SignalbookError, path: str) -> bytes:
    """Give an error's body as JSON."""
    words = json.dumps(error.body(path), ensure_ascii=False, default=str)
    return words.encode("utf-8", "backslashreplace")


def response(error: SignalbookError, path: str) -> Response:
    """Give the response of an error."""
    headers = dict(error.headers)
    return Response(encoded(error, path), error.status, headers=headers, media_type=PROBLEM_TYPE)


async def answer_ours(request: Request, error: Exception) -> Response:
    """Give the response of an error of ours, and tell who keeps watch of what caused it."""
    assert isinstance(error, SignalbookError)
    if error.__cause__ is not None and not request.url.path.startswith(ADMIN):
        recorder: SoakRecorder = request.app.state.recorder
        recorder.note(error.__cause__, f"{request.method} {_template(request)}")
    if code := incident(error):
        request.app.state.incidents.count_failure(code)
    if error.status >= 500 and error.__cause__ is not None:
        _log.warning("database", code=error.code, cause=type(error.__cause__).__name__,
                     reason=signals.without_values(error.__cause__))  # fmt: skip
    return response(error, request.url.path)


def incident(error: SignalbookError) -> str | None:
    """Give the code by which a failure counts against the health of the service.

    None for what a client did, for a busy moment, and for a database that is away, which the look
    of ``/health`` meets itself.
    """
    counted = isinstance(error, _OF_DATABASE) or isinstance(error.__cause__, _OF_DOOR)
    if not counted or error.status < 500:
        return None
    state = getattr(error.__cause__, "sqlstate", None)
    return f"{error.code} {state}" if state and not isinstance(error, DiskFull) else error.code


def _template(request: Request) -> str:
    """Give the route that was asked for: its path, the values in it replaced by their names."""
    parts = request.scope["path"].split("/")
    for name, value in request.path_params.items():
        if value in parts:
            last = len(parts) - 1 - parts[::-1].index(value)
            parts[last] = f"{{{name}}}"
    return "/".join(parts)


async def answer_invalid(request: Request, error: Exception) -> Response:
    """Give the response for what a shape refused."""
    assert isinstance(error, RequestValidationError)
    faults = error.errors()
    for fault in faults:
        if fault["type"] == "json_invalid":
            why = fault.get("ctx", {}).get("error", "")
            return response(BrokenJson(f"The body is not JSON: {why}."), request.url.path)
    return response(Invalid([_fault(fault) for fault in faults[:100]]), request.url.path)


def _fault(fault: Mapping[str, Any]) -> dict[str, str]:
    """Name the field and what was expected; what was sent is left out, as it may be a secret."""
    return {"path": _path(fault["loc"]), "message": str(fault["msg"]).removeprefix("Value error, ")}


def _path(loc: Sequence[object]) -> str:
    inner = loc[1:] if loc and loc[0] in {"body", "query", "path"} else loc
    return ".".join(map(str, inner)) or "body"


async def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    # The frontend knows no 405: a method that a path does not take is a route that is not there.
    if error.status_code in {404, 405}:
        words = f"Nothing answers {request.method} {path!r}."
        return response(NotFound(words, error="Route not found"), path)
    return response(BadRequest(str(error.detail)), path)
