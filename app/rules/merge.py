"""Merging two edits of one row, field by field. Pure: no SQL, no FastAPI.

A client says what it started from: the *base* of each field. A submitted value that equals its base
is untouched, and the stored value stays. Any other is the client's own. Where somebody else has
changed that field since, to another value, the two are in conflict. Lists whose elements have ids
are merged by element.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Element = Mapping[str, Any]


@dataclass(frozen=True)
class Start:
    """What the client says it started from: a version, or versions by field, or nothing.

    ``own`` has the version of each field that the client has written itself since.
    """

    version: int | None = None
    field_versions: Mapping[str, int] | None = None
    own: Mapping[str, int] = field(default_factory=dict)

    def of(self, field: str) -> int | None:
        """Return the version that the client last saw of a field, None where it did not say.

        A field that is missing from the versions by field had not changed: version 1.
        """
        version = self.version
        if version is None and self.field_versions:
            version = self.field_versions.get(field, 1)
        return None if version is None else max(version, self.own.get(field, 0))

    def is_ahead_of(self, version: int) -> bool:
        """Return whether the client names a version that the row has never had."""
        return self.version is not None and self.version > version


@dataclass(frozen=True)
class Base:
    """What the client saw of one field: ``value``, if that ``is_known``.

    ``changed`` says whether others have changed the field since.
    """

    value: Any = None
    is_known: bool = True
    changed: bool = False


def differing(current: Mapping[str, Any], submitted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the submitted fields whose value is not the stored one."""
    return {
        name: value
        for name, value in submitted.items()
        if not same(current.get(name), value)
    }  # fmt: skip


def touched(bases: Mapping[str, Base], submitted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the submitted fields that the client changed itself; the others are echoes.

    Where the base is not known, every submitted value counts as the client's own.
    """
    return {
        name: value
        for name, value in submitted.items()
        if not ((base := bases.get(name)) and base.is_known and same(base.value, value))
    }


def merge(
    bases: Mapping[str, Base], current: Mapping[str, Any], submitted: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Return the values to write, and the fields in conflict.

    A field without a base is one that nobody else has changed. What equals the stored value is
    neither written nor in conflict.
    """
    values, conflicts = differing(current, touched(bases, submitted)), []
    for name in list(values):
        base = bases.get(name)
        if base is None or not base.changed:
            continue
        if base.is_known and same(base.value, current.get(name)):
            continue  # it was changed, and changed back
        merged = merged_list(base.value, current.get(name), values[name]) if base.is_known else None
        if merged is None:
            conflicts.append(name)
        elif same(merged, current.get(name)):
            del values[name]
        else:
            values[name] = merged
    return values, conflicts


def merged_list(base: Any, theirs: Any, mine: Any) -> list[Any] | None:
    """Merge two edits of a list by the ids of its elements; return None for a conflict.

    A conflict is an element without an id, one that both have changed or moved in different ways,
    or two new ones of one name. The order is that of the side that changed it. An element that only
    the other side has stands behind the one that it follows there.
    """
    lists = ([] if elements is None else elements for elements in (base, theirs, mine))
    keyed = [_by_id(elements) for elements in lists]
    if any(elements is None for elements in keyed):
        return None
    before, stored, own = (elements or {} for elements in keyed)
    order = _ordered(list(before), list(stored), list(own))
    by_key = {key: _element(before.get(key), stored.get(key), own.get(key)) for key in order or ()}
    if order is None or any(element is _CONFLICT for element in by_key.values()):
        return None
    merged = [by_key[key] for key in order if by_key[key] is not None]
    names = [element["id"] for element in merged if element.get("id")]
    return merged if len(set(names)) == len(names) else None


_CONFLICT: Any = object()


def _by_id(elements: Any) -> dict[Any, Any] | None:
    """Return elements by ``uuid``, else ``id``; None if one has neither or two share one."""
    if not isinstance(elements, list):
        return None
    keyed: dict[Any, Any] = {}
    for element in elements:
        key = (element.get("uuid") or element.get("id")) if isinstance(element, dict) else None
        if not isinstance(key, (str, int)) or isinstance(key, bool) or key in keyed:
            return None
        keyed[key] = element
    return keyed


def _element(base: Element | None, theirs: Element | None, mine: Element | None) -> Any:
    """Merge one element; None means that it is not there."""
    if same(mine, base) or same(mine, theirs):
        return theirs
    return mine if same(theirs, base) else _CONFLICT


def _ordered(base: Sequence[Any], theirs: Sequence[Any], mine: Sequence[Any]) -> list[Any] | None:
    """Return the keys of both sides in the order of the one that changed it; None if both did."""
    common = set(base) & set(theirs) & set(mine)
    was, stored, own = ([k for k in keys if k in common] for keys in (base, theirs, mine))
    if was not in (stored, own) and stored != own:
        return None
    first, second = (mine, theirs) if stored == was != own else (theirs, mine)
    keys_of_first, before = set(first), None
    behind: dict[Any, list[Any]] = {}
    for key in second:
        if key in keys_of_first:
            before = key
        else:
            behind.setdefault(before, []).append(key)
    order = behind.get(None, [])
    for key in first:
        order += [key, *behind.get(key, ())]
    return order


def same(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal; ``true`` is not 1, unlike in Python."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) or isinstance(other, float):
        # PostgreSQL writes 1e30 with all its zeros, which reads back as a whole number.
        return bool(_as_float(one) == _as_float(other))
    return bool(one == other)


def _as_float(value: Any) -> Any:
    try:
        return float(value) if isinstance(value, int) else value
    except OverflowError:
        return value
