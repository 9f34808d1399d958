"""Checks of what a client of the sync receives: each returns or yields differences in words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pydantic.alias_generators import to_camel
from pydantic_core import from_json

from app.errors import VersionConflict
from app.model.entity import Row
from app.rules.merge import same
from app.sync.mutations import MutationOutcome, MutationStep

Values = Mapping[str, Any]
_SHOWN: Final = 60  # characters of a value
# What every update changes besides the fields that it names.
_SET_BY_SERVER: Final = {"version", "fieldVersions", "updatedAt", "lastModifiedBy", "syncedAt"}


class ExpectedEntry(NamedTuple):
    """A change that the feed must report: the operation, and the row after it."""

    collection: str
    operation: str
    row: Values


def check_write(
    step: MutationStep, outcome: MutationOutcome, status: str, version: int | None
) -> Iterator[str]:
    """Check that a mutation has the wanted status and made this version of the row."""
    if outcome.status != status or outcome.entity is None:
        why = f": {in_words(outcome.error)}" if outcome.error else ""
        yield f"the {step.op} is {outcome.status} and should be {status}{why}"
        return
    row = from_json(outcome.entity)
    if version is not None and row["version"] != version:
        yield f"the {step.op} makes version {row['version']} and should make {version}"
    if step.op != "delete":
        yield from check_values(step.entity, step.edit.values, row)
    if step.op == "update":
        yield from _unversioned(step.entity, step.edit.values, row)


def check_merge(
    step: MutationStep, outcome: MutationOutcome, version: int, theirs: Values
) -> Iterator[str]:
    """Check that a stale edit of one field was merged with ``theirs`` of other fields."""
    yield from check_write(step, outcome, "merged", version)
    if outcome.entity is not None:
        for words in check_values(step.entity, theirs, from_json(outcome.entity)):
            yield f"after a merge, {words}"


def in_words(error: BaseException) -> str:
    """Put an error into words, with PostgreSQL's own where there are any."""
    if state := getattr(error, "sqlstate", None):
        return f"{str(error).partition(chr(10))[0]} ({state})"  # what follows may show a row
    words = getattr(error, "message", None) or str(error) or type(error).__name__
    cause = error.__cause__
    return f"{words} ({in_words(cause)})" if cause is not None else words


def check_values(entity: type[Row], values: Values, row: Values) -> Iterator[str]:
    """Check that the row has the values that were sent."""
    for name in [*entity.editable()[1:], *entity.parts]:
        labels = {end.label for end in entity.device_references}
        if name in values and name not in labels:
            stored = row.get(entity.wire(name))
            if not _reads_as(stored, values[name]):
                yield (
                    f"{entity.wire(name)} was sent as {_short(values[name])} and reads "
                    f"{_short(stored)}"
                )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _reads_as(stored: Any, value: Any) -> bool:
    """Compare, but for what the server adds: members of a part, a list where none was sent."""
    if isinstance(value, Mapping) and isinstance(stored, Mapping):
        return all(
            _reads_as(stored.get(name, stored.get(to_camel(name))), member)
            for name, member in value.items()
        )
    if isinstance(value, list) and isinstance(stored, list):
        return len(value) == len(stored) and all(map(_reads_as, stored, value))
    return same(stored, value) or (value is None and stored == [])


def _unversioned(entity: type[Row], values: Values, row: Values) -> Iterator[str]:
    for name in values:
        version = row["fieldVersions"].get(entity.wire(name), {}).get("version")
        if version != row["version"]:
            yield f"{entity.wire(name)} changed at version {row['version']} and says {version}"


def check_others(entity: type[Row], before: Values, after: Values, name: str) -> Iterator[str]:
    """Check that an update of the field ``name`` changed no other member."""
    synonyms = {word for word, target in entity.synonyms.items() if target == name}
    for member in before.keys() - {entity.wire(name), *synonyms, *_SET_BY_SERVER}:
        if not same(before[member], after.get(member)):
            was, now = _short(before[member]), _short(after.get(member))
            yield f"{member} was {was} and is {now} since an update"


def check_conflict(
    step: MutationStep, outcome: MutationOutcome, name: str, values: Sequence[Any]
) -> Iterator[str]:
    """Check that a stale edit is a conflict with these base, server and client values."""
    wire = step.entity.wire(name)
    if not isinstance(outcome.error, VersionConflict):
        yield f"a stale edit of {wire} is {outcome.status} and should be a conflict"
        return
    conflicts = outcome.error.members["conflicts"]
    if [conflict["fieldName"] for conflict in conflicts] != [wire]:
        names = ", ".join(c["fieldName"] for c in conflicts) or "nothing"
        yield f"a stale edit of {wire} conflicts on {names}"
        return
    members = ("baseValue", "serverValue", "clientValue")
    for member, value in zip(members, values, strict=True):
        if conflicts[0][member] != value:
            yield f"a conflict on {wire} tells {member} {conflicts[0][member]!r} and not {value!r}"


def check_feed(
    since: int, latest: int, entries: Sequence[Values], should: Sequence[ExpectedEntry]
) -> str:
    """Return the first fault of the entries after number ``since``; "" where all is well."""
    for number, (entry, one) in enumerate(zip(entries, should, strict=False), since + 1):
        if entry["seq"] != number:
            return f"after number {number - 1} comes {entry['seq']}"
        if wrong := _wrong(entry, one):
            return f"number {number} {wrong}"
    if len(entries) != len(should):
        return f"it tells {len(entries)} changes, and {len(should)} were made"
    if latest != since + len(should):
        return f"it says that {latest} is the last number, and {since + len(should)} is"
    return ""


def _wrong(entry: Values, should: ExpectedEntry) -> str:
    reported = (entry["operation"], entry["collection"], entry["entityId"], entry["version"])
    row = should.row
    stored = (should.operation, should.collection, row["uuid"], row["version"])
    if reported != stored:
        return f"tells {_change(*reported)}, and {_change(*stored)} was written"
    if not same(entry["entityData"], row):
        return f"tells another row of {should.collection} than the one that was written"
    return ""


def _change(operation: str, collection: str, uuid: str, version: int) -> str:
    return f"{operation} of {collection} {uuid} to version {version}"
