"""Loads the devices that ship with the service, and corrects those that nobody has edited.

The keys of a shipped device and of its ports follow from their names, so they are the same in every
installation. ``specs.shipped`` says what was loaded last: a digest of it, its version and how many
ports it had. A device is as it was loaded where these still hold and ``last_modified_by`` is ours.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from hashlib import sha256
from typing import Any, Final
from uuid import UUID, uuid5

from pydantic_core import to_json

from app.database.database import DatabaseConnection
from app.equipment.device_catalogue import Device, Port, read_catalogue
from app.installation import equipment_sql as sql
from app.installation.categories import columns_of
from app.installation.equipment_ports import Member, port_rows
from app.rules.labels import folded
from app.sql.registry import INSTALLATION, statement

OURS: Final = "signalbook"
"""Who last modified a device that is as it was loaded."""
_NAMESPACE: Final = UUID("0f3c9a52-6d0e-5b8e-9a37-51f4f1d3c6aa")
"""Of the keys; it must never change."""
_SENDS_BY_BOTH: Final = frozenset({"CAMERA", "PTZ", "COMPUTER", "STREAM_ENCODER"})
"""Categories whose ports for both directions are outputs, as a picture begins or goes on there."""
_BETWEEN: Final = frozenset({"CONVERTER", "DISTRIBUTION_AMPLIFIER", "FRAME_SYNC"})
"""Categories of secondary devices: those that stand behind a source or before a destination."""
_COLUMNS: Final = {"manufacturer", "model", "ports", "slots", "cards", "frame_sync"}
"""What an entry has that is said elsewhere, or under another name."""
_NAMED_LINKS: Final = frozenset({"3G", "6G", "12G", "24G"})
_BY_CONNECTOR: Final = {
    "MINI_DP": "MINI DP", "USB_C": "USB-C", "OPTICALCON": "OPTICALCON", "TRIAX": "TRIAX",
    "MULTICORE_26": "MULTICORE",
}  # fmt: skip
_BY_FAMILY: Final = {"FIBRE": "FIBER", "CAMERA": "FIBER", "REFERENCE": "REF", "IP": "ETHERNET"}

_installation: Final = partial(statement, owner=INSTALLATION)
# Only one process loads at a time.
_LOCK: Final = _installation("SELECT pg_advisory_xact_lock(7305791, 20)")
_NAMES: Final = _installation("SELECT id, manufacturer, model FROM equipment_specs")
# Of the devices $1, which are locked: the version, whether each is as it was loaded, and the digest
# of that. A rollback and a new release give rows other uuids and no kind: "key" says whether not.
_STATE: Final = _installation(
    "SELECT id, version, specs -> 'shipped' ->> 'digest' AS digest, kind, "
    "NOT is_deleted AND last_modified_by = $2 "
    "AND specs -> 'shipped' ->> 'version' = version::text "
    "AND specs -> 'shipped' ->> 'ports' = (SELECT count(*) FROM equipment_io_ports "
    "WHERE equipment_id = equipment_specs.id)::text "
    "AND NOT EXISTS (SELECT FROM equipment_io_ports WHERE equipment_id = equipment_specs.id "
    "AND equipment_io_ports.updated_at > equipment_specs.updated_at) "
    "AND NOT EXISTS (SELECT FROM equipment_cards WHERE equipment_id = equipment_specs.id) "
    "AS is_untouched, "
    "uuid::text = id AND NOT EXISTS (SELECT FROM equipment_io_ports "
    "WHERE equipment_id = equipment_specs.id AND uuid::text <> id) AS has_its_keys "
    "FROM equipment_specs WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE"
)
# Give the devices $1 their keys again.
_KEYS: Final = _installation(
    "UPDATE equipment_specs SET uuid = id::uuid WHERE id = ANY($1::text[]) AND uuid::text <> id"
)


def device_uuid(manufacturer: str, model: str) -> UUID:
    """Return the uuid of a shipped device."""
    return uuid5(_NAMESPACE, f"{folded(manufacturer)}\n{folded(model)}")


@cache
def shipped_devices() -> Mapping[str, Member]:
    """Return every shipped device by its text key, as a row with its ports."""
    rows = (_device(page.category, device) for page in read_catalogue() for device in page.devices)
    return {row["id"]: row for row in rows}


async def load_devices(connection: DatabaseConnection) -> str | None:
    """Add missing devices, and correct those that are as they were loaded and no longer right.

    A device that users have entered under the same names, archived or not, is not added again.
    Return what was done, in words; None where nothing was.
    """
    devices = shipped_devices()
    await connection.execute(_LOCK)
    rows = {row["id"]: row for row in await connection.fetch(_STATE, [*devices], OURS)}
    names = {
        _folded(row["manufacturer"], row["model"])
        for row in await connection.fetch(_NAMES)
        if row["id"] not in devices
    }
    new = [
        _versioned(device, 1)
        for key, device in devices.items()
        if key not in rows and _folded(device["manufacturer"], device["model"]) not in names
    ]
    outdated = [
        _versioned(devices[key], row["version"] + 1)
        for key, row in rows.items()
        if row["is_untouched"] and not _is_right(devices[key], row)
    ]
    await _insert(connection, new)
    await _update(connection, outdated)
    counts = {"added": len(new), "corrected": len(outdated)}
    edited = sum(not row["is_untouched"] for row in rows.values())
    counts |= {"left as people have it": edited}
    words = [
        f"{count} device{'s' if count > 1 else ''} {what}"
        for what, count in counts.items()
        if count
    ]
    return ", ".join(words) or None


def _folded(manufacturer: str, model: str) -> tuple[str, str]:
    return folded(manufacturer), folded(model)


def _is_right(device: Member, row: Mapping[str, Any]) -> bool:
    digest = device["specs"]["shipped"]["digest"]
    return bool(row["digest"] == digest and row["kind"] == device["kind"] and row["has_its_keys"])


def _versioned(device: Member, version: int) -> Member:
    specs = device["specs"]
    return {**device, "specs": {**specs, "shipped": {**specs["shipped"], "version": version}}}


async def _insert(connection: DatabaseConnection, devices: list[Member]) -> None:
    if devices:
        await connection.execute(sql.INSERT, _json(devices))
        await _write_ports(connection, devices)


async def _update(connection: DatabaseConnection, devices: list[Member]) -> None:
    if devices:
        await connection.execute(_KEYS, [device["id"] for device in devices])
        await connection.execute(sql.UPDATE, _json(devices))
        await connection.execute(sql.SET_KINDS, _json(devices))
        await _write_ports(connection, devices)


async def _write_ports(connection: DatabaseConnection, devices: list[Member]) -> None:
    ports = [port for device in devices for port in device["ports"]]
    ids = [device["id"] for device in devices]
    await connection.execute(sql.WRITE_PORTS, ids, to_json(ports).decode())


def _json(devices: list[Member]) -> str:
    rows = [{k: v for k, v in device.items() if k != "ports"} for device in devices]
    return to_json(rows).decode()


def _device(category: str, device: Device) -> Member:
    """Return a device as a row. What says that it was loaded has no version yet."""
    uuid = device_uuid(device.manufacturer, device.model)
    ports = port_rows([*_ports(category, device.ports, uuid)], equipment_id=str(uuid))
    row: Member = {
        **columns_of(category),
        "id": str(uuid), "manufacturer": device.manufacturer, "model": device.model,
        "io_architecture": "CARD_BASED" if device.slots else "DIRECT", "card_slots": device.slots,
        "format_by_io": True, "is_secondary_device": category in _BETWEEN, "device_formats": [],
        "specs": _specs(category, device), "last_modified_by": OURS, "is_deleted": False,
        "ports": ports,
    }  # fmt: skip
    digest = sha256(to_json(row)).hexdigest()[:16]
    row["specs"]["shipped"] = {"digest": digest, "ports": len(ports)}
    return row


def _specs(category: str, device: Device) -> Member:
    """Return what is known of a device beside its ports: also the cards that there are for it."""
    cards = [
        {"model": card.model, **_by_direction(_ports(category, card.ports))}
        for card in device.cards
    ]
    facts = {
        **device.model_dump(exclude=_COLUMNS), "frameSync": device.frame_sync,
        "cards": cards or None,
    }  # fmt: skip
    return {name: value for name, value in facts.items() if value is not None}


def _by_direction(ports: Iterable[Member]) -> dict[str, list[Member]]:
    """Return ports as a request has them."""
    lists: dict[str, list[Member]] = {"inputs": [], "outputs": []}
    for port in ports:
        members = ("port_type", "io_type", "port_index", "uuid", "id", "format")
        item = {"type": port["io_type"], **{k: v for k, v in port.items() if k not in members}}
        lists["inputs" if port["port_type"] == "INPUT" else "outputs"].append(item)
    return lists


def _ports(category: str, ports: Iterable[Port], device: UUID = _NAMESPACE) -> Iterator[Member]:
    """Yield each connector as a port, inputs first; of several equal ones each has its number."""
    sides = {"in": "INPUT", "out": "OUTPUT"}
    sides["both"] = "OUTPUT" if category in _SENDS_BY_BOTH else "INPUT"
    for side in ("INPUT", "OUTPUT"):
        index = 0
        for port in (each for each in ports if sides[each.direction] == side):
            for number in range(1, port.count + 1):
                index += 1
                label = f"{port.label} {number}" if port.count > 1 else port.label
                key = uuid5(device, f"{side}\n{label}")
                yield {
                    "uuid": str(key), "id": str(key), "port_type": side, "io_type": _io_type(port),
                    "label": label, "format": None, "port_index": index, **_details(port),
                }  # fmt: skip


def _details(port: Port) -> Member:
    both = "both" if port.direction == "both" else None
    details = {
        "connector": port.connector, "family": port.family, "link": port.link, "most": port.most,
        "direction": both, "loop": port.loop,
    }  # fmt: skip
    return {name: value for name, value in details.items() if value is not None}


def _io_type(port: Port) -> str:
    """Return the kind of port as people choose it: "12G-SDI", "HDMI", "FIBER"."""
    if port.family == "SDI":
        return f"{port.link}-SDI" if port.link in _NAMED_LINKS else "SDI"
    return _BY_CONNECTOR.get(port.connector) or _BY_FAMILY.get(port.family, port.family)
