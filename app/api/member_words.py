"""What the OpenAPI document says of members: the docstrings that stand below their declarations.

They are read from the source when the document is made, so that a start pays nothing for them.
"""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any, Final

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from app.api.problem_schemas import COMMON
from app.entities import discovered
from app.model.entity import Row, label_field
from app.model.schemas import DeleteBody

_SUFFIXES: Final = ("", "Create", "Update", "Updated", "BulkRow", "Public", "OfDevice")
_COMMON: Final[Mapping[str, str]] = {
    "productionId": "The label of the show that the row belongs to; a request may send its uuid.",
    "unresolved": "The ends that are text only: no row of the show has that label.",
    "labelClash": "The other rows that have the new label, if there are any.",
}
"""Of members that the models derive from a declaration."""


def describe(schemas: Mapping[str, dict[str, Any]]) -> None:
    """Add to every member of these schemas the description of its declaration."""
    words = {model.__name__: _of_model(model) for model in _models(BaseModel)}
    words["Problem"] = {name: part["description"] for name, part in COMMON.items()}
    for entity in discovered().values():
        words |= dict.fromkeys((f"{entity.__name__}{s}" for s in _SUFFIXES), _of_entity(entity))
        for parts in entity.parts.values():
            for name in (parts.model.__name__, f"{parts.model.__name__}Input"):
                words[name] = _of_model(parts.model)
        if entity.version_required:
            version = schemas[f"{entity.__name__}Update"]["properties"]["version"]
            version["description"] += " This or `fieldVersions` must be sent."
    for name, schema in schemas.items():
        for member, part in schema.get("properties", {}).items():
            if text := words.get(name, {}).get(member):
                part.setdefault("description", text)


def _models(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield the models of this service that are declared in its source."""
    for model in base.__subclasses__():
        if model.__module__.startswith("app."):
            yield model
        yield from _models(model)


def _of_entity(entity: type[Row]) -> Mapping[str, str]:
    """Return the words of an entity type's members in requests and answers."""
    own = {entity.wire(field): text for field, text in _docstrings(entity).items()}
    of_labels = {
        to_camel(label_field(uuid)): f"The label of the row that `{entity.wire(uuid)}` names."
        for uuid in entity.references()
    }
    of_parts = {
        name: f"The whole list. {parts.model.__doc__}" for name, parts in entity.parts.items()
    }
    same = {
        word: f"The same as `{entity.wire(field)}`."
        for word, field in entity.synonyms.items()
        if word != entity.wire(field)
    }
    return {**_COMMON, **_of_model(DeleteBody), **own, **of_labels, **of_parts, **same}


def _of_model(model: type[BaseModel]) -> Mapping[str, str]:
    """Return the words of a model's members, by their names on the wire.

    A model of answers may write its own names, in snake_case.
    """
    words = _docstrings(model)
    aliases = {
        name: field.serialization_alias or field.alias or to_camel(name)
        for name, field in model.model_fields.items()
    }
    return {**words, **{aliases.get(name, name): text for name, text in words.items()}}


def _docstrings(model: type[BaseModel]) -> Mapping[str, str]:
    """Return what stands below the fields of a class and of those that it comes from."""
    words: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if each.__module__.startswith("app."):
            words |= _of_module(each.__module__).get(each.__qualname__, {})
    return words


@cache
def _of_module(name: str) -> Mapping[str, Mapping[str, str]]:
    """Return the words of each class in a module; one that is made at run time has none."""
    tree = ast.parse(inspect.getsource(sys.modules[name]))
    return {node.name: _below_fields(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _below_fields(declaration: ast.ClassDef) -> Mapping[str, str]:
    return {
        field.target.id: " ".join(str(below.value.value).split())
        for field, below in pairwise(declaration.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
    }  # fmt: skip
