"""What routes say of themselves in the OpenAPI document: errors, entity tags, raw parameters."""

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from app import errors
from app.api.problem_schemas import problems
from app.errors import SignalbookError

_ON_ANY_ROUTE: Final[tuple[type[SignalbookError], ...]] = (
    SignalbookError, errors.BadRequest, errors.Unauthorized, errors.Forbidden,
    errors.BodyTooLarge, errors.UnsupportedMediaType, errors.TooManyRefusals, errors.Unavailable,
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


def result_members(row: Any, status: Any) -> dict[str, Any]:
    """Return the members of what became of one operation of many, for ``create_model``."""
    where = "Its place among those that were sent, from 0."
    return {
        "index": (Annotated[int, Field(description=where)], ...),
        "status": (Annotated[status, Field(description="What became of it.")], ...),
        "entity": (Annotated[row, Field(description="The row as it is now.")], None),
        "error": (Annotated[Problem, Field(description="Why it was refused.")], None),
    }


def documented(*refusals: type[SignalbookError]) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of these errors and of those that any request may meet."""
    return problems((*_ON_ANY_ROUTE, *refusals))


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
