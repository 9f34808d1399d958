"""Refuses a stale edit, with all that a person needs to settle it: base, theirs and yours."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic_core import from_json

from app.changes import bases
from app.db import Connection
from app.entity import Row
from app.errors import VersionConflict
from app.merge import Start, stale_fields

Values = Mapping[str, Any]


async def refuse_stale(
    connection: Connection,
    entity: type[Row],
    start: Start,
    row: Values,
    place: tuple[UUID, UUID],
    wanted: Values,
) -> None:
    """Raise VersionConflict for what the client may not overwrite.

    ``row`` is the stored row as the wire has it, ``wanted`` the values to write by field,
    ``place`` the uuids of the production and the row.
    """
    version: int = row["version"]
    versions = _versions(entity, row, wanted)
    stale = stale_fields(start, version, versions, wanted)
    if not stale and (start.version is None or start.version <= version):
        return
    started = {name: start.of(name) for name in stale}
    seen = {entity.wire(name): at for name, at in started.items() if at is not None}
    known = await bases(connection, *place, seen)
    conflicts = [
        {
            "fieldName": (wire := entity.wire(name)),
            "clientVersion": started[name],
            "serverVersion": versions.get(name, 1),
            "baseValue": from_json(known[wire]) if wire in known else row.get(wire),
            "clientValue": wanted[name],
            "serverValue": row.get(wire),
        }
        for name in stale
    ]
    oldest = min(seen.values(), default=version)
    client = oldest if start.version is None else start.version
    raise VersionConflict(
        f"This {entity.noun} is at version {version} and the edit started from {client}: "
        "look at both and save again.",
        error=entity.conflict_error,
        currentVersion=version,
        clientVersion=client,
        serverData=row,
        conflicts=conflicts,
    )


def _versions(entity: type[Row], row: Values, wanted: Values) -> dict[str, int]:
    """Give the version at which each wanted field last changed, where the row knows it."""
    known = {name: row["fieldVersions"].get(entity.wire(name)) for name in wanted}
    said = {
        n: found.get("version") if isinstance(found, dict) else found for n, found in known.items()
    }
    return {name: version for name, version in said.items() if isinstance(version, int)}
