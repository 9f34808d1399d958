"""What the OpenAPI document says of answers that a client may ask for again by their tag."""

from typing import Any, Final

from app.api.requests import maybe_parameter

IF_NONE_MATCH: Final = maybe_parameter(
    "If-None-Match",
    "header",
    "The ETag of the copy that the client has: 304 where it is still the newest.",
)
IF_MATCH: Final = maybe_parameter(
    "If-Match",
    "header",
    "The ETag of the row that the edit started from: 412 where it has changed.",
)
_ETAG: Final = {
    "description": "Names this state of the answer. Absent while the database cannot tell it.",
    "schema": {"type": "string"},
}
_HEADERS: Final = {
    "ETag": _ETAG,
    "Cache-Control": {"description": "private, no-cache: ask each time.",
                      "schema": {"type": "string"}},
}  # fmt: skip


def conditional(model: Any) -> dict[int | str, dict[str, Any]]:
    """Give the OpenAPI responses 200 with a model and 304."""
    return {
        200: {"model": model, "headers": _HEADERS},
        304: {"description": "The client's copy is the newest; no body.", "headers": _HEADERS},
    }
