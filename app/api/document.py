"""The OpenAPI document as a whole: what it says of the service, and what tools need to read it.

FastAPI derives the routes and the schemas. Here come the schemas of errors, the credentials, the
groups of routes and the rows in bulk, and what only disturbs generators goes.
"""

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from threading import Lock
from typing import Any, Final

from fastapi import FastAPI

from app.api import member_words, problem_schemas
from app.api.openapi import Problem
from app.entities import device_types, discovered, root
from app.installation.lists import LISTS
from app.installation.shipped_devices import shipped_devices
from app.installation.system_formats import SYSTEM_FORMATS, system_uuid
from app.model.entity import Entity
from app.model.fields import MAYBE_NO_CONTROLS, NO_CONTROLS, NO_NUL
from app.shows.references_within import lists_of

VERSION: Final = "1.1.0"
"""The document's own: a client made from an earlier one goes on while the first number is the same.
"""
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
_INFO: Final = {
    "contact": {"name": "The Signalbook developers"},
    "license": {"name": "MIT", "identifier": "MIT"},
}
_SERVERS: Final = [{"url": "/", "description": "The service that this document was read from."}]
_CREDENTIALS: Final = {
    "accessToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of a person or a device (`sb_…`), or the service's ACCESS_TOKEN.",
    },
    "operatorToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token with the role operator, or the service's OPERATOR_TOKEN.",
    },
}
_TAGS: Final = {
    "Changes": "What changed in a production: to catch up on, to listen to, to undo.",
    "Formats": "The video formats to choose from: those that ship, and those of users.",
    "Settings": "What pages choose from, in lists, and what else they store for everybody.",
    "Equipment": "The devices that everybody can choose: those that ship, and those of users.",
    "Signal flow": "Why a screen is black, what dies with a cable, whether a show is ready.",
    "Sync": "The work of a client that was offline, as one batch.",
    "Access": "Tickets; for operators: who may do what, and what happened with access.",
    "Releases": "For operators: the state of the database's migrations.",
    "Health": "Whether the service can serve. No token is needed.",
}
EXAMPLES: Final = Path(__file__).with_name("examples.json")
"""Made by scripts/recorded_examples.py, from a service with the sample show."""

# Keys whose values are data, not schemas.
_DATA: Final = frozenset({"example", "examples", "default", "const", "enum", "mapping"})
_REFERENCE: Final = re.compile('"#/components/schemas/([^"]+)"')
# They only keep control characters out, and generators make code of each.
_NOISE: Final = frozenset({NO_NUL, NO_CONTROLS, MAYBE_NO_CONTROLS})


_FEW: Final = 2
_one_at_a_time: Final = Lock()


def content(app: FastAPI) -> bytes:
    """Return the document of an application as JSON; it is made once, in more than a second."""
    with _one_at_a_time:
        if not hasattr(app.state, "document"):
            app.state.document = json.dumps(app.openapi(), ensure_ascii=False).encode()
        return bytes(app.state.document)


def install(app: FastAPI) -> None:
    """Let the application describe itself by this document; it is made when it is first read."""
    derive = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(derive())
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI documents this override


def _completed(derived: dict[str, Any]) -> dict[str, Any]:
    components = derived.setdefault("components", {})
    components.setdefault("schemas", {}).update(problem_schemas.schemas())
    components["securitySchemes"] = _CREDENTIALS
    member_words.describe(components["schemas"])
    _tidy(derived["paths"])
    _tidy(components["schemas"])
    for path, operation in _operations(derived):
        operation["security"] = _security(path, operation)
        operation.setdefault("description", f"{operation['summary']}.")
        _simplify_body(operation)
        _share_refusals(operation, components.setdefault("responses", {}))
    for entity in discovered().values():
        if issubclass(entity, Entity):
            _type_bulk(derived, entity)
    _type_import(components["schemas"])
    _type_refusals(components["schemas"])
    _drop_unused(derived)
    _add_examples(derived)
    info = {**derived.pop("info"), **_INFO, "version": VERSION}
    return {
        "openapi": derived.pop("openapi"), "info": info, "servers": _SERVERS,
        "tags": list(_tags(derived)), **derived,
    }  # fmt: skip


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            yield path, operation


def _tags(document: dict[str, Any]) -> Iterator[dict[str, str]]:
    """Yield each group of routes with what it is for, in the order of the routes."""
    words = dict(_TAGS)
    for entity in discovered().values():
        words[entity.noun] = entity.__doc__ or ""
        for path in entity.path_aliases:
            words[f"{entity.noun} ({path})"] = f"The same rows as /api/{entity.collection}."
    used = dict.fromkeys(tag for _, each in _operations(document) for tag in each["tags"])
    for tag in used:
        yield {"name": tag, "description": " ".join(words[tag].replace("``", "`").split())}


def _security(path: str, operation: dict[str, Any]) -> list[dict[str, list[str]]]:
    if "401" not in operation["responses"]:
        return []
    return [{"operatorToken" if path.startswith("/api/admin/") else "accessToken": []}]


