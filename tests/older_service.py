"""The older service as its database knew it, and the new one beside it: their writes, in SQL."""

import json
from typing import Any, Final

import asyncpg
import pytest

from tests import legacy
from tests.older_rows import BASE, COLLECTIONS, LISTS

LINKS: Final = (
    *((table, "production", "productions") for table in (*BASE, *COLLECTIONS)
      if table not in {"productions", "source_outputs"}),
    ("cameras", "ccu", "ccus"),
    ("source_outputs", "source", "sources"),
    ("connections", "source", "sources"),
    ("equipment_cards", "equipment", "equipment_specs"),
    ("equipment_io_ports", "equipment", "equipment_specs"),
    ("equipment_card_io", "card", "equipment_cards"),
)  # fmt: skip
"""Who refers to whom: a table, what its column is called before ``_id``, and the parent."""
_SCOPED: Final = frozenset(table for table, stem, _ in LINKS if stem == "production")
_PORT: Final = {"port_type": "INPUT", "io_type": "12G-SDI", "label": "SDI 1", "port_index": 1}


async def raise_unless_in_step(connection: asyncpg.Connection) -> None:
    """Compare every text key with the uuid beside it, and every note with its list."""
    now = await legacy.columns(connection)
    for table, stem, parent in LINKS:
        if {f"{stem}_id", f"{stem}_uuid"} <= now[table].keys():
            apart = await connection.fetch(
                f"SELECT t.id, t.{stem}_id, t.{stem}_uuid FROM {table} t LEFT JOIN {parent} p"
                f" ON p.id = t.{stem}_id WHERE t.{stem}_uuid IS DISTINCT FROM p.uuid"
            )
            assert apart == [], f"{table}.{stem}"
    if {"more_info", "more_info_list"} <= now["checklist_items"].keys():
        query = "SELECT id FROM checklist_items WHERE more_info_list IS DISTINCT FROM text_to_list"
        assert await connection.fetch(f"{query}(more_info)") == []


class OlderService:
    """Writes as the older service does: by ``id`` and text keys, times in UTC without a zone."""

    def __init__(self, connection: asyncpg.Connection, tag: str) -> None:
        self.connection, self.tag = connection, tag

    def row(self, table: str, name: str) -> dict[str, Any]:
        own: dict[str, dict[str, Any]] = {
            "productions": {"client": "c", "show_name": name},
            "cable_snakes": {"name": name},
            "ccus": {"name": name},
            "cameras": {"name": name, "ccu_id": self.id("ccu a")},
            "sources": {"name": name, "type": "LAPTOP"},
            "source_outputs": {"source_id": self.id("source"), "connector": "HDMI"},
            "sends": {"name": name, "type": "LED"},
            "connections": {"destination_type": "SEND", "source_id": self.id("source")},
            "checklist_items": {"title": name, "more_info": '["a"]', "completion_note": "b"},
            "events": {
                "event_type": "CAMERA", "operation": "CREATE", "entity_id": "1", "user_id": "u",
            },
            **{collection: {"name": name} for collection in COLLECTIONS},
            "ip_addresses": {"ip": self.id(name), "device_name": name, "category": "CAMERA"},
            "equipment_specs": {
                "category": "CAMERA", "manufacturer": "m", "model": name,
                "io_architecture": "CARD_BASED", "format_by_io": True, "is_secondary_device": False,
                "specs": {"a": [None]},
            },
            "equipment_cards": {"equipment_id": self.id("device"), "slot_number": 1},
            "equipment_card_io": {"card_id": self.id("card")} | _PORT,
            "equipment_io_ports": {"equipment_id": self.id("device")} | _PORT,
            **{table: {word: self.id(name)} for table, word in LISTS.items()},
            "settings": {"key": self.id(name), "value": {"theme": "dark"}},
        }  # fmt: skip
        shared: dict[str, Any] = {"id": self.id(name)}
        if table in _SCOPED:
            shared["production_id"] = self.id("show")
        if table not in {"source_outputs", "events"}:
            shared["updated_at"] = "2026-01-01 10:00:00.123"
        return shared | own[table]

    def id(self, name: str) -> str:
        return f"{self.tag} {name}"

    async def insert(self, table: str, name: str, /, **changes: Any) -> None:
        row = self.row(table, name) | changes
        await self._write(table, row, f"INSERT INTO {table} ({', '.join(row)}) SELECT")

    async def upsert(self, table: str, name: str) -> None:
        row = self.row(table, name)
        taken = ", ".join(f"{column} = excluded.{column}" for column in row)
        conflict = f" ON CONFLICT (id) DO UPDATE SET {taken}"
        await self._write(table, row, f"INSERT INTO {table} ({', '.join(row)}) SELECT", conflict)

    async def update(self, table: str, name: str, /, **changes: Any) -> None:
        values = ", ".join(f"{column} = ${place}" for place, column in enumerate(changes, 2))
        await self.connection.execute(
            f"UPDATE {table} SET {values} WHERE id = $1", self.id(name), *changes.values()
        )

    async def read(self, table: str, name: str, column: str) -> Any:
        return await self.connection.fetchval(
            f"SELECT {column} FROM {table} WHERE id = $1", self.id(name)
        )

    async def delete(self, table: str, name: str) -> None:
        done = await self.connection.execute(f"DELETE FROM {table} WHERE id = $1", self.id(name))
        assert done == "DELETE 1"

    async def _write(self, table: str, row: dict[str, Any], head: str, tail: str = "") -> None:
        columns = ", ".join(row)
        await self.connection.execute(
            f"{head} {columns} FROM jsonb_populate_record(NULL::{table}, $1){tail}", json.dumps(row)
        )

    async def a_show(self) -> None:
        """Write one row of everything."""
        for table, name in (
            ("productions", "show"), ("ccus", "ccu a"), ("ccus", "ccu b"), ("cameras", "cam"),
            ("cable_snakes", "snake"), ("sources", "source"), ("source_outputs", "out"),
            ("sends", "send"), ("connections", "con"), ("checklist_items", "chk"),
            ("events", "event"), *((table, "one") for table in COLLECTIONS),
        ):  # fmt: skip
            await self.insert(table, name)
            await self.upsert(table, name)

    async def an_installation(self) -> None:
        """Write what belongs to no show: a device with its ports, lists and settings."""
        for table, name in (
            ("equipment_specs", "device"), ("equipment_cards", "card"),
            ("equipment_card_io", "card port"), ("equipment_io_ports", "port"),
            *((table, "word") for table in LISTS), ("settings", "setting"),
        ):  # fmt: skip
            await self.insert(table, name)
            await self.upsert(table, name)

    async def replace_ports(self) -> None:
        """Save a device as its pages do: all its ports and cards are deleted and made anew."""
        async with self.connection.transaction():
            for table in ("equipment_io_ports", "equipment_cards"):
                await self.connection.execute(
                    f"DELETE FROM {table} WHERE equipment_id = $1", self.id("device")
                )
            await self.update("equipment_specs", "device", model="another", version=2)
            await self.insert("equipment_io_ports", "port", label="SDI 2")
            await self.insert("equipment_cards", "card", slot_number=2)
            await self.insert("equipment_card_io", "card port", port_type="OUTPUT")

    async def clear_installation(self) -> None:
        """Delete what belongs to no show; ports and cards go with their device."""
        for table, name in (
            ("equipment_specs", "device"), *((table, "word") for table in LISTS),
            ("settings", "setting"),
        ):  # fmt: skip
            await self.delete(table, name)
        for table, name in (("equipment_io_ports", "port"), ("equipment_card_io", "card port")):
            assert await self.read(table, name, "id") is None


