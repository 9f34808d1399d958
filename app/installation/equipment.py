"""Reads and writes the devices that everybody can choose: the installation's equipment.

A device is one JSON document, made by PostgreSQL, with its ports and cards. It is changed as a
whole, in one transaction, and everybody is told. What an edit leaves as it is, is not written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, NoReturn
from uuid import UUID, uuid4

from pydantic_core import from_json, to_json

from app.database.database import Database, DatabaseConnection
from app.errors import NotFound, PreconditionFailed, VersionConflict
from app.installation import equipment_sql as sql
from app.installation.announcements import RENDERERS, announce
from app.installation.categories import columns_of, tidy_category
from app.installation.equipment_ports import Member, cards_after, port_rows, ports_after
from app.installation.shipped import load_shipped
from app.model.schemas import can_be_stored, known_uuid
from app.rules.etags import allows, entity_tag

EVENT: Final = "equipment:updated"
NO_ROWS: Final = "0"
"""The state of an installation without any device."""
_OWN: Final = (
    "category", "manufacturer", "model", "io_architecture", "card_slots", "format_by_io",
    "is_secondary_device", "device_formats", "specs", "is_deleted",
)  # fmt: skip
_NEW: Final[Mapping[str, Any]] = {
    "card_slots": None, "format_by_io": True, "is_secondary_device": False, "device_formats": [],
    "specs": {}, "is_deleted": False, "equipment_io_ports": [], "equipment_cards": [],
}  # fmt: skip


@dataclass(frozen=True)
class DeviceFilter:
    """Which devices are listed; "" is all. ``words`` must all be in a device's names."""

    archived: bool = False
    category: str = ""
    manufacturer: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class DeviceEdit:
    """What a client says of a device, by the names that answers have.

    ``inputs``, ``outputs`` and ``cards`` are whole lists. ``version`` and ``if_match`` are what it
    started from, ``person`` who it is.
    """

    members: Mapping[str, Any] = field(default_factory=dict)
    version: int | None = None
    if_match: bytes = b""
    person: str | None = None

    def applied_to(self, device: Member) -> Member:
        """Return the device as edited."""
        own = {name: self.members[name] for name in _OWN if name in self.members}
        lists = {name: self.members.get(name) for name in ("inputs", "outputs", "cards")}
        cards = device["equipment_cards"]
        if lists["cards"] is not None:
            cards = cards_after(cards, lists["cards"])
        ports = ports_after(device["equipment_io_ports"], lists["inputs"], lists["outputs"])
        return {**device, **own, "equipment_io_ports": ports, "equipment_cards": cards}


class ListedDevices(NamedTuple):
    """Devices as JSON, and a token that every change of any device changes."""

    body: bytes
    state: str


async def list_devices(database: Database, only: DeviceFilter) -> ListedDevices:
    """Return devices, ordered by category, manufacturer and model.

    A database that no release has filled gets the shipped devices now: a page must have something
    to choose from.
    """
    devices = await _list(database, only)
    if devices.state == NO_ROWS:
        async with database.transaction() as connection:
            await load_shipped(connection)
        devices = await _list(database, only)
    return devices


async def state_token(database: Database) -> str:
    """Return the token that ``list_devices`` would return, for much less."""
    return str(await database.read(sql.STATE))


async def _list(database: Database, only: DeviceFilter) -> ListedDevices:
    category = tidy_category(only.category) or None
    words = [word.lower() for word in only.words]
    row = await database.row(sql.LIST, only.archived, category, only.manufacturer or None, words)
    assert row is not None, "an aggregate has a row"
    return ListedDevices(row["body"], row["state"])


async def get_device(database: Database, key: str) -> bytes:
    """Return a device as JSON, archived or not. Raises NotFound."""
    keys = _keys(key)
    return (await database.read(sql.ONE, *keys) if keys else None) or _raise_not_found(key)


async def create_device(connection: DatabaseConnection, edit: DeviceEdit) -> bytes:
    """Make a device, in a transaction; return it as JSON."""
    uuid = uuid4()
    architecture = "card-based" if edit.members.get("cards") else "direct"
    device = edit.applied_to({"id": str(uuid), "io_architecture": architecture, **_NEW})
    await connection.execute(sql.INSERT, to_json([_row(device, edit.person)]).decode())
    await _write_lists(connection, device)
    return await _result(connection, "created", uuid)


async def update_device(connection: DatabaseConnection, key: str, edit: DeviceEdit) -> bytes:
    """Change a device, archive it or bring it back, in a transaction; return it as JSON.

    Raises NotFound, PreconditionFailed, and VersionConflict where others were faster.
    """
    body = await _locked(connection, key)
    device: Member = from_json(body)
    _refuse_other_tag(device, body, edit.if_match)
    after = edit.applied_to(device)
    if after == device:
        return body
    _refuse_conflict(device, after, edit.version)
    rows = to_json([_row(after, edit.person)]).decode()
    await connection.execute(sql.UPDATE, rows)
    await connection.execute(sql.SET_KINDS, rows)
    await _write_lists(connection, after, device)
    return await _result(connection, _action(device, after), UUID(device["uuid"]))


