"""The SQL that looks up what legs name, and who else uses it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from app.entities import device_types, discovered
from app.model.entity import Row
from app.sql.projection import part_list, part_rows, table
from app.sql.registry import statements_of_entities


@dataclass(frozen=True)
class LegStatements:
    """The statements of a type that has legs; none for any other type. $1 is the production."""

    legs: Mapping[str, str]
    """``devices``: the live devices with the uuids $2. ``ports``: the live ports of the devices $2,
    and those with the uuids $3. ``users``: the other rows than $2 of which a leg ends at a device
    of $3 or rides a snake of $4, each with all its legs."""


@statements_of_entities
def leg_statements(entity: type[Row]) -> LegStatements:
    """Return the statements of a type."""
    paths = [parts for parts in entity.parts.values() if parts.is_path]
    if not paths:
        return LegStatements({})
    own, name, legs = table(entity), str(paths[0].model.__tablename__), part_rows(entity, paths[0])
    return LegStatements({
        "devices": " UNION ALL ".join(_devices()),
        "ports": " UNION ALL ".join(_ports(entity)),
        "users": f"SELECT uuid, id, last_modified_by, {legs} AS legs FROM {own} WHERE "
        "production_uuid = $1 AND NOT is_deleted AND uuid <> $2 AND uuid = ANY(ARRAY(SELECT "
        f"{paths[0].owner} FROM {name} WHERE to_device_uuid = ANY($3::uuid[]) "
        "OR snake_uuid = ANY($4::uuid[])))",
    })  # fmt: skip


def _devices() -> Iterator[str]:
    for kind in device_types():
        count = "channel_count" if kind.signal_role == "TRUNK" else "NULL::integer"
        yield (
            f"SELECT '{kind.entity_type}' AS type, uuid, id, {count} AS channels "
            f"FROM {table(kind)} "
            "WHERE production_uuid = $1 AND uuid = ANY($2::uuid[]) AND NOT is_deleted"
        )


def _ports(entity: type[Row]) -> Iterator[str]:
    condition = "= ANY($2::uuid[]) OR {0}.uuid = ANY($3::uuid[]))"
    for kind in discovered().values():
        own = table(kind)
        for owner in (device for device in kind.device_references if device.is_owner):
            yield (
                f"SELECT uuid, {owner.uuid} AS device, direction, port_label AS name, id "
                f"FROM {own} WHERE production_uuid = $1 AND NOT is_deleted "
                f"AND ({owner.uuid} {condition.format(own)}"
            )
    for part in entity.part_references.values():
        owners = table(discovered()[entity.references()[part.reference].collection])
        parts = part_list(entity, part)
        own = str(parts.model.__tablename__)
        yield (
            f"SELECT {own}.uuid, {own}.{parts.owner}, 'OUTPUT', {own}.id, {own}.id FROM {own} "
            f"JOIN {owners} ON {owners}.uuid = {own}.{parts.owner} WHERE {owners}.production_uuid "
            f"= $1 AND NOT {owners}.is_deleted AND ({own}.{parts.owner} {condition.format(own)}"
        )