async def older_service_works(older: OlderService) -> None:
    """Do everything the older service does, as it did it before."""
    await older.a_show()
    await raise_unless_in_step(older.connection)
    for ccu in ("ccu b", None, "ccu a"):
        await older.update("cameras", "cam", ccu_id=ccu and older.id(ccu))
        await raise_unless_in_step(older.connection)
    await older.update("checklist_items", "chk", more_info="by hand", completion_note=None)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await older.insert("cameras", "cam 2", ccu_id="no such ccu")
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await older.update("sends", "send", production_id="no such show")
    with pytest.raises(asyncpg.UniqueViolationError):
        await older.insert("cameras", "cam")
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await older.insert("streams", "two", production_id="no such show")
    with pytest.raises(asyncpg.UniqueViolationError):
        await older.insert("ip_addresses", "two", ip=older.id("one"))
    for table in COLLECTIONS:
        await older.update(table, "one", note="by hand", version=2)
        assert await older.read(table, "one", "note") == "by hand"
    await older_service_edits_the_installation(older)
    await older_service_renames(older)
    await older_service_deletes(older)


async def older_service_edits_the_installation(older: OlderService) -> None:
    """Edit a device with its ports, the lists and the settings."""
    await older.an_installation()
    await older.replace_ports()
    assert await older.read("equipment_io_ports", "port", "label") == "SDI 2"
    await older.update("settings", "setting", value='{"theme": "light"}')
    for table, word in LISTS.items():
        await older.update(table, "word", **{word: older.id("renamed"), "sort_order": 3})
    await older.update("equipment_specs", "device", id=older.id("device z"))
    assert await older.read("equipment_cards", "card", "equipment_id") == older.id("device z")
    await older.update("equipment_specs", "device z", id=older.id("device"))
    await older.clear_installation()


