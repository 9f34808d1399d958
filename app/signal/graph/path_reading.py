"""A connection's members read into the ordered path that they state.

Legs come first. The older members name a source with an output, a device between with an input
and an output, and a destination. ``signalPath`` may list further devices and channels in the order
of the signal.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.signal.graph.elements import Row
from app.signal.graph.leg_reading import read_legs
from app.signal.graph.path_stops import ConnectionPath, PathStop
from app.signal.graph.show_devices import ShowDevices, last_number

_CHANNEL: Final = re.compile(
    r"(.+?)[\s,:/-]*\b(?:CH|CHAN|CHANNEL|PAIR)\b\.?\s*([0-9]{1,5})", re.IGNORECASE
)
_NAMES: Final = ("deviceUuid", "uuid", "deviceId", "device", "id", "label", "name")
_MOST_STOPS: Final = 64
"""A path of more devices is not read on: signalPath is free JSON."""


def read_path(row: Row, devices: ShowDevices) -> ConnectionPath:
    """Return the path that a connection states: by its legs, else by its older members."""
    legs = row.get("legs")
    if isinstance(legs, list) and legs:
        return read_legs(legs, devices)
    reading = _PathReading(row, devices, {})
    first = reading.device("sourceUuid", "sourceId", None)
    between = reading.device("intermediateUuid", "intermediateId", row.get("intermediateType"))
    last = reading.device("destinationUuid", "destinationId", row.get("destinationType"))
    stops = list(reading.listed_stops())
    if between is not None:
        stops = _with_ports(stops, reading.between(between), last)
    if first is not None:
        output = row.get("sourceOutputUuid") or row.get("sourceOutputId")
        first.leaves = output
        stops = _ending_in(first, stops, 0)
    if last is not None:
        stops = _ending_in(last, stops, -1)
    return ConnectionPath(list(_joined(stops)), reading.missing)


@dataclass(frozen=True)
class _PathReading:
    row: Row
    devices: ShowDevices
    missing: dict[str, str]

    def device(self, uuid_member: str, label_member: str, kind: Any) -> PathStop | None:
        """Return the device that two members name; None where neither does."""
        uuid, label = self.row.get(uuid_member), self.row.get(label_member)
        if uuid:
            device = self.devices.by_uuid.get(str(uuid))
            if device is not None:
                return PathStop(device)
            self.missing[uuid_member] = str(label or uuid)
            return PathStop(None, self.missing[uuid_member], is_missing=True)
        return self._of_label(str(label), str(kind or "")) if label else None

    def between(self, stop: PathStop) -> PathStop:
        enters, leaves = self.row.get("intermediateInput"), self.row.get("intermediateOutput")
        if stop.device is not None and stop.device.role == "TRUNK":
            stop.channel = stop.channel or last_number(str(enters or leaves or ""))
        else:
            stop.enters, stop.leaves = enters, leaves
        return stop

    def listed_stops(self) -> Iterator[PathStop]:
        """Yield what ``signalPath`` names, where it is a list of names or of objects with one."""
        listed = self.row.get("signalPath")
        if not isinstance(listed, list):
            return
        for item in listed[:_MOST_STOPS]:
            text = _name_of(item)
            if text:
                stop = self._of_label(text, "")
                stop.is_listed = True
                if isinstance(item, Mapping):
                    _add_members(stop, item)
                yield stop

    def _of_label(self, label: str, kind: str) -> PathStop:
        device = self.devices.by_uuid.get(label) or self.devices.labelled(label, kind)
        if device is not None:
            return PathStop(device)
        if match := _CHANNEL.fullmatch(label.strip()):
            snake = self.devices.labelled(match[1])
            if snake is not None and snake.role == "TRUNK":
                return PathStop(snake, channel=int(match[2]))
        return PathStop(None, label)


def _name_of(item: Any) -> str:
    if isinstance(item, str):
        return item.strip()
    if isinstance(item, Mapping):
        texts = (item.get(name) for name in _NAMES)
        return next((text.strip() for text in texts if isinstance(text, str) and text.strip()), "")
    return ""


def _add_members(stop: PathStop, item: Mapping[str, Any]) -> None:
    """Add the ports or the channel that an object of the list names."""
    channel = item.get("channel")
    if isinstance(channel, int) and not isinstance(channel, bool):
        stop.channel = stop.channel or channel
    stop.enters, stop.leaves = _text(item.get("input")), _text(item.get("output"))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _same(one: PathStop, other: PathStop) -> bool:
    if one.device is not None or other.device is not None:
        numbers = (one.channel, other.channel)
        return one.device is other.device and (None in numbers or numbers[0] == numbers[1])
    return one.typed.lower() == other.typed.lower()


def _with_ports(stops: list[PathStop], between: PathStop, last: PathStop | None) -> list[PathStop]:
    """Return the stops with the ports of the device between, which is added where it is missing."""
    for place, stop in enumerate(stops):
        if _same(stop, between):
            _complete(between, stop)
            return [*stops[:place], between, *stops[place + 1 :]]
    is_last_listed = bool(stops and last and _same(stops[-1], last))
    head, tail = (stops[:-1], stops[-1:]) if is_last_listed else (stops, [])
    return [*head, between, *tail]


def _complete(stop: PathStop, listed: PathStop) -> None:
    """Add the ports and the channel that the free list names of the same device."""
    stop.enters, stop.leaves = stop.enters or listed.enters, stop.leaves or listed.leaves
    stop.channel = stop.channel or listed.channel


def _ending_in(end: PathStop, stops: list[PathStop], place: int) -> list[PathStop]:
    """Return the stops with an end that the connection names itself, once, with all its ports."""
    if stops and _same(stops[place], end):
        listed, stops = stops[place], stops[1:] if place == 0 else stops[:-1]
        _complete(end, listed)
    return [end, *stops] if place == 0 else [*stops, end]


def _joined(stops: list[PathStop]) -> Iterator[PathStop]:
    """Yield the stops, two of one device in a row as one."""
    previous: PathStop | None = None
    for stop in stops:
        if previous is not None and stop == previous:
            continue
        yield stop
        previous = stop
