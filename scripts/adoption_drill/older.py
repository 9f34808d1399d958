"""A writer and reader of the older service, with the SQL by text keys that its library makes."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

import asyncpg

from scripts.adoption_drill.journal import Journal
from scripts.adoption_drill.timings import Board, Timings, message, number_in
from tests.legacy import connected
from tests.older_rows import COLLECTIONS, INSTALLATION, LISTS

_ROWS_EACH: Final = 12  # rows that a writer keeps of each table; it deletes older ones
_JSON: Final = frozenset(
    {"outputs", "signal_path", "entity_data", "changes", "specs", "device_formats", "value"}
)
_UNVERSIONED: Final = frozenset({*LISTS, "settings"})
_LISTED: Final = {
    "cable_snakes": "id, production_id, name, manufacturer, model, note, created_at, updated_at",
    "ccus": "id, production_id, name, format_mode, outputs, note, created_at, updated_at, version",
    "cameras": "id, production_id, name, model, ccu_id, max_zoom, note, created_at, updated_at",
    "sources": "id, production_id, type, name, rate, h_res, v_res, note, created_at, updated_at",
    "sends": "id, production_id, type, name, output_connector, note, created_at, updated_at",
    "connections": "id, production_id, source_id, destination_type, signal_path, updated_at",
    "media_servers": "id, production_id, name, manufacturer, model, note, created_at, updated_at",
    "ip_addresses": "id, production_id, ip, device_name, category, subnet, updated_at, version",
    "equipment_specs": "id, category::text, manufacturer, model, io_architecture::text, specs",
    "settings": "id, key, value, category, updated_at",
}  # fmt: skip


_NAMED: Final = {"name": "n 🎬", "note": "a\nb"}


class OlderWriter:
    """Writes its own productions, records what was acknowledged, and reads what others wrote."""

    def __init__(self, number: int, url: str, timings: Timings, board: Board, shows: int) -> None:
        self.who = f"older {number}"
        self.journal = Journal()
        self._url, self._timings, self._board, self._shows = url, timings, board, shows
        self._numbers = count(1)
        self._keys: dict[str, list[str]] = {}
        self._show = ""

    async def run(self, stop: asyncio.Event, pause: float) -> None:
        """Write and read until ``stop`` is set, or until the first failure, which is recorded."""
        async with connected(self._url) as self._connection:
            await self._new_show()
            while not stop.is_set():
                for step in (self._build, self._edit, self._look, self._rename, self._clear):
                    await step()
                    await asyncio.sleep(pause)

    # ---- rounds

    async def _new_show(self) -> None:
        self._show = await self._create("productions", client="c 🎬", show_name=self.who)
        await self._create("cameras", f"{self.who} message", name=message(0))

    async def _build(self) -> None:
        """Make one of everything; a source, its output and the event in one transaction."""
        ccu = await self._create("ccus", name="n", outputs=[{"id": "O1"}], note="a\nb")
        await self._create("cable_snakes", name="snake")
        await self._create("cameras", name="wide", ccu_id=ccu, max_zoom=86.5)
        async with self._together("insert source with output and event"):
            source = await self._insert("sources", {"name": "laptop", "type": "LAPTOP"})
            await self._insert("source_outputs", {"source_id": source, "connector": "HDMI"})
            await self._insert("events", self._event(source))
        await self._create("sends", name="wall", type="LED", output_connector="SDI 1")
        await self._create("connections", source_id=source, destination_type="SEND",
                           signal_path=[source, {"via": None}])  # fmt: skip
        await self._create("checklist_items", title="power", more_info='["a", {"b": 1}]',
                           completion_note="call the venue")  # fmt: skip
        for table in COLLECTIONS:
            await self._create(table, **(self._address() if table == "ip_addresses" else _NAMED))
        await self._build_installation()

    async def _build_installation(self) -> None:
        """Make what belongs to no show; a device with its ports in one transaction."""
        async with self._together("insert device with ports"):
            device = await self._insert("equipment_specs", {
                "category": "ROUTER", "manufacturer": "m", "model": "🎥 12",
                "io_architecture": "CARD_BASED", "format_by_io": True, "specs": {"a": [None]},
            })  # fmt: skip
            card = await self._insert("equipment_cards", {"equipment_id": device, "slot_number": 1})
            await self._insert("equipment_card_io", {"card_id": card, **_port("OUTPUT")})
            await self._insert("equipment_io_ports", {"equipment_id": device, **_port("INPUT")})
        for table, word in LISTS.items():
            await self._create(table, **{word: self._key(table)})
        await self._create("settings", key=self._key("settings"), value={"dark": True})

    async def _replace_ports(self) -> None:
        """Save a device as its pages do: all its ports are deleted and made anew."""
        device = self._keys["equipment_specs"][-1]
        ports = self.journal.rows["equipment_io_ports"]
        old = [key for key, row in ports.items() if row["equipment_id"] == device]
        async with self._together("replace the ports of a device"):
            await self._connection.execute(
                "DELETE FROM equipment_io_ports WHERE (equipment_id = $1 AND 1=1)", device
            )
            for direction in ("INPUT", "OUTPUT"):
                row = {"equipment_id": device, **_port(direction)}
                await self._insert("equipment_io_ports", row)
        for key in old:
            self.journal.deleted("equipment_io_ports", key)

    async def _edit(self) -> None:
        number = next(self._numbers)
        await self._update("cameras", f"{self.who} message", {"name": message(number)})
        self._board.last[self.who] = number
        cameras = self._keys["cameras"]
        await self._update("cameras", cameras[-1], {"ccu_id": self._keys["ccus"][0]})
        await self._update("cameras", cameras[0], {"ccu_id": None, "note": f"note {number}"})
        await self._update("checklist_items", self._keys["checklist_items"][-1],
                           {"more_info": f"by hand {number}", "completed": True})  # fmt: skip
        await self._upsert("sends", self._keys["sends"][-1], {"name": f"wall {number}"})
        await self._upsert("cable_snakes", self._key("cable_snakes"), {"name": "new by upsert"})
        for table in COLLECTIONS:
            await self._update(table, self._keys[table][-1], {"note": f"note {number}"})
        await self._update("equipment_specs", self._keys["equipment_specs"][-1],
                           {"model": f"model {number}", "specs": [number]})  # fmt: skip
        await self._replace_ports()
        await self._upsert("settings", self._keys["settings"][-1], {"value": {"number": number}})
        await self._upsert("frame_rates", self._keys["frame_rates"][-1], {"sort_order": number})

    async def _look(self) -> None:
        """Read its own rows, a large production of others, and what the new service wrote last."""
        for table, names in _LISTED.items():
            key = self._keys[table][-1]
            rows = await self._fetch(f"select {table}", f"SELECT {names} FROM {table}"
                " WHERE (id = $1 AND 1=1) LIMIT $2 OFFSET $3", key, 1, 0)  # fmt: skip
            self._expect(table, key, rows)
        show = f"SHOW {1 + next(self._numbers) % self._shows}"
        await self._fetch("list cameras", f"SELECT {_LISTED['cameras']} FROM cameras WHERE"
            " (production_id = $1 AND is_deleted = $2) ORDER BY created_at ASC",
            show, False)  # fmt: skip
        await self._fetch("list events", "SELECT id, entity_id, operation::text FROM events WHERE"
            ' production_id = $1 ORDER BY "timestamp" DESC LIMIT $2', show, 50)  # fmt: skip
        for who, last in self._board.of("ours").items():
            await self._see(who, last)

    async def _see(self, who: str, last: int) -> None:
        with self._timings.timed(self.who, f"see what {who} wrote last"):
            row = await self._connection.fetchrow(
                "SELECT name, production_id FROM cameras WHERE id = $1", f"{who} message"
            )
            if row is None or number_in(row["name"]) < last or row["production_id"] != who:
                raise AssertionError(f"{row} in place of {message(last)}")
        self._board.read["older reads ours"] += 1

    async def _rename(self) -> None:
        """Change keys; rows that name them follow."""
        for table in ("ccus", "sources", "routers", "equipment_specs"):
            old = self._keys[table][-1]
            await self._change_key(table, old, f"{old} renamed")
            self._keys[table][-1] = f"{old} renamed"
        if next(self._numbers) % 5 == 0:
            renamed = self._key("productions")
            await self._change_key("productions", self._show, renamed)
            self._show = renamed

    async def _clear(self) -> None:
        """Delete the oldest rows of each table beyond the limit."""
        for table, keys in self._keys.items():
            while len(keys) > _ROWS_EACH:
                key = keys.pop(0)
                if key in self.journal.rows[table]:  # else it went with its parent
                    await self._execute(f"delete {table}", f"DELETE FROM {table} WHERE"
                        " (id = $1 AND 1=1)", key)  # fmt: skip
                    self.journal.deleted(table, key)

    # ---- statements

    def _key(self, table: str) -> str:
        return f"{self.who} {table} {next(self._numbers)}"

    def _address(self) -> dict[str, Any]:
        ip = f"10.0.0.{next(self._numbers)}"
        return {"ip": ip, "device_name": "CCU 1", "category": "CCU", "subnet": "/24"}

    def _event(self, entity: str) -> dict[str, Any]:
        return {
            "event_type": "SOURCE", "operation": "CREATE", "entity_id": entity, "user_id": "u",
            "entity_data": {"é": [1, None]},
        }  # fmt: skip

    def _row(self, table: str, key: str, values: dict[str, Any]) -> dict[str, Any]:
        shared: dict[str, Any] = {"id": key} | ({} if table in _UNVERSIONED else {"version": 1})
        if table not in {"productions", "source_outputs", *INSTALLATION}:
            shared["production_id"] = self._show
        if table not in {"source_outputs", "events"}:
            shared["updated_at"] = _now()
        return shared | values

    async def _create(self, table: str, key: str = "", /, **values: Any) -> str:
        row = self._row(table, key or self._key(table), values)
        await self._execute(f"insert {table}", _insert(table, row), *_parameters(row))
        self._record(table, row, remember=not key)
        return str(row["id"])

    async def _insert(self, table: str, values: dict[str, Any]) -> str:
        """Insert in a transaction that is timed and recorded as a whole."""
        row = self._row(table, self._key(table), values)
        await self._connection.execute(_insert(table, row), *_parameters(row))
        self._open.append((table, row))
        return str(row["id"])

    @asynccontextmanager
    async def _together(self, what: str) -> AsyncIterator[None]:
        self._open: list[tuple[str, dict[str, Any]]] = []
        with self._timings.timed(self.who, what):
            async with self._connection.transaction():
                yield
        for table, row in self._open:
            self._record(table, row, remember=True)

    async def _upsert(self, table: str, key: str, changes: dict[str, Any]) -> None:
        row_before = self.journal.rows[table].get(key)
        row = (row_before or self._row(table, key, {})) | changes | {"updated_at": _now()}
        assignments = ", ".join(f"{name} = excluded.{name}" for name in row)
        sql = f"{_insert(table, row)} ON CONFLICT (id) DO UPDATE SET {assignments}"
        await self._execute(f"upsert {table}", sql, *_parameters(row))
        self._record(table, row, remember=row_before is None)

    async def _update(self, table: str, key: str, changes: dict[str, Any]) -> None:
        row = changes | {"updated_at": _now()}
        places = ", ".join(f"{name} = ${place}" for place, name in enumerate(row, 3))
        rows = await self._fetch(f"update {table}", f"UPDATE {table} SET {places},"
            f" version = ({table}.version + $1) WHERE (id = $2 AND 1=1) RETURNING id, version",
            1, key, *_parameters(row))  # fmt: skip
        expected = self.journal.rows[table][key]["version"] + 1
        if [tuple(each) for each in rows] != [(key, expected)]:
            raise AssertionError(f"{rows} in place of {key}, {expected}")
        self.journal.wrote(table, key, row | {"version": expected})

    async def _change_key(self, table: str, key: str, new: str) -> None:
        sql = f"UPDATE {table} SET id = $1 WHERE (id = $2 AND 1=1)"
        await self._execute(f"rename {table}", sql, new, key)
        self.journal.renamed(table, key, new)

    def _record(self, table: str, row: dict[str, Any], *, remember: bool) -> None:
        self.journal.wrote(table, row["id"], row)
        if remember and table != "productions":
            self._keys.setdefault(table, []).append(row["id"])

    def _expect(self, table: str, key: str, rows: Sequence[asyncpg.Record]) -> None:
        """Raise if a row is not what was written last."""
        expected = self.journal.rows[table][key]
        for name, value in dict(rows[0]).items() if rows else []:
            there = json.loads(value) if name in _JSON and value is not None else value
            if name in expected and expected[name] != there:
                raise AssertionError(f"{table} {key}: {name} {there!r} is not {expected[name]!r}")
        if not rows:
            raise AssertionError(f"{table} {key} cannot be read")

    async def _execute(self, what: str, sql: str, *values: Any) -> None:
        with self._timings.timed(self.who, what):
            status = await self._connection.execute(sql, *values)
            if not status.endswith(" 1"):
                raise AssertionError(f"{status}: one row was expected")

    async def _fetch(self, what: str, sql: str, *values: Any) -> list[asyncpg.Record]:
        with self._timings.timed(self.who, what):
            return await self._connection.fetch(sql, *values)


def _port(direction: str) -> dict[str, Any]:
    return {"port_type": direction, "io_type": "12G-SDI", "label": "SDI 1", "port_index": 1}


def _now() -> datetime:
    """Return a time as the older service writes it: UTC in milliseconds, without a zone."""
    now = datetime.now(UTC).replace(tzinfo=None)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _insert(table: str, row: dict[str, Any]) -> str:
    places = ", ".join(f"${place}" for place in range(1, len(row) + 1))
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})"


def _parameters(row: dict[str, Any]) -> list[Any]:
    return [json.dumps(value) if name in _JSON else value for name, value in row.items()]
