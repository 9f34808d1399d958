"""The legs of a path: what they name is looked up, and what can never be right is refused.

What may be half-way is written and reported by the show's checks: an open end, a missing port, a
fan-out. Only what a write changes is looked up.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from pydantic_core import from_json

from app.database.database import DatabaseConnection
from app.entities import device_types
from app.errors import Invalid
from app.model.entity import Row
from app.model.schemas import known_uuid
from app.rules.labels import folded
from app.rules.leg_errors import (
    ChannelInUse,
    ChannelOutOfRange,
    InputInUse,
    SameDirection,
    SelfLoop,
)
from app.rules.merge import differing
from app.rules.path_legs import LegRun, PathLegs
from app.store.legs.leg_statements import leg_statements
from app.store.references import device_type, find_uuids

Values = Mapping[str, Any]
Leg = dict[str, Any]
_ENDS: Final = ("from", "to")
_WAYS: Final = {"from": "OUTPUT", "to": "INPUT"}


async def settle_legs(
    connection: DatabaseConnection, entity: type[Row], key: tuple[UUID, UUID], stored: Values,
    values: Values,
) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
    """Return the lists of legs among ``values`` with all that they name, and what shows them.

    ``key`` is the production and the row, ``stored`` its fields; none of a new one. Raises Invalid,
    SelfLoop, SameDirection, ChannelOutOfRange, InputInUse and ChannelInUse.
    """
    lists, fields = dict[str, Any](), dict[str, Any]()
    for name, parts in entity.parts.items():
        if parts.is_path and values.get(name):
            legs = [dict(leg) for leg in values[name]]
            settling = _LegSettling(connection, entity, *key, name, legs)
            await settling.settle(stored.get(name) or [])
            views: dict[str, Any] = {name: legs}
            entity.after_merge(stored, views)
            lists[name] = views.pop(name)
            settling.add_labels(views)
            fields |= differing(stored, views)
    return lists, fields


@dataclass
class _LegSettling:
    """The legs of one write, and what of the show they name."""

    connection: DatabaseConnection
    entity: type[Row]
    production: UUID
    own: UUID
    member: str
    legs: list[Leg]
    devices: dict[str, Any] = field(default_factory=dict)
    ports: dict[str, Any] = field(default_factory=dict)

    async def settle(self, stored: Sequence[Leg]) -> None:
        """Look up what is new in the legs, complete and refuse them."""
        before = {leg["uuid"]: _looked_up(leg) for leg in stored}
        changed = [
            n for n, leg in enumerate(self.legs) if _looked_up(leg) != before.get(leg["uuid"])
        ]
        self._join()
        for place in changed:
            for end in _ENDS:
                await self._find_label(place, end)
        await self._read_ports()
        self._add_devices_of_ports()
        self._join()
        await self._read_ports()
        await self._read_devices()
        for place in changed:
            for end in _ENDS:
                self._settle_end(place, end)
            self._settle_channel(place)
        self._join()
        before_runs = PathLegs.of(stored).runs()
        await self._refuse_occupied([
            run for run in PathLegs.of(self.legs).runs() if run not in before_runs
        ])  # fmt: skip

    def add_labels(self, fields: dict[str, Any]) -> None:
        """Add the labels of the devices and ports that the fields name by uuid."""
        for uuid, label in self.entity.ends().items():
            row = self.devices.get(str(fields.get(uuid))) or self.ports.get(str(fields.get(uuid)))
            if row is not None:
                fields[label] = row["id"]

    def _join(self) -> None:
        """Let two legs name the device between them alike. Raises Invalid where they differ."""
        for place in range(1, len(self.legs)):
            before, after = self.legs[place - 1], self.legs[place]
            one, other = _device(before, "to"), _device(after, "from")
            if any(one[1:]) and any(other[1:]) and one[1:] != other[1:]:
                if not (one[2] and other[2]):
                    continue  # a label and a uuid, until both are looked up
                words = "leaves another device than the leg before it enters: name one in both"
                raise self._wrong(place, "fromDeviceUuid", words)
            joint = one if any(one[1:]) else other
            for leg, end in ((before, "to"), (after, "from")):
                leg |= dict(zip(_names(end), joint, strict=True))

    def _wrong(self, place: int, member: str, words: str, kind: type[Invalid] = Invalid) -> Invalid:
        return kind.at(f"{self.member}.{place}.{member}", words)

    async def _find_label(self, place: int, end: str) -> None:
        """Find the device that an end names by its label alone. Raises Invalid for none."""
        leg = self.legs[place]
        word, label, uuid = _device(leg, end)
        kind = device_type(word or "")
        if uuid or not label or (word and not kind):
            return
        uuids: list[UUID] = []
        for each in [kind] if kind else device_types():
            uuids += await find_uuids(self.connection, each, self.production, label)
        if len(uuids) == 1:
            leg[f"{end}DeviceUuid"] = str(uuids[0])
        elif kind:
            words = f"{len(uuids) or 'no'} {kind.noun} is called {label[:64]!r}: send the uuid"
            raise self._wrong(place, f"{end}DeviceId", words)

    def _named(self, member: str) -> list[UUID]:
        return _uuids(leg.get(f"{end}{member}") for leg in self.legs for end in _ENDS)

    async def _read_ports(self) -> None:
        sql = leg_statements(self.entity).legs["ports"]
        arguments = self.production, self._named("DeviceUuid"), self._named("PortUuid")
        self.ports = {str(row["uuid"]): row for row in await self.connection.fetch(sql, *arguments)}

    def _add_devices_of_ports(self) -> None:
        for leg in self.legs:
            for end in _ENDS:
                port = self.ports.get(str(leg.get(f"{end}PortUuid")))
                if port is not None and not leg.get(f"{end}DeviceUuid"):
                    leg[f"{end}DeviceUuid"] = str(port["device"])

    async def _read_devices(self) -> None:
        sql = leg_statements(self.entity).legs["devices"]
        uuids = [*self._named("DeviceUuid"), *_uuids(leg.get("snakeUuid") for leg in self.legs)]
        rows = await self.connection.fetch(sql, self.production, uuids)
        self.devices = {str(row["uuid"]): row for row in rows}

    def _settle_end(self, place: int, end: str) -> None:
        leg, way = self.legs[place], _WAYS[end]
        port = self.ports.get(str(leg.get(f"{end}PortUuid")))
        if leg.get(f"{end}PortUuid") and port is None:
            raise self._wrong(place, f"{end}PortUuid", "is no port of a device of this show")
        uuid = leg.get(f"{end}DeviceUuid")
        device = self.devices.get(str(uuid))
        if uuid and device is None:
            raise self._wrong(place, f"{end}DeviceUuid", "is no device of this show")
        if port and str(port["device"]) != str(uuid):
            raise self._wrong(place, f"{end}PortUuid", "is a port of another device")
        name = leg.get(f"{end}Port")
        if device is not None:
            leg |= dict(zip(_names(end), (device["type"], None, str(uuid)), strict=True))
            port = port or (self._port_called(str(uuid), way, name) if name else None)
        if port is None:
            return
        if port["direction"] != way:
            words = f"{port['id']} is an {port['direction'].lower()}: name an {way.lower()} here"
            raise self._wrong(place, f"{end}PortUuid", words, SameDirection)
        leg |= {f"{end}Port": port["name"], f"{end}PortUuid": str(port["uuid"])}

    def _port_called(self, device: str, way: str, name: str) -> Any:
        """Return the port of a device that is called so, of its own direction first."""
        names = {
            row["direction"]: row for row in self.ports.values()
            if str(row["device"]) == device
            and folded(name) in {folded(row["name"]), folded(row["id"]), str(row["uuid"])}
        }  # fmt: skip
        return names.get(way) or next(iter(names.values()), None)

    def _settle_channel(self, place: int) -> None:
        leg = self.legs[place]
        uuid, channel = leg.get("snakeUuid"), leg.get("channel")
        snake = self.devices.get(str(uuid))
        if uuid and (snake is None or device_type(snake["type"]) not in _trunks()):
            raise self._wrong(place, "snakeUuid", "is no snake of this show")
        if channel is None:
            return
        if snake is None:
            raise self._wrong(place, "channel", "is of no snake: send snakeUuid")
        count = snake["channels"]
        if channel < 1 or (count is not None and channel > count):
            words = f"{snake['id']} has the channels 1 to {count or 'N'}, and {channel} is none"
            raise self._wrong(place, "channel", words, ChannelOutOfRange)

    async def _refuse_occupied(self, runs: Sequence[LegRun]) -> None:
        """Raise an error where a new cable ends in a used input, or rides a used channel."""
        for run in runs:
            if run.start[0] and run.start[0] == run.end[0]:
                name = self.devices[run.start[0]]["id"] if run.start[0] in self.devices else ""
                place = len(self.legs) - 1
                words = f"leads from {name or run.start[0]} back into it: name another device"
                raise self._wrong(place, "toDeviceUuid", words, SelfLoop)
        ends = _uuids(run.end[0] for run in runs if run.end[1])
        snakes = _uuids(snake for run in runs for snake, channel in run.channels if channel)
        if not ends and not snakes:
            return
        sql = leg_statements(self.entity).legs["users"]
        for row in await self.connection.fetch(sql, self.production, self.own, ends, snakes):
            for other in PathLegs.of(from_json(row["legs"])).runs():
                for run in runs:
                    self._refuse_both(run, other, row)

    def _refuse_both(self, run: LegRun, other: LegRun, row: Any) -> None:
        if run == other or not (run.start[0] and other.start[0]):
            return
        by = f", by {row['last_modified_by']}" if row["last_modified_by"] else ""
        members = {"usedBy": {"uuid": str(row["uuid"]), "id": row["id"]},
                   "lastModifiedBy": row["last_modified_by"]}  # fmt: skip
        if run.end == other.end and run.end[1] and run.start != other.start:
            device, port = self.devices.get(run.end[0]), self.ports.get(run.end[1])
            name = f"{device['id'] if device else ''} {port['name'] if port else run.end[1]}"
            raise InputInUse(
                f"{name.strip()} is fed by {row['id']}{by}: choose a free input, or take that "
                "cable out first.", **members,
            )  # fmt: skip
        for snake, channel in {*run.channels} & {*other.channels}:
            if channel is not None:
                label = self.devices[str(snake)]["id"] if str(snake) in self.devices else snake
                raise ChannelInUse(
                    f"{label} channel {channel} is taken by {row['id']}{by}: choose a free "
                    "channel, or take that cable out first.", **members,
                )  # fmt: skip


def _names(end: str) -> tuple[str, str, str]:
    return f"{end}DeviceType", f"{end}DeviceId", f"{end}DeviceUuid"


def _device(leg: Leg, end: str) -> tuple[Any, ...]:
    return tuple(leg.get(name) for name in _names(end))


def _looked_up(leg: Leg) -> list[Any]:
    """Return what of a leg names something of the show."""
    ends = [(*_device(leg, end), leg.get(f"{end}Port"), leg.get(f"{end}PortUuid")) for end in _ENDS]
    return [*ends, leg.get("snakeUuid"), leg.get("channel")]


def _uuids(values: Iterable[Any]) -> list[UUID]:
    every = {known_uuid(str(value)) for value in values if value}
    return [uuid for uuid in every if uuid]


def _trunks() -> list[type[Row]]:
    return [kind for kind in device_types() if kind.signal_role == "TRUNK"]
