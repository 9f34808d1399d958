"""The devices of a show and their ports, looked up as people name them."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from app.rules import labels
from app.rules.signal_roles import SignalRole
from app.signal.graph.elements import Direction, GraphDevice, GraphNode, Ref, Row, ShowKind

NOT_DEVICES: Final = frozenset({"", "PORT", "PATH"})
# Ports of many devices are called alike, and paths name the same devices over and over.
folded: Final = lru_cache(maxsize=16_384)(labels.folded)
_LAST_NUMBER: Final = re.compile(r"([0-9]{1,9})\D*$")
_LETTERS: Final = re.compile(r"[^A-Z0-9]")
# What people type for a device that makes another format of what it gets.
_PROCESSING: Final = re.compile(r"PROCESSOR|SCALER|SYNC|SWITCHER|STANDARDS", re.IGNORECASE)


class ShowDevices:
    """Every device of a show, by uuid and by label, with its ports and channels.

    Asking for a port or a channel that no row has makes it, once.
    """

    def __init__(self, show: Mapping[str, Any], kinds: Iterable[ShowKind]) -> None:
        self.all: list[GraphDevice] = []
        self.by_uuid: dict[str, GraphDevice] = {}
        self.ports: dict[GraphDevice, list[GraphNode]] = {}
        self.port_by_uuid: dict[str, GraphNode] = {}
        self._by_label: defaultdict[str, list[GraphDevice]] = defaultdict(list)
        self._typed: dict[str, GraphDevice] = {}
        self._by_name: defaultdict[tuple[GraphDevice, Direction], dict[str, GraphNode]]
        self._by_name = defaultdict(dict)
        self._further: dict[tuple[GraphDevice, Direction, str], GraphNode] = {}
        self._channels: defaultdict[GraphDevice, dict[int, GraphNode]] = defaultdict(dict)
        every = list(kinds)
        self._types = {_LETTERS.sub("", kind.entity_type.upper()): kind for kind in every}
        for kind in every:
            if kind.role not in NOT_DEVICES:
                for row in show.get(kind.member) or ():
                    self._add(GraphDevice(_ref(kind, row), kind.role, row))
        for kind in every:
            if kind.role == "PORT":
                for row in show.get(kind.member) or ():
                    self._add_port(kind, row)
        for device in self.all:
            self._add_outputs(device)

    def _add(self, device: GraphDevice) -> None:
        self.all.append(device)
        self.ports[device] = []
        self._by_label[folded(device.ref.label)].append(device)
        if device.ref.uuid:
            self.by_uuid[device.ref.uuid] = device
        if device.role == "TRUNK":
            for row in device.row.get("channels") or ():
                channel = GraphNode(
                    device, "CHANNEL", str(row["number"]), row["uuid"], device.ref.collection, row
                )
                self._channels[device][row["number"]] = self.port_by_uuid[row["uuid"]] = channel

    def _add_port(self, kind: ShowKind, row: Row) -> None:
        device = self.by_uuid.get(row.get("deviceUuid") or "") or self.labelled(
            row.get("deviceId"), row.get("deviceType")
        )
        if device is None:
            return
        label = str(row.get("portLabel") or row.get("id") or "")
        if device.role == "TRUNK":
            number = last_number(label)
            if number and number not in self._channels[device]:
                self._channels[device][number] = GraphNode(
                    device, "CHANNEL", str(number), row.get("uuid"), kind.collection, row
                )
            if number and row.get("uuid"):
                self.port_by_uuid[row["uuid"]] = self._channels[device][number]
            return
        self._list_port(
            GraphNode(device, row["direction"], label, row.get("uuid"), kind.collection, row)
        )

    def _list_port(self, port: GraphNode) -> None:
        self.ports[port.device].append(port)
        if port.uuid:
            self.port_by_uuid[port.uuid] = port
        names = self._by_name[port.device, port.direction]
        for name in _names(port):
            names.setdefault(name, port)

    def _add_outputs(self, device: GraphDevice) -> None:
        """Add the outputs that a device lists itself, but for those that are ports already."""
        outputs = device.row.get("outputs")
        if not isinstance(outputs, list):
            return
        existing = self._by_name[device, "OUTPUT"]
        for place, row in enumerate(filter(_is_object, outputs), 1):
            label = str(row.get("label") or row.get("id") or f"{device.ref.label}-OUT{place}")
            if folded(label) not in existing:
                uuid, collection = row.get("uuid"), device.ref.collection
                self._list_port(GraphNode(device, "OUTPUT", label, uuid, collection, row))

    def labelled(self, label: str | None, type_: str | None = None) -> GraphDevice | None:
        """Return the one device with a label, of a type where several have it; else None."""
        devices = self._by_label.get(folded(str(label or "")), [])
        if len(devices) > 1 and type_:
            kind = self._types.get(_LETTERS.sub("", str(type_).upper()))
            devices = [one for one in devices if kind and one.ref.collection == kind.collection]
        return devices[0] if len(devices) == 1 else None

    def typed(self, label: str, within: str = "") -> GraphDevice:
        """Return the device that is only typed by hand; ``within`` tells two of one label apart."""
        key = f"{folded(label)}\n{within}"
        if key not in self._typed:
            role: SignalRole = "PROCESSING" if _PROCESSING.search(label) else "PASSING"
            device = GraphDevice(Ref("", None, label), role, {}, label)
            self._typed[key] = device
            self.ports[device] = []
        return self._typed[key]

    def named_port(self, device: GraphDevice, direction: Direction, name: str) -> GraphNode:
        """Return the port of a device that people name so; where no row has it, one without."""
        port = self.listed_port(device, direction, name)
        return port or self.further_port(device, direction, name)

    def listed_port(self, device: GraphDevice, direction: Direction, name: str) -> GraphNode | None:
        """Return the port of a device that a row has and people name so."""
        names = self._by_name[device, direction]
        return names.get(name) or names.get(folded(name))

    def only_port(self, device: GraphDevice, direction: Direction) -> GraphNode | None:
        """Return the device's one port for pictures in that direction; None of several or none."""
        ports = [
            port for port in self.ports[device]
            if port.direction == direction and not is_reference(port)
        ]  # fmt: skip
        return ports[0] if len(ports) == 1 else None

    def further_port(
        self, device: GraphDevice, direction: Direction, label: str, within: str = ""
    ) -> GraphNode:
        """Return a port that no row has. One without a label is of one path, ``within``."""
        key = (device, direction, folded(label) or within)
        if key not in self._further:
            self._further[key] = GraphNode(device, direction, label)
        return self._further[key]

    def further_ports(self) -> Iterable[GraphNode]:
        """Return the ports that no row has."""
        return self._further.values()

    def channel(self, snake: GraphDevice, number: int | None, within: str) -> GraphNode:
        """Return a channel of a snake; one whose number nobody says is of one path, ``within``."""
        if number is None:
            return self.further_port(snake, "CHANNEL", "", within)
        channels = self._channels[snake]
        if number not in channels:
            channels[number] = GraphNode(snake, "CHANNEL", str(number))
        return channels[number]

    def channels(self, snake: GraphDevice) -> dict[int, GraphNode]:
        """Return the numbered channels that rows or paths name."""
        return self._channels[snake]


