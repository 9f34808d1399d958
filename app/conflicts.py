"""What others have changed since a client looked, and the refusal that lets people settle it."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from app.changes import bases
from app.db import Connection
from app.entities import discovered
from app.entity import Row
from app.errors import VersionConflict
from app.merge import Base, Start
from app.shapes import label_field
from app.statements import statements

Values = Mapping[str, Any]


async def changed_since(
    connection: Connection,
    entity: type[Row],
    start: Start,
    row: Values,
    place: tuple[UUID, UUID],
    submitted: Iterable[str],
) -> dict[str, Base]:
    """Give the submitted fields that others changed since ``start``, with what the client saw.

    ``row`` is the stored row as the wire has it, ``place`` the uuids of the production and the
    row. A reference brings its label along: a form sends both.
    """
    linked = {label_field(name): name for name in entity.references()}
    fields = {linked.get(name, name) for name in submitted}
    seen = _seen(entity, start, row, fields)
    ahead = {name for name, at in seen.items() if at > row["version"]}
    behind = {entity.wire(name): at for name, at in seen.items() if name not in ahead}
    found = await bases(connection, *place, row["version"], behind) if behind else {}
    known = {name: found[entity.wire(name)] for name in seen if entity.wire(name) in found}
    known |= {name: Base(known=False, changed=True) for name in ahead}
    for label, name in linked.items():
        if name in known:
            known[label] = await _label_of(connection, entity, name, known[name])
    return known


def _seen(entity: type[Row], start: Start, row: Values, fields: Iterable[str]) -> dict[str, int]:
    """Give the version the client saw of each field that may have changed since."""
    versions = _versions(entity, row, fields)
    seen = {name: at for name in fields if (at := start.of(name)) is not None}
    if start.version is not None:
        return {name: at for name, at in seen.items() if at != row["version"]}
    return {n: at for n, at in seen.items() if not versions.get(n, 1) <= at <= row["version"]}


async def _label_of(connection: Connection, entity: type[Row], name: str, base: Base) -> Base:
    """Give the label beside a reference as the client may have seen it."""
    if not base.known or base.value is None:
        return base
    target = discovered()[entity.references()[name].collection]
    label = await connection.fetchval(statements(target).label, UUID(base.value))
    return Base(label, changed=True)


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
    versions = _versions(entity, row, conflicts)
    told = [
        {
            "fieldName": entity.wire(name),
            "clientVersion": start.of(name),
            "serverVersion": versions.get(name, 1),
            "baseValue": known[name].value,
            "clientValue": wanted[name],
            "serverValue": row.get(entity.wire(name)),
        }
        for name in conflicts
    ]
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


def _versions(entity: type[Row], row: Values, names: Iterable[str]) -> dict[str, int]:
    """Give the version at which each field last changed, where the row knows it."""
    known = {name: row["fieldVersions"].get(entity.wire(name)) for name in names}
    said = {
        n: found.get("version") if isinstance(found, dict) else found for n, found in known.items()
    }
    return {name: version for name, version in said.items() if isinstance(version, int)}
