"""The OpenAPI document beyond what FastAPI derives: errors, entity tags, raw parameters."""

from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict

from app import errors
from app.errors import SignalbookError

PROBLEM_TYPE: Final = "application/problem+json"
DESCRIPTION: Final = """
Every entity has a `uuid`, which identifies it for ever, and an `id` ("CAM 1"), which is for
people: editable, and free again after a delete. Wherever a path takes a `{key}`, either will do,
as long as exactly one live row holds the label.

Members that a request does not know are ignored and named in `X-Ignored-Fields`. Absent members
stay untouched; `null` and `""` empty an optional one. An edit that says which `version` it
started from is refused with a 409 where somebody else was faster; the answer carries what it
was, what they made of it, and what you sent.

Errors are `application/problem+json`; `code` is stable, `error` and `message` are for people.
"""
_ON_ANY_ROUTE: Final[tuple[type[SignalbookError], ...]] = (
    SignalbookError, errors.BadRequest, errors.Unauthorized, errors.BodyTooLarge,
    errors.UnsupportedMediaType, errors.Unavailable,
)  # fmt: skip
_TAG_HEADERS: Final = {
    name: {"description": description, "schema": {"type": "string"}}
    for name, description in {
        "ETag": "Names this state of the answer. Absent while the database cannot tell it.",
        "Cache-Control": "private, no-cache: ask each time.",
    }.items()
}


class AnswerModel(BaseModel):
    """The model of an answer that has these members and no other."""

    model_config = ConfigDict(extra="forbid")


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


def documented(*refusals: type[SignalbookError]) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of these errors and of those that any request may meet."""
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        error.status: {"description": (error.__doc__ or "").strip(), "content": content}
        for error in (*_ON_ANY_ROUTE, *refusals)
    }


def answers(model: Any, *refusals: type[SignalbookError]) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of a route that answers with a model or with these errors."""
    return {200: {"model": model}, **documented(*refusals)}


def conditional(model: Any) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses 200 with a model and 304."""
    not_modified = "The client's copy is the newest; no body."
    return {
        200: {"model": model, "headers": _TAG_HEADERS},
        304: {"description": not_modified, "headers": _TAG_HEADERS},
    }


def parameter(
    name: str, where: str, description: str, *, required: bool = False, **schema: Any
) -> dict[str, Any]:
    """Document text that a dependency reads from ``where``: path, query or header."""
    text = {"type": "string", **schema}
    return {
        "name": name, "in": where, "required": required, "description": description, "schema": text,
    }  # fmt: skip


def path_parameter(name: str, description: str) -> dict[str, Any]:
    """Document what a dependency reads from the path."""
    return parameter(name, "path", description, required=True, minLength=1)


IN_SHOW: Final = parameter(
    "production", "query",
    "The uuid or label of the show in which the key is looked up, where it is a label.",
)  # fmt: skip
IF_NONE_MATCH: Final = parameter(
    "If-None-Match", "header",
    "The ETag of the copy that the client has: 304 where it is still the newest.",
)  # fmt: skip
IF_MATCH: Final = parameter(
    "If-Match", "header",
    "The ETag of the row that the edit started from: 412 where it has changed.",
)  # fmt: skip


def install(app: FastAPI) -> None:
    """Add the schema of problems, which the routes refer to, to the application's document."""
    derive = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            derived = derive()
            problem = Problem.model_json_schema()
            derived.setdefault("components", {}).setdefault("schemas", {})["Problem"] = problem
            app.openapi_schema = derived
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI documents this override