def _simplify_body(operation: dict[str, Any]) -> None:
    """Say of a body that may be left out that it is optional, and not that it may be null."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        others = [part for part in content["schema"].get("anyOf", ()) if part != {"type": "null"}]
        if len(others) == 1:
            content["schema"] = others[0]


def _type_bulk(document: dict[str, Any], entity: type[Entity]) -> None:
    """Say of an entity type's operations in bulk which members their rows have."""
    schemas, name = document["components"]["schemas"], entity.__name__
    row = schemas[f"{name}BulkRow"] = deepcopy(schemas[f"{name}Create"])
    row["required"].remove("productionId")  # the path has it
    operations = {}
    for kind, data in (("Create", f"{name}BulkRow"), ("Update", f"{name}Update")):
        operation = deepcopy(schemas[f"Bulk{kind}"])
        operation["properties"]["data"] |= {"$ref": _reference(data)["$ref"]}
        schemas[f"{name}Bulk{kind}"] = operation
        operations[kind.lower()] = f"{name}Bulk{kind}"
    operations |= {"delete": "BulkDelete", "restore": "BulkRestore"}
    bulk = deepcopy(schemas["Bulk"])
    bulk["properties"]["operations"]["items"] = _one_of("op", operations)
    schemas[f"{name}Bulk"] = bulk
    for path in (entity.collection, *entity.path_aliases):
        operation = document["paths"][f"/api/productions/{{production}}/{path}/bulk"]["post"]
        operation["requestBody"]["content"]["application/json"]["schema"] = _reference(
            f"{name}Bulk"
        )


def _type_import(schemas: dict[str, Any]) -> None:
    """Say of a show that comes in which members its rows have."""
    members = schemas["ShowImport"]["properties"]
    for name, kind in lists_of().items():
        members[name]["items"] = _reference(f"{kind.__name__}BulkRow")
    members["production"] |= _reference(f"{root().__name__}Create")
    for needless in ("type", "additionalProperties"):
        members["production"].pop(needless, None)


def _type_refusals(schemas: dict[str, Any]) -> None:
    """Say of what one of many operations is told which errors it may be."""
    for schema in schemas.values():
        error = schema.get("properties", {}).get("error", {})
        if error.get("$ref") == _reference(Problem.__name__)["$ref"]:
            error |= _reference(problem_schemas.REFUSAL)


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _one_of(member: str, names: Mapping[str, str]) -> dict[str, Any]:
    """Return the schema of one of several, told apart by the value of a member."""
    references = {value: _reference(name) for value, name in names.items()}
    mapping = {value: reference["$ref"] for value, reference in references.items()}
    return {
        "oneOf": [*references.values()],
        "discriminator": {"propertyName": member, "mapping": mapping},
    }


def _share_refusals(operation: dict[str, Any], shared: dict[str, Any]) -> None:
    """Replace each response with errors by a reference to one that all operations share."""
    for status, response in operation["responses"].items():
        if (content := response.get("content", {}).get(problem_schemas.PROBLEM_TYPE)) is None:
            continue
        schema = content["schema"]
        errors = [each["$ref"].rpartition("/")[2] for each in schema.get("oneOf", [schema])]
        # Of two errors both names, of whole families those of their heads.
        names = errors if len(errors) <= _FEW else problem_schemas.heads(errors)
        name = "Or".join(names)
        if shared.setdefault(name, response) != response:
            raise ValueError(f"Two different responses would be called {name}.")
        operation["responses"][status] = {"$ref": f"#/components/responses/{name}"}


def _add_examples(document: dict[str, Any]) -> None:
    """Add what was recorded: to the schemas, and to answers that are of none of them."""
    examples = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    for name, schema in document["components"]["schemas"].items():
        if name in examples:
            schema["example"] = examples[name]
    for path, operation in _operations(document):
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "path":
                parameter["example"] = _path_example(path, parameter["name"], examples)
        for content in operation["responses"].get("200", {}).get("content", {}).values():
            if operation["operationId"] in examples:
                content["example"] = examples[operation["operationId"]]


def _path_example(path: str, name: str, examples: Mapping[str, Any]) -> str | int:
    """Return what leads to something in a service with the sample show."""
    by_path = {
        each: entity
        for entity in discovered().values()
        for each in (entity.collection, *entity.path_aliases)
    } | {"{collection}": device_types()[0]}
    run = examples["SyncAnswer"]["runUuid"] if "/sync/" in path else examples["Run"]["id"]
    others: dict[str, str | int] = {
        "seq": 1, "milliseconds": "0", "run": run, "digest": examples["Run"]["digest"][:8],
        "collection": device_types()[0].collection,
    }  # fmt: skip
    if name in others:
        return others[name]
    if name == "name":
        return next(each.defaults[0] for each in LISTS if f"/{each.path}/" in path)
    if path == "/api/formats/{key}":
        return str(system_uuid(SYSTEM_FORMATS[0]))
    if path.startswith("/api/equipment/"):
        return next(iter(shipped_devices()))
    # The key of any row will do below a show.
    of_show = name == "production" or path.split("/")[3] == "{key}"
    kind = by_path[path.split("/")[2]] if of_show else next(reversed(by_path.values()))
    # A type that was declared since the recording has labels of its prefix all the same.
    return str(examples.get(kind.__name__, {}).get("id", f"{kind.prefix} 1"))


def _drop_unused(document: dict[str, Any]) -> None:
    """Drop the schemas that nothing refers to: what only sockets say, what was made narrower."""
    schemas = document["components"]["schemas"]
    while unused := schemas.keys() - set(_REFERENCE.findall(json.dumps(document))):
        for name in unused:
            del schemas[name]


def _tidy(part: Any) -> None:
    """Take the noise out of schemas: titles that repeat a name, patterns, what holds anyway."""
    if isinstance(part, list):
        for each in part:
            _tidy(each)
    elif isinstance(part, dict):
        if isinstance(part.get("title"), str):
            del part["title"]
        if part.get("pattern") in _NOISE:
            del part["pattern"]
        if part.get("additionalProperties") is True and "properties" in part:
            del part["additionalProperties"]  # it goes without saying, and generators take it back
        for name, value in part.items():
            if name == "properties":  # its keys are members' names, whatever they are
                _tidy([*value.values()])
            elif name not in _DATA:
                _tidy(value)