async def older_service_renames(older: OlderService) -> None:
    """Change keys: the text keys of the children follow, as ON UPDATE CASCADE made them."""
    await older.update("ccus", "ccu a", id=older.id("ccu z"))
    assert await older.read("cameras", "cam", "ccu_id") == older.id("ccu z")
    await older.update("sources", "source", id=older.id("source z"))
    assert await older.read("source_outputs", "out", "source_id") == older.id("source z")
    assert await older.read("connections", "con", "source_id") == older.id("source z")
    await older.update("productions", "show", id=older.id("show z"))
    for table, name in (("events", "event"), *((table, "one") for table in COLLECTIONS)):
        assert await older.read(table, name, "production_id") == older.id("show z")
    await older.update("routers", "one", id=older.id("one z"))
    await older.update("routers", "one z", id=older.id("one"))
    await raise_unless_in_step(older.connection)


async def older_service_deletes(older: OlderService) -> None:
    """Delete parents: children go with them or lose their link, as before."""
    await older.delete("ccus", "ccu z")
    assert await older.read("cameras", "cam", "ccu_id") is None
    await older.delete("sources", "source z")
    assert await older.read("source_outputs", "out", "id") is None
    assert await older.read("connections", "con", "source_id") is None
    await raise_unless_in_step(older.connection)
    await older.delete("sends", "send")
    await older.delete("productions", "show z")
    for table, name in (
        ("cameras", "cam"), ("checklist_items", "chk"), ("events", "event"),
        *((table, "one") for table in COLLECTIONS),
    ):  # fmt: skip
        assert await older.read(table, name, "id") is None


async def new_service_works(connection: asyncpg.Connection, older: OlderService) -> None:
    """Write by uuid alone, on every table that has it: the older service reads its text keys."""
    now = await legacy.columns(connection)
    await older.a_show()
    uuids = {}
    for table, name in (("productions", "show"), ("ccus", "ccu a"), ("ccus", "ccu b")):
        if "uuid" in now[table]:
            uuids[name] = await older.read(table, name, "uuid")
    for table in ("cable_snakes", "ccus", "cameras", "sources", "sends", *COLLECTIONS):
        if "production_uuid" in now[table]:
            await _insert_by_uuid(connection, table, uuids["show"])
            found = await connection.fetchval(
                f"SELECT production_id FROM {table} WHERE id = 'by uuid'"
            )
            assert found == older.id("show")
    if "ccu_uuid" in now["cameras"]:
        for ccu in ("ccu b", None, "ccu a"):
            uuid, label = (uuids[ccu], older.id(ccu)) if ccu else (None, None)
            await older.update("cameras", "cam", ccu_uuid=uuid)
            assert await older.read("cameras", "cam", "ccu_id") == label
    if "more_info_list" in now["checklist_items"]:
        await older.update("checklist_items", "chk", more_info_list='["x", {"y": 1}]')
        assert await older.read("checklist_items", "chk", "more_info") == '["x", {"y": 1}]'
        await older.update("checklist_items", "chk", more_info_list=None)
        assert await older.read("checklist_items", "chk", "more_info") is None
    await new_service_edits_the_installation(older, now)
    await raise_unless_in_step(connection)
    await older.delete("productions", "show")


async def _insert_by_uuid(connection: asyncpg.Connection, table: str, show: Any) -> None:
    """Write a row of a collection with its required columns alone."""
    required = {
        "sources": {"name": "n", "type": "t"}, "sends": {"name": "n", "type": "t"},
        "ip_addresses": {"ip": "10.0.0.1", "device_name": "n", "category": "CCU"},
    }.get(table, {"name": "n"})  # fmt: skip
    places = "".join(f", ${place}" for place in range(2, len(required) + 2))
    await connection.execute(
        f"INSERT INTO {table} (id, production_uuid, {', '.join(required)})"
        f" VALUES ('by uuid', $1{places})",
        show,
        *required.values(),
    )


async def new_service_edits_the_installation(older: OlderService, now: legacy.Columns) -> None:
    """Write a kind of device that the older service lacks; what that service then says counts."""
    await older.an_installation()
    if "kind" in now["equipment_specs"]:
        await older.update("equipment_specs", "device", kind="MEDIA_SERVER", category="RECORDER")
        assert await older.read("equipment_specs", "device", "kind") == "MEDIA_SERVER"
        await older.update("equipment_specs", "device", model="the same category")
        assert await older.read("equipment_specs", "device", "kind") == "MEDIA_SERVER"
        await older.update("equipment_specs", "device", category="MONITOR")
        assert await older.read("equipment_specs", "device", "kind") is None
    for table, name in (("equipment_io_ports", "port"), ("equipment_card_io", "card port")):
        if "details" in now[table]:
            await older.update(table, name, details='{"connector": "BNC"}')
            uuid = await older.read(table, name, "uuid")
            await older.update(table, name, label="renamed")
            assert await older.read(table, name, "uuid") == uuid
    await older.replace_ports()
    if "uuid" in now["equipment_io_ports"]:
        assert await older.read("equipment_io_ports", "port", "uuid") is not None
    await older.clear_installation()
