"""The JSON schema of each error: what all have, the one code that it bears, and its own members."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from app import errors
from app.errors import SignalbookError
from app.rules import leg_errors

PROBLEM_TYPE: Final = "application/problem+json"
REFUSAL: Final = "Refusal"
"""The name of the schema of what one of many operations is told."""
_OBJECT: Final = {"type": "object", "additionalProperties": True}
_RESULTS: Final = {
    "results": {
        "type": "array", "description": "What became of each that was sent, in their order.",
        "items": {
            "type": "object", "additionalProperties": True, "required": ["index", "status"],
            "properties": {
                "index": {"type": "integer", "description": "Its place, from 0."},
                "mutationId": {"type": "string", "description": "In offline work its name."},
                "status": {
                    "type": "string",
                    "description": "`failed`, `conflict` and `rejected` have an `error` of their "
                    "own; `undone` could have been done.",
                },
                "error": {"$ref": f"#/components/schemas/{REFUSAL}", "description": "Why not."},
            },
        },
    },
}  # fmt: skip
_FIELD: Final = {
    "fieldName": {"type": "string", "description": "The member in conflict."},
    "clientVersion": {"type": ["integer", "null"], "description": "The version you started from."},
    "serverVersion": {"type": "integer", "description": "The version at which it last changed."},
    "baseValue": {
        "description": "What it was at your version; null if that is not known, absent of a "
        "secret, as are the next two.",
    },
    "clientValue": {"description": "What you sent."},
    "serverValue": {"description": "What is stored."},
}
_ROW: Final = {
    "currentVersion": {"type": "integer", "description": "The row's version now."},
    "serverData": {**_OBJECT, "description": "The row as it is stored now."},
}

_USED: Final = {
    "usedBy": {**_OBJECT, "description": "The connection that uses it, by `uuid` and `id`."},
    "lastModifiedBy": {"type": ["string", "null"], "description": "Who wrote that one last."},
}

# What every error has.
COMMON: Final[Mapping[str, Any]] = {
    "type": {"type": "string", "description": "Always `about:blank`: `code` says more."},
    "title": {"type": "string", "description": "The status in words."},
    "status": {"type": "integer", "description": "The HTTP status."},
    "detail": {"type": "string", "description": "The same as `message`."},
    "instance": {"type": "string", "description": "The path of the request."},
    "error": {"type": "string", "description": "A short text for people; it may change."},
    "message": {"type": "string", "description": "What happened, to what, and what to do next."},
    "code": {"type": "string", "description": "Stable: programs go by it."},
}

# The members that some errors have besides; those that are always there come first.
_OWN: Final[Mapping[type[SignalbookError], Mapping[str, Any]]] = {
    errors.Invalid: {
        "errors": {
            "type": "array", "description": "Each problem, and where in the request it is.",
            "items": {
                "type": "object", "required": ["path", "message"],
                "properties": {
                    "path": {"type": "string", "description": "The member, as `tiles.0.name`."},
                    "message": {"type": "string", "description": "What is wrong with it."},
                },
            },
        },
    },
    errors.DuplicateId: {
        "suggestedId": {"type": "string", "description": "The next label that is free."},
        "holders": {
            "type": "array", "items": _OBJECT,
            "description": "When renumbering: the rows that keep such a label.",
        },
    },
    errors.BodyTooLarge: {
        "limit": {
            "type": "integer", "description": "How many of what `message` names there may be.",
        },
    },
    leg_errors.InputInUse: _USED,
    leg_errors.ChannelInUse: _USED,
    errors.AmbiguousId: {
        "candidates": {
            "type": "array", "description": "The rows that it may be, or the digests of plans.",
            "items": {"anyOf": [_OBJECT, {"type": "string"}]},
        },
    },
    errors.VersionConflict: {
        "clientVersion": {
            "type": ["integer", "null"], "description": "The version that the edit began at.",
        },
        **_ROW,
        "conflicts": {
            "type": "array", "items": {"type": "object", "properties": _FIELD},
            "description": "Each field in conflict: what it was, what is sent, what is stored.",
        },
        "reason": {
            "type": "string", "enum": ["changed", "deleted"],
            "description": "`deleted`: the row is gone. `changed`: you delete what others changed. "
            "Absent where both changed the same fields.",
        },
        "restore": {"type": "string", "description": "The path that brings a deleted row back."},
    },
    errors.BulkFailed: _RESULTS,
    errors.SyncFailed: {
        **_RESULTS,
        "runUuid": {"type": "string", "description": "The key to look the batch up with."},
        "latest": {"type": "integer", "description": "The number of the show's newest change."},
    },
    errors.ProductionNotFound: {
        "productionId": {"type": "string", "description": "What was sent."},
    },
    errors.NotRehearsed: {
        "rehearsal": {"type": "integer", "description": "The number of the one that failed."},
    },
    errors.Destroys: {
        "destroys": {"type": "string", "description": "The tables that the approval must name."},
        "statements": {
            "type": "array", "items": {"type": "string"},
            "description": "What the plan takes away, a sentence each.",
        },
    },
    errors.PreconditionFailed: _ROW,
    errors.LogTrimmed: {
        "oldest": {"type": ["integer", "null"], "description": "The first change still held."},
        "latest": {"type": "integer", "description": "The last change."},
        "resync": {"type": "string", "description": "The path that gives the whole show anew."},
        "oldestVersion": {
            "type": ["integer", "null"],
            "description": "Of a restore: the first version that the log holds.",
        },
        "currentVersion": {"type": "integer", "description": "Of a restore: the row's version."},
    },
}  # fmt: skip

# Those of them that are always there.
_ALWAYS: Final[Mapping[type[SignalbookError], Sequence[str]]] = {
    errors.Invalid: ("errors",),
    errors.VersionConflict: ("currentVersion", "clientVersion", "serverData", "conflicts"),
    errors.PreconditionFailed: ("currentVersion", "serverData"),
    errors.BulkFailed: ("results",),
    errors.SyncFailed: ("results", "runUuid", "latest"),
    errors.ProductionNotFound: ("productionId",),
    errors.Destroys: ("destroys", "statements"),
}
_EXAMPLES: Final[Mapping[type[SignalbookError], Mapping[str, Any]]] = {
    errors.Destroys: {
        "destroys": "table_name", "statements": ["drops a column of table_name, and what it holds"],
    },
}  # fmt: skip
"""Of members that are always there, where no error is recorded."""
_OF_ONE: Final = (
    errors.BadRequest, errors.NotFound, errors.Conflict, errors.LogTrimmed, errors.Invalid,
)  # fmt: skip
"""What one of many operations may be told, with all kinds of them."""


def problems(kinds: Iterable[type[SignalbookError]]) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of errors and of all that are kinds of them, by status."""
    by_status: dict[int, dict[str, type[SignalbookError]]] = {}
    for kind in kinds:
        for each in _with_kinds(kind):
            by_status.setdefault(each.status, {})[each.code] = each
    return {status: _response(by_code) for status, by_code in by_status.items()}


def schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of every error, by its name in the document."""
    kinds = _with_kinds_of_all()
    of_one = {each.code: each for kind in _OF_ONE for each in _with_kinds(kind)}
    refusal = {"description": "Why one of many operations was refused.", **_one_of(of_one)}
    return {_name(kind): _schema(kind) for kind in kinds} | {REFUSAL: refusal}


def heads(names: Sequence[str]) -> list[str]:
    """Return those of the named errors that are no kind of another of them."""
    kinds = {_name(kind): kind for kind in _with_kinds_of_all() if _name(kind) in names}
    return [
        name for name in names
        if not any(issubclass(kinds[name], each) for each in kinds.values() if each != kinds[name])
    ]  # fmt: skip


def _with_kinds(kind: type[SignalbookError]) -> Iterator[type[SignalbookError]]:
    """Yield an error and all that are kinds of it; of the root, itself alone."""
    yield kind
    if kind is not SignalbookError:
        for narrower in kind.__subclasses__():
            yield from _with_kinds(narrower)


def _with_kinds_of_all() -> list[type[SignalbookError]]:
    kinds = [SignalbookError]
    for narrower in SignalbookError.__subclasses__():
        kinds += _with_kinds(narrower)
    return kinds


def _name(kind: type[SignalbookError]) -> str:
    return "InternalError" if kind is SignalbookError else f"{kind.__name__}Error"


def _words(kind: type[SignalbookError]) -> str:
    return " ".join((kind.__doc__ or "").replace("``", "`").split())


def _schema(kind: type[SignalbookError]) -> dict[str, Any]:
    code = {**COMMON["code"], "const": kind.code}
    return {
        "type": "object", "description": _words(kind), "additionalProperties": True,
        "required": [*COMMON, *_ALWAYS.get(kind, ())],
        "properties": {**COMMON, "code": code, **_OWN.get(kind, {})},
        "example": {**_instance(kind).body("/api/cameras/CAM 1"), **_EXAMPLES.get(kind, {})},
    }  # fmt: skip


def _instance(kind: type[SignalbookError]) -> SignalbookError:
    """Return an error whose message is what its class says of itself."""
    error = kind.__new__(kind)
    SignalbookError.__init__(error, _words(kind))
    return error


def _one_of(by_code: Mapping[str, type[SignalbookError]]) -> dict[str, Any]:
    """Return the schema of one of several errors, told apart by their code."""
    names = {code: f"#/components/schemas/{_name(kind)}" for code, kind in by_code.items()}
    references = [{"$ref": name} for name in names.values()]
    if len(references) == 1:
        return references[0]
    return {"oneOf": references, "discriminator": {"propertyName": "code", "mapping": names}}


def _response(by_code: Mapping[str, type[SignalbookError]]) -> dict[str, Any]:
    lines = [f"`{code}`: {_words(kind)}" for code, kind in by_code.items()]
    content = {PROBLEM_TYPE: {"schema": _one_of(by_code)}}
    return {"description": "\n\n".join(lines), "content": content}
