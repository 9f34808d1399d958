"""Checks of what a client of the sync receives, and the report that collects their words."""

import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from pydantic.alias_generators import to_camel
from pydantic_core import from_json

from app.database.database import DatabaseConnection
from app.entities import discovered
from app.errors import VersionConflict
from app.model.entity import Row
from app.model.secret_fields import public
from app.rules.merge import same
from app.sql.registry import named_statements
from app.sync.mutations import MutationOutcome, MutationStep

Values = Mapping[str, Any]
_SHOWN: Final = 60  # characters of a value
_SHOWN_OF_SQL: Final = 80  # characters of a statement
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
    for name in step.edit.values if step.op == "update" else ():
        wire = step.entity.wire(name)
        at = row["fieldVersions"].get(wire, {}).get("version")
        if at != row["version"]:
            yield f"{wire} changed at version {row['version']} and says {at}"


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
    if not same(entry["entityData"], public(discovered()[should.collection], row)):
        return f"tells another row of {should.collection} than the one that was written"
    return ""


def _change(operation: str, collection: str, uuid: str, version: int) -> str:
    return f"{operation} of {collection} {uuid} to version {version}"


class StepFailed(Exception):
    """A step has gone wrong, and those that build on it make no sense."""


class TripReport:
    """The steps of one round trip, and what went wrong in it; nothing when all is well."""

    def __init__(self) -> None:
        self.findings: list[str] = []
        self.errors: list[Exception] = []
        """The errors behind the findings, of which some may be the server's own fault."""
        self.steps: list[dict[str, Any]] = []
        self._failed: list[tuple[object, str]] = []

    @asynccontextmanager
    async def step(self, connection: DatabaseConnection, name: str) -> AsyncIterator[None]:
        """Time a step, in a savepoint. Raise StepFailed if it failed, or found anything wrong."""
        began, before = time.monotonic(), len(self.findings)
        try:
            async with connection.transaction():
                yield
        except Exception as error:  # noqa: BLE001  # whatever it meets on the copy is a finding
            self.errors.append(error)
            self.findings.append(f"{name}: {self._describe(error)}")
        self.steps.append({"step": name, "seconds": round(time.monotonic() - began, 4)})
        if len(self.findings) > before:
            raise StepFailed

    def add(self, what: str, faults: Iterable[str]) -> None:
        """Add what is wrong with something to the findings."""
        self.findings += [f"{what}: {words}" for words in faults if words]

    def log_query(self, query: Any) -> None:
        """Remember a statement that failed; asyncpg's query logger calls this."""
        if query.exception is not None:
            self._failed.append((query.exception, query.query))

    def _describe(self, error: Exception) -> str:
        """Put an error into words, with the statement that failed if it was one."""
        causes = [cause for cause in (error, error.__cause__) if cause]
        for failed, sql in self._failed:
            for cause in causes:
                if failed is cause:
                    return f"{_name_of(sql)} fails: {in_words(cause)}"
        return in_words(error)


def _name_of(sql: str) -> str:
    """Return the entity and name of a declared statement, the SQL itself of any other."""
    for collection, entity in discovered().items():
        for name, own in named_statements(entity).items():
            if own == sql:
                return f"the statement {name.replace('_', ' ')!r} of {collection}"
    line = " ".join(sql.split())
    return line if len(line) <= _SHOWN_OF_SQL else f"{line[:_SHOWN_OF_SQL]}…"