def last_number(text: str) -> int | None:
    """Return the number that ends a text: 7 of "CH 7"."""
    match = _LAST_NUMBER.search(text)
    return int(match[1]) if match else None


def is_reference(port: GraphNode) -> bool:
    """Return whether a port carries sync and no picture."""
    return family_of(port) == "REFERENCE"


def family_of(port: GraphNode) -> str:
    """Return the kind of signal of a port as the catalogue calls it; "" where nobody says."""
    stated = str(port.row.get("signalFamily") or "").upper()
    return stated or _family_of_words(
        str(port.row.get("ioType") or port.row.get("connector") or port.row.get("type") or "")
    )


def _family_of_words(words: str) -> str:
    upper = words.upper()
    if "DISPLAY" in upper and "PORT" in upper:
        return "DP"
    return next((family for sign, family in _FAMILIES if sign in upper), "")


_FAMILIES: Final = (
    ("SMPTE 311", "CAMERA"), ("SDI", "SDI"), ("HDMI", "HDMI"), ("DVI", "DVI"), ("VGA", "VGA"),
    ("HDBASET", "HDBASET"), ("REF", "REFERENCE"), ("NDI", "IP"), ("2110", "IP"), ("SRT", "IP"),
    ("FIBER", "FIBRE"), ("FIBRE", "FIBRE"), ("DP", "DP"),
)  # fmt: skip
"""What a word in the type of a port says of its family."""


def _names(port: GraphNode) -> set[str]:
    row = port.row
    texts = {port.label, row.get("id"), row.get("portLabel"), row.get("label")}
    names = {folded(str(text)) for text in texts if text}
    return {*names, port.uuid} if port.uuid else names


def _ref(kind: ShowKind, row: Row) -> Ref:
    uuid, name = row.get("uuid"), row.get("name")
    return Ref(kind.collection, uuid, str(row.get("id") or name or uuid), name)


def _is_object(value: object) -> bool:
    return isinstance(value, Mapping)
