"""What others were told after chaos: lists, pages of the feed, and what watchers heard."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.entities import discovered
from app.model.entity import Entity, label_field
from app.model.secret_fields import public
from tests.support.recorded import Entry, History, Row


def verdicts(history: History, last: Mapping[str, Entry]) -> Iterator[str]:
    """Return every fault; ``last`` is the last entry of each row."""
    yield from _feeds(history)
    yield from _lists(history, last)
    yield from _heard(history)


def labels(entry: Entry) -> dict[str, str]:
    """Return the members that show the label of what another member names."""
    kind = discovered()[entry["collection"]]
    if not issubclass(kind, Entity):
        return {}
    named = {kind.wire(label_field(name)): kind.wire(name) for name in kind.references()}
    return named | {kind.wire(end.label): kind.wire(end.uuid) for end in kind.device_references}


def difference(one: Row, other: Row) -> str:
    """Return the members that differ, with both values."""
    names = sorted({*one, *other})
    return ", ".join(
        f"{name}: {one.get(name)!r} / {other.get(name)!r}"
        for name in names
        if one.get(name) != other.get(name)
    )


def _feeds(history: History) -> Iterator[str]:
    """Every reader of the feed got the same entries."""
    for reader, entries in history.feeds.items():
        if list(entries) != list(history.log):
            numbers = [entry["seq"] for entry in entries]
            yield f"FEEDS DIFFER: {reader} read {_ranges(numbers)}, the log has {len(history.log)}"


def _lists(history: History, last: Mapping[str, Entry]) -> Iterator[str]:
    """Every process lists the rows as the log left them."""
    live = {
        uuid: entry for uuid, entry in last.items() if entry["operation"] != "DELETE"
    }  # fmt: skip
    for reader, lists in history.lists.items():
        rows = {row["uuid"]: row for listed in lists.values() for row in listed}
        for uuid in rows.keys() ^ live.keys():
            where = "in no list" if uuid in live else "listed, and not alive in the log"
            yield f"LISTS DIFFER: {reader}: {uuid} is {where}"
        for uuid in rows.keys() & live.keys():
            expected = _today(live[uuid], last)
            told = public(discovered()[live[uuid]["collection"]], rows[uuid])
            if told != expected:
                yield f"LISTS DIFFER: {reader}: {uuid}: {difference(told, expected)}"


def _today(entry: Entry, last: Mapping[str, Entry]) -> dict[str, Any]:
    """Return a row as it was last written, with the labels that what it names has today."""
    row = dict(entry["entityData"])
    for label, uuid in labels(entry).items():
        if row.get(uuid) in last:
            row[label] = last[row[uuid]]["entityData"]["id"]
    return row


def _heard(history: History) -> Iterator[str]:
    """Every watcher got each change once, in the order of the log, and the row as it was then."""
    log = [entry["seq"] for entry in history.log]
    bodies = {entry["seq"]: entry for entry in history.log}
    for watcher, events in history.heard.items():
        numbers = [event["seq"] for event in events]
        if numbers != log:
            yield f"WATCHER: {watcher} got {_ranges(numbers)}, the log has {_ranges(log)}"
        for event in events:
            known = bodies.get(event["seq"])
            if known and not _told(event, known):
                yield f"WATCHER: {watcher} got another row with number {event['seq']}"


def _told(event: Mapping[str, Any], known: Entry) -> bool:
    """Return whether an event is the entry, or shows its row as it was (deleted: its name)."""
    if "entry" in event:
        return bool(event["entry"] == known)
    if event["row"] is None:
        return event["key"] in {known["entityId"], known["entityData"]["id"]}
    return bool(event["row"] == known["entityData"])


def _ranges(numbers: Sequence[int]) -> str:
    """Write numbers in short: 1-7, 9."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    words = [f"{a}-{b}" if a != b else str(a) for a, b in runs[:20]]
    return ", ".join(words) + (" …" if len(runs) > 20 else "") or "nothing"
