"""What a stale edit may still write. Pure: no SQL, no FastAPI.

``stale_fields`` is the seam for merging field by field: today an edit that started from an
older version conflicts on every field in which it differs from what is stored.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Start:
    """What the client says it started from: a version, or versions by field, or nothing."""

    version: int | None = None
    field_versions: Mapping[str, int] | None = None

    def of(self, field: str) -> int | None:
        """Give the version the client last saw of a field, None where it did not say.

        A field missing from a map of versions is one that had not changed: version 1.
        """
        if self.version is not None or not self.field_versions:
            return self.version
        return self.field_versions.get(field, 1)


def differing(current: Mapping[str, Any], submitted: Mapping[str, Any]) -> dict[str, Any]:
    """Give the submitted fields whose value is not the stored one."""
    return {
        name: value
        for name, value in submitted.items()
        if not same(current.get(name), value)
    }  # fmt: skip


def same(left: Any, right: Any) -> bool:
    """Compare JSON values; ``true`` is not 1, though Python thinks so."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float) or isinstance(right, float):
        # PostgreSQL writes 1e30 with all its zeros, which reads back as a whole number.
        return bool(_as_float(left) == _as_float(right))
    return bool(left == right)


def _as_float(value: Any) -> Any:
    try:
        return float(value) if isinstance(value, int) else value
    except OverflowError:
        return value


def stale_fields(
    start: Start, version: int, versions: Mapping[str, int], wanted: Iterable[str]
) -> list[str]:
    """Give the wanted fields that the client may not overwrite, knowing what it started from.

    ``version`` and ``versions`` are the stored row's. A client that names one version must have
    seen the newest row; one that names versions by field must have seen each field's newest. A
    field that has no version, there or here, has not changed since the row was made. A start that
    is ahead of the row contradicts it as much as one behind.
    """
    if start.version is not None and start.version != version:
        return list(wanted)
    if start.version is not None or not start.field_versions:
        return []
    return [f for f in wanted if not versions.get(f, 1) <= (start.of(f) or 1) <= version]
