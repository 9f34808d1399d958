"""Judges chaos: what was acknowledged is there, once, and nothing else is.

Each verdict begins with the name of the fault, so that a test can ask for it.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from app.entities import discovered
from app.model.secret_fields import public
from tests.support import told
from tests.support.recorded import Entry, History, Write
from tests.support.told import difference, labels

# What the server sets beside the member that was sent.
_GENERATED: Final = re.compile(r"-OUT\d+$")
_FOLLOWS: Final = {"completedAt": "completed", "completed": "completedAt"}


def verdicts(history: History) -> list[str]:
    """Return every fault that is found; none for a sound history."""
    replay = Replay(history.log)
    return [
        *history.faults,
        *_numbered(history.log),
        *replay.faults,
        *_Matching(history, replay).faults(),
        *told.verdicts(history, replay.last),
    ]


def _numbered(log: Sequence[Entry]) -> Iterator[str]:
    """Check that the numbers are 1, 2, 3 … in the order of the log."""
    for number, entry in enumerate(log, 1):
        if entry["seq"] != number:
            yield f"GAP: the entry in place {number} of the log has number {entry['seq']}"
            return


class Replay:
    """The log written again from nothing, entry by entry: each row as it was at each version."""

    def __init__(self, log: Sequence[Entry]) -> None:
        self.faults: list[str] = []
        self.last: dict[str, Entry] = {}
        self._at: dict[tuple[str, int], dict[str, Any]] = {}
        for entry in log:
            self._apply(entry)
            self.last[entry["entityId"]] = entry

    def value(self, uuid: str, version: int, member: str) -> Any:
        """Return what a member was at a version of a row."""
        return self._at.get((uuid, version), {}).get(member)

    def knows(self, uuid: str, version: int) -> bool:
        """Return whether the log holds this version."""
        return (uuid, version) in self._at

    def _apply(self, entry: Entry) -> None:
        uuid, version = entry["entityId"], entry["version"]
        before = self.last.get(uuid)
        expected = before["version"] + 1 if before else 1
        if version != expected:
            self._say("VERSION", entry, f"{expected} was to follow")
        if (before is None or before["operation"] == "DELETE") != (entry["operation"] == "CREATE"):
            self._say(
                "ORDER", entry, f"{entry['operation']} after {before and before['operation']}"
            )
        lists = _lists_of(entry)
        shown = {member: entry["entityData"].get(member) for member in _own(entry)}
        shown |= {member: _by_uuid(shown[member]) for member in lists}
        state = dict(self._at[uuid, before["version"]]) if before else shown | {"isDeleted": False}
        for member, pair in entry["changes"].items():
            was, now = map(_by_uuid, pair) if member in lists else pair
            if before and state.get(member) != was and member not in labels(entry):
                self._say("REVERTED", entry, f"{member} was {state.get(member)!r}, not {was!r}")
            state[member] = now
        for member, value in state.items():
            if shown.get(member) != value and member not in labels(entry):
                what = f"{member} is shown as {shown.get(member)!r}, not {value!r}"
                self._say("REVERTED", entry, what)
        self._at[uuid, version] = state
        self._decided(entry)

    def _decided(self, entry: Entry) -> None:
        """Check that decisions about other rows were made from what they were just before."""
        kind, row = discovered()[entry["collection"]], entry["entityData"]
        live = {u: e for u, e in self.last.items() if e["operation"] != "DELETE"}
        if entry["operation"] == "CREATE" and not kind.allow_duplicate_labels:
            for other in live.values():
                same_kind = other["collection"] == entry["collection"]
                if same_kind and other["entityData"]["id"] == row["id"]:
                    self._say("LABEL", entry, f"{row['id']!r} is that of {other['entityId']}")
        for member in map(kind.wire, kind.references()):
            if entry["changes"].get(member, [None, None])[1] not in {None, *live}:
                self._say("DANGLING", entry, f"{member} names what was not there")

    def _say(self, word: str, entry: Entry, what: str) -> None:
        self.faults.append(f"{word}: {_called(entry)}: {what}")


class _Matching:
    """Every entry belongs to one write that may have made it, every acknowledged write has one."""

    def __init__(self, history: History, replay: Replay) -> None:
        self._log, self._replay = history.log, replay
        self._writes: defaultdict[str, list[Write]] = defaultdict(list)
        for write in history.writes:
            self._writes[write.name].append(write)
        self._taken: dict[int, Entry] = {}

    def faults(self) -> Iterator[str]:
        for entry in self._log:
            yield from self._entry(entry)
        for writes in self._writes.values():
            for write in writes:
                row = f"{write.name}: {write.operation} {write.collection} {write.uuid}"
                if write.fate == "done" and id(write) not in self._taken:
                    yield f"LOST: {row}"
                if write.fate == "unchanged" and not _shows(write):
                    yield f"LOST: {row}: the answer does not hold it: {write.answer}"

    def _entry(self, entry: Entry) -> Iterator[str]:
        name = _called(entry)
        meant = [w for w in self._writes[entry["userId"]] if _means(w, entry)]
        if not meant:
            if not self._clears(entry):
                yield f"NOBODY SENT: {name}: {entry['changes']}"
            return
        write = next((w for w in meant if id(w) not in self._taken), None)
        if write is None:
            yield f"TWICE: {name}, as was {self._taken[id(meant[0])]['seq']}"
            return
        self._taken[id(write)] = entry
        if write.fate in {"refused", "unchanged"}:
            yield f"REFUSED BUT LOGGED: {name}: the answer was that nothing is written"
        # What the answer to an update adds is not of the row.
        answer = write.answer and {m: v for m, v in write.answer.items() if m != "labelClash"}
        answer = answer and public(discovered()[entry["collection"]], answer)
        if answer is not None and answer != entry["entityData"]:
            yield f"NOT AS ANSWERED: {name}: {difference(answer, entry['entityData'])}"
        yield from self._values(write, entry)

    def _clears(self, entry: Entry) -> bool:
        """Return whether a row was unlinked from what the same request deleted."""
        deleted = {w.uuid for w in self._writes[entry["userId"]] if w.operation == "DELETE"}
        pairs = entry["changes"].values()
        return bool(pairs) and all(was in deleted and now is None for was, now in pairs)

    def _values(self, write: Write, entry: Entry) -> Iterator[str]:
        """Check that what is set was sent, and what was sent is set, from what the sender knew."""
        name, state = _called(entry), entry["entityData"]
        for member, wanted in self._wanted(write, entry).items():
            if not _holds(state.get(member), wanted) and member not in _lists_of(entry):
                what = f"{state.get(member)!r}, not {wanted!r}"
                yield f"NOT WHAT WAS SENT: {name}: {member} is {what}"
        if entry["operation"] != "UPDATE":
            return
        for member, (was, now) in entry["changes"].items():
            if member in _lists_of(entry) and member in write.values:
                yield from self._list(write, entry, member)
            elif member not in write.values and write.version is None:
                is_renaming = member in _lists_of(entry) and _by_uuid(was) == _by_uuid(now)
                if _FOLLOWS.get(member) not in write.values and not is_renaming:
                    yield f"NOBODY SENT: {name}: {member} became {now!r}"
            elif (base := _base(write, member)) is not None:
                saw = self._replay.value(entry["entityId"], base, member)
                if saw != was:
                    yield f"OVERWRITTEN: {name}: {member} was {was!r}; its writer saw {saw!r}"

    def _wanted(self, write: Write, entry: Entry) -> Mapping[str, Any]:
        if write.version is None:
            return write.values
        own = {m: self._replay.value(entry["entityId"], write.version, m) for m in entry["changes"]}
        return {member: value for member, value in own.items() if member != "isDeleted"}

    def _list(self, write: Write, entry: Entry, member: str) -> Iterator[str]:
        """Each element is its writer's if that changed it, else what it was before."""
        was, now = entry["changes"][member]
        base = _base(write, member)
        stored, sent, made = map(_by_uuid, (was, write.values[member], now))
        saw = None if base is None else self._replay.value(entry["entityId"], base, member)
        started = stored if saw is None else saw
        for uuid in {*started, *stored, *sent, *made}:
            touched = not _holds(started.get(uuid), sent.get(uuid))
            right = sent.get(uuid) if touched else stored.get(uuid)
            if not _holds(made.get(uuid), right):
                what = f"{made.get(uuid)!r}, not {right!r}"
                yield f"REVERTED: {_called(entry)}: element {uuid} of {member} is {what}"