async def archive_device(connection: DatabaseConnection, key: str, edit: DeviceEdit) -> None:
    """Archive a device, in a transaction; once more does nothing.

    Raises NotFound and PreconditionFailed.
    """
    await update_device(
        connection, key, DeviceEdit({"is_deleted": True}, None, edit.if_match, edit.person)
    )


async def _locked(connection: DatabaseConnection, key: str) -> bytes:
    """Return a device as it is, which nobody else changes until the transaction ends."""
    keys = _keys(key)
    text_key = await connection.fetchval(sql.LOCK, *keys) if keys else None
    if text_key is None:
        _raise_not_found(key)
    body: bytes = await connection.fetchval(sql.ONE, None, text_key)
    return body


def _keys(key: str) -> tuple[UUID | None, str] | None:
    return (known_uuid(key), key) if can_be_stored(key) else None


def _raise_not_found(key: str) -> NoReturn:
    raise NotFound(
        f"No device has the key {key[:100]!r}: load the equipment again, and choose another.",
        error="Equipment not found",
    )


def _refuse_other_tag(device: Member, body: bytes, if_match: bytes) -> None:
    if if_match and not allows(if_match, entity_tag(body)):
        raise PreconditionFailed(
            "This device is no longer the one that If-Match names: look at it again.",
            currentVersion=device["version"], serverData=device,
        )  # fmt: skip


def _refuse_conflict(device: Member, after: Member, version: int | None) -> None:
    """Raise VersionConflict where others changed the device, or it is archived and stays so."""
    current, words = device["version"], ""
    reason: dict[str, Any] = {}
    if device["is_deleted"] and after["is_deleted"]:
        words = "it is archived. To change it, bring it back first: send isDeleted: false"
        reason = {"reason": "deleted", "restore": f"/api/equipment/{device['uuid']}"}
    elif version is not None and version != current:
        words = (
            f"your edit started from version {version}, and the device is at version {current}. "
            "Load it again, enter yours and save"
        )
    if words:
        raise VersionConflict(
            f"Nothing was saved: {words}.", error="Version conflict", **reason,
            currentVersion=current, clientVersion=version, serverData=device, conflicts=[],
        )  # fmt: skip


def _action(device: Member, after: Member) -> str:
    """Return what everybody is told that happened."""
    if device["is_deleted"] == after["is_deleted"]:
        return "updated"
    return "deleted" if after["is_deleted"] else "restored"


def _row(device: Member, person: str | None) -> Member:
    """Return the columns of a device."""
    architecture = "CARD_BASED" if device["io_architecture"] == "card-based" else "DIRECT"
    return {
        **{name: device[name] for name in ("id", *_OWN)}, **columns_of(device["category"]),
        "io_architecture": architecture, "last_modified_by": person,
    }  # fmt: skip


async def _write_lists(
    connection: DatabaseConnection, after: Member, before: Mapping[str, Any] = _NEW
) -> None:
    """Write a device's ports and cards where they differ from what is stored."""
    key, ports, cards = after["id"], after["equipment_io_ports"], after["equipment_cards"]
    if ports != before["equipment_io_ports"]:
        rows = port_rows(ports, equipment_id=key)
        await connection.execute(sql.WRITE_PORTS, [key], to_json(rows).decode())
    if cards != before["equipment_cards"]:
        await _write_cards(connection, key, cards)


async def _write_cards(connection: DatabaseConnection, key: str, cards: Sequence[Member]) -> None:
    """Make these the cards of a device. A port may go from one to another."""
    ids = [card["id"] for card in cards]
    slots = [card["slot_number"] for card in cards]
    rows = [
        row for card in cards for row in port_rows(card["equipment_card_io"], card_id=card["id"])
    ]
    await connection.execute(sql.INSERT_CARDS, key, ids, slots)
    await connection.execute(sql.WRITE_CARD_PORTS, [key], to_json(rows).decode())
    await connection.execute(sql.DELETE_CARDS, key, ids)


async def _result(connection: DatabaseConnection, action: str, uuid: UUID) -> bytes:
    """Announce what happened to a device, and return it."""
    await announce(connection, EVENT, f"{action} {uuid}")
    body: bytes = await connection.fetchval(sql.ONE, uuid, None)
    return body


async def _render(connection: DatabaseConnection, key: str) -> dict[str, Any] | None:
    """Return what everybody is told of a device; None where there is no such device."""
    action, _, name = key.partition(" ")
    uuid = known_uuid(name)
    body = await connection.fetchval(sql.ONE, uuid, None) if uuid else None
    if body is None:
        return None
    if action == "deleted":
        return {"action": action, "equipmentUuid": name}
    return {"action": action, "equipment": from_json(body)}


RENDERERS[EVENT] = _render
