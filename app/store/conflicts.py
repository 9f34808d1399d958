"""What others have changed since a client looked, and the refusal that lets people settle it."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NoReturn
from uuid import UUID

from app.changelog.log import FORMER_LABEL, bases
from app.database.database import DatabaseConnection
from app.entities import discovered
from app.errors import VersionConflict
from app.model.entity import Row
from app.model.schemas import label_field
from app.rules.merge import Base, Start
from app.sql.reads import statements
from app.store.references import kept_type, kept_types

Values = Mapping[str, Any]


async def changed_since(
    connection: DatabaseConnection,
    entity: type[Row],
    start: Start,
    row: Values,
    place: tuple[UUID, UUID],
    submitted: Values,
) -> dict[str, Base]:
    """Give the fields that others changed since ``start``, with what the client saw.

    ``row`` is the stored row as the wire has it, ``place`` the uuids of the production and the
    row. All fields count, not only the submitted ones: a label may stand for a uuid that was not.
    """
    seen = _seen(entity, start, row, [*entity.editable(), *entity.parts])
    ahead = {name for name, at in seen.items() if at > row["version"]}
    behind = {entity.wire(name): at for name, at in seen.items() if name not in ahead}
    found = await bases(connection, *place, row["version"], behind) if behind else {}
    known = {name: found[entity.wire(name)] for name in seen if entity.wire(name) in found}
    known |= {name: Base(known=False, changed=True) for name in ahead}
    for label, name, kinds in _labelled(entity, row, known):
        if name in known and label in submitted:
            said = submitted[label]
            known[label] = await _label_seen(connection, kinds, place[0], known[name], said)
    return known


def _labelled(
    entity: type[Row], row: Values, known: Mapping[str, Base]
) -> Iterator[tuple[str, str, list[type[Row]]]]:
    """Give the fields that hold a label, each with the uuid that it stands for and its types."""
    for name, reference in entity.references().items():
        yield label_field(name), name, [discovered()[reference.collection]]
    for end in entity.device_references:
        if end.uuid:
            was = known.get(end.kind)
            word = was.value if was and was.known else row.get(entity.wire(end.kind))
            kind = kept_type(word or "")
            yield end.label, end.uuid, [kind] if kind else kept_types()


async def _label_seen(
    connection: DatabaseConnection,
    kinds: Iterable[type[Row]],
    production: UUID,
    base: Base,
    said: Any,
) -> Base:
    """Give the label that the client saw beside a uuid: any that the row has had may be it."""
    if not base.known or base.value is None:
        return base
    uuid = UUID(base.value)
    if said and await connection.fetchval(FORMER_LABEL, production, uuid, said):
        return Base(said, changed=True)
    for kind in kinds:
        if label := await connection.fetchval(statements(kind).label, uuid):
            return Base(label, changed=True)
    return Base(known=False, changed=True)


def _seen(entity: type[Row], start: Start, row: Values, fields: Iterable[str]) -> dict[str, int]:
    """Give the version the client saw of each field that may have changed since."""
    versions = _versions(entity, row, fields)
    seen = {name: at for name in fields if (at := start.of(name)) is not None}
    if start.version is not None:
        return {name: at for name, at in seen.items() if at != row["version"]}
    return {n: at for n, at in seen.items() if not versions.get(n, 1) <= at <= row["version"]}


def refuse(
    entity: type[Row],
    start: Start,
    row: Values,
    wanted: Values,
    conflicts: Iterable[str],
    known: Mapping[str, Base],
) -> None:
    """Raise VersionConflict if there are conflicts, or if the client is ahead of the row."""
    conflicts = list(conflicts)
    if not conflicts and not start.is_ahead_of(row["version"]):
        return
    told = _told(entity, start, row, {name: wanted[name] for name in conflicts}, known)
    oldest = min((entry["clientVersion"] for entry in told), default=row["version"])
    client = oldest if start.version is None else start.version
    raise VersionConflict(
        f"This {entity.noun} is at version {row['version']} and the edit started from {client}: "
        "look at both and save again.",
        error=entity.conflict_error,
        currentVersion=row["version"],
        clientVersion=client,
        serverData=row,
        conflicts=told,
    )


def refuse_delete(
    entity: type[Row], start: Start, row: Values, known: Mapping[str, Base]
) -> NoReturn:
    """Raise VersionConflict for a row that others have changed since the client looked."""
    changed = dict.fromkeys(name for name in known if known[name].changed)
    told = _told(entity, start, row, changed, known)
    oldest = min((entry["clientVersion"] for entry in told), default=row["version"])
    raise VersionConflict(
        f"This {entity.noun} was changed since you looked at it, so it was not deleted: see what "
        "changed, then delete it again.",
        error=entity.conflict_error,
        reason="changed",
        currentVersion=row["version"],
        clientVersion=oldest if start.version is None else start.version,
        serverData=row,
        conflicts=told,
    )


def _told(
    entity: type[Row], start: Start, row: Values, wanted: Values, known: Mapping[str, Base]
) -> list[dict[str, Any]]:
    """Give base, mine and theirs of each field in conflict."""
    versions = _versions(entity, row, wanted)
    return [
        {
            "fieldName": entity.wire(name),
            "clientVersion": start.of(name),
            "serverVersion": versions.get(name, 1),
            "baseValue": known[name].value,
            "clientValue": value,
            "serverValue": row.get(entity.wire(name)),
        }
        for name, value in wanted.items()
    ]


def with_own(
    entity: type[Row],
    start: Start,
    row: Values,
    own: Collection[int],
    log: Mapping[int, Collection[str]],
) -> Start:
    """Count what the client wrote itself as seen; ``own`` are versions of the row that it made.

    ``log`` tells what each write since ``start`` changed, and may be empty where others wrote
    nothing. A list that others had changed was merged, so the client has not seen what was written
    then: that one counts from its own last write before theirs.
    """
    if start == Start() or start.is_ahead_of(row["version"]):
        return start
    fields = [*entity.editable(), *entity.parts]
    last = dict.fromkeys(fields, 1) | _versions(entity, row, fields)
    seen = {name: at for name, at in last.items() if at in own}
    if moved(entity, start, row, own):
        for name in fields:
            wire = entity.wire(name)
            if isinstance(row.get(wire), list):
                seen[name] = _undisturbed(wire, start.of(name) or 0, own, log)
            else:
                ours = [at for at in own if wire in log.get(at, ())]
                seen[name] = max([*ours, seen.get(name, 0)])
    return replace(start, own={name: at for name, at in seen.items() if at})


def _undisturbed(
    wire: str, start: int, own: Collection[int], log: Mapping[int, Collection[str]]
) -> int:
    """Give the client's last write of a field before anybody else's, 0 where there is none.

    A version that the log does not hold may be one of somebody else's.
    """
    last, at = 0, start + 1
    while at in log and (at in own or wire not in log[at]):
        last = at if wire in log[at] else last
        at += 1
    return last


def moved(entity: type[Row], start: Start, row: Values, own: Collection[int]) -> bool:
    """Tell whether others have changed the row since ``start``."""
    if start.version is not None:
        mine = sum(start.version < version <= row["version"] for version in own)
        return bool(row["version"] - start.version > mine)
    versions = _versions(entity, row, [*entity.editable(), *entity.parts])
    return any(
        at not in own and (seen := start.of(name)) is not None and at > seen
        for name, at in versions.items()
    )


def _versions(entity: type[Row], row: Values, names: Iterable[str]) -> dict[str, int]:
    """Give the version at which each field last changed, where the row knows it."""
    known = {name: row["fieldVersions"].get(entity.wire(name)) for name in names}
    said = {
        n: found.get("version") if isinstance(found, dict) else found for n, found in known.items()
    }
    return {name: version for name, version in said.items() if isinstance(version, int)}