def _means(write: Write, entry: Entry) -> bool:
    operation = "CREATE" if write.operation == "RESTORE" else write.operation
    if write.operation == "RESTORE" and write.version is not None:
        operation = entry["operation"] if entry["operation"] != "DELETE" else operation
    return (write.collection, operation) == (entry["collection"], entry["operation"]) and (
        write.uuid in {None, entry["entityId"]}
    )


def _base(write: Write, member: str) -> int | None:
    """Return the version from which a write's sender knew a member; None where it did not say."""
    if isinstance(write.seen, Mapping):
        return write.seen.get(member, 1)
    return write.seen


def _holds(stored: Any, sent: Any) -> bool:
    """Return whether what is stored is what was sent; of an object a part may have been sent."""
    if isinstance(stored, Mapping) and isinstance(sent, Mapping):
        return all(stored.get(member) == value for member, value in sent.items())
    return bool(stored == sent)


def _shows(write: Write) -> bool:
    """Return whether an answer holds what was asked for, since nothing was to be written."""
    row = write.answer
    return row is None or all(
        _holds(row.get(member), value)
        for member, value in write.values.items()
        if not isinstance(value, list)
    )


def _by_uuid(elements: Any) -> dict[str, Any]:
    """Return a list's elements by uuid: the order of those with one index is the server's.

    So are their generated ids, which follow the row's label: they are left out.
    """
    return {
        element["uuid"]: {m: value for m, value in element.items()
                          if m != "id" or not _GENERATED.search(str(value))}
        for element in elements or ()
    }  # fmt: skip


def _lists_of(entry: Entry) -> set[str]:
    return set(discovered()[entry["collection"]].parts)


def _called(entry: Entry) -> str:
    row = f"{entry['collection']} {entry['entityId']}"
    return f"{entry['seq']} ({entry['operation']} {row} to {entry['version']}, {entry['userId']})"


def _own(entry: Entry) -> list[str]:
    """Return the members that a write may set, and whether the row is deleted."""
    kind = discovered()[entry["collection"]]
    return [*(kind.wire(name) for name in (*kind.editable(), *kind.parts)), "isDeleted"]
