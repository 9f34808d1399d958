"""Builds the graph of a show from its rows: connections first, then what other rows imply."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from app.signal.graph.elements import (
    CableRun,
    Direction,
    GraphDevice,
    GraphNode,
    Ref,
    Row,
    ShowKind,
)
from app.signal.graph.flow_graph import Fault, FlowGraph, StatedPath
from app.signal.graph.path_reading import read_path
from app.signal.graph.path_stops import PathStop
from app.signal.graph.show_devices import family_of, is_reference
from app.signal.graph.snakes import METRES_A_FOOT, length_in_metres

_CAMERA_INPUT: Final = "CAMERA"
"""What the input of a control unit is called where no port of it says so."""
_BEGINNING: Final = frozenset({"ORIGIN", "CAMERA"})


def build(show: Mapping[str, Any], kinds: Iterable[ShowKind]) -> FlowGraph:
    """Return the graph of a show: its members in wire form, with what their rows are."""
    every = list(kinds)
    graph = FlowGraph(show, every)
    for kind in every:
        if kind.role == "PATH":
            for row in show.get(kind.member) or ():
                _ConnectionReading(graph, kind, row).add()
    for device in graph.devices.all:
        match device.role:
            case "CAMERA":
                _add_camera_cable(graph, device)
            case "ORIGIN":
                _add_stated_cable(graph, device)
    _add_inner_routes(graph)
    graph.seal()
    return graph


class _ConnectionReading:
    """One connection, whose stops become nodes, and whose nodes become runs and routes."""

    def __init__(self, graph: FlowGraph, kind: ShowKind, row: Row) -> None:
        label = str(row.get("id") or row.get("uuid"))
        self.ref = Ref(kind.collection, row.get("uuid"), label, row.get("name"))
        self.graph, self.row, self.devices = graph, row, graph.devices
        self.own = f"{row.get('uuid') or row.get('id')}"
        self.nodes: list[GraphNode] = []
        self.waiting: list[GraphNode] = []
        self.stated: list[GraphDevice] = []
        self.metres: float | None = None

    def add(self) -> None:
        """Add the connection's path to the graph."""
        path = read_path(self.row, self.devices)
        for label in path.missing.values():
            words = f"{self.ref.label} names {label}, which is deleted"
            self.graph.faults.append(Fault("DELETED_DEVICE", self.ref, words))
        last = len(path.stops) - 1
        for place, stop in enumerate(path.stops):
            if stop.metres is not None:
                self.metres = (self.metres or 0) + stop.metres
            if stop.device is not None and stop.device.role == "TRUNK":
                self._ride(stop)
            else:
                self._pass(stop, place, last)
        if self.waiting:
            self._cable_to(self.waiting.pop())
        self.graph.paths.append(StatedPath(self.ref, self.nodes, self.stated))

    def _ride(self, stop: PathStop) -> None:
        assert stop.device is not None
        self.stated.append(stop.device)
        self.waiting.append(self.devices.channel(stop.device, stop.channel, self.own))

    def _pass(self, stop: PathStop, place: int, last: int) -> None:
        device = self._device(stop)
        self.stated.append(device)
        enters = None
        # A device that only this list names is told apart by what feeds it already.
        is_own = 0 < place < last and not (stop.is_listed and stop.device is None)
        if place > 0 or stop.enters or not self._begins_at(device):
            enters = self._port(device, "INPUT", stop.enters, self.own if is_own else "")
            self._cable_to(enters)
        if place < last or stop.leaves:
            leaves = self._port(device, "OUTPUT", stop.leaves, self.own if is_own else "")
            if enters is not None and not stop.is_missing:
                self.graph.add_route(enters, leaves, self.ref)
            self.nodes.append(leaves)

    def _begins_at(self, device: GraphDevice) -> bool:
        """Return whether the signal begins at the first device, and does not only pass it."""
        return device.role in _BEGINNING or bool(
            self.row.get("sourceUuid") or self.row.get("sourceId")
        )

    def _device(self, stop: PathStop) -> GraphDevice:
        if stop.device is not None:
            return stop.device
        if stop.is_missing:
            return self.devices.typed(stop.typed, f"deleted {stop.typed}")
        before = self.nodes[-1] if self.nodes else None
        if stop.is_listed:
            within = f"{before.device.ref.uuid} {before.words}" if before else self.own
            return self.devices.typed(stop.typed, within)
        return self.devices.typed(stop.typed)

    def _port(
        self, device: GraphDevice, direction: Direction, name: str | None, within: str
    ) -> GraphNode:
        if not name and direction == "INPUT" and device.role == "CONTROL_UNIT":
            return camera_input(self.graph, device)
        if not name:
            only = self.devices.only_port(device, direction)
            return only or self.devices.further_port(device, direction, "", within)
        listed = self.devices.listed_port(device, direction, name)
        other: Direction = "OUTPUT" if direction == "INPUT" else "INPUT"
        if listed is None and self.devices.listed_port(device, other, name):
            words = f"{self.ref.label} uses {device.ref.label} {name} as an {direction.lower()}"
            self.graph.faults.append(Fault("SAME_DIRECTION", self.ref, words))
        return listed or self.devices.further_port(device, direction, name)

    def _cable_to(self, end: GraphNode) -> None:
        """Add the run from the last node by the channels that wait, if there is one."""
        channels, self.waiting = self.waiting, []
        if not self.nodes and channels:
            self.nodes.append(channels.pop(0))
        if self.nodes and self.nodes[-1] is not end:
            start = self.nodes[-1]
            self._measure(self.graph.add_run(start, channels, end, self.ref))
            if start.device is end.device and start.direction == "OUTPUT":
                words = f"{self.ref.label} leads from {start.words} back into {end.words}"
                self.graph.faults.append(Fault("SELF_LOOP", self.ref, words))
        self.nodes += [*channels, end]

    def _measure(self, run: CableRun) -> None:
        """Add the lengths of the legs, and of the trunks that they ride, to a run."""
        metres, self.metres = self.metres, None
        if metres is not None:
            trunks = sum(length_in_metres(channel.device) or 0 for channel in run.channels)
            run.metres = max(run.metres or 0, metres + trunks)


def _add_camera_cable(graph: FlowGraph, camera: GraphDevice) -> None:
    """Add the cable of a camera to its control unit, unless a connection states it."""
    unit = graph.devices.by_uuid.get(camera.row.get("ccuUuid") or "")
    unit = unit or graph.devices.labelled(camera.row.get("ccuId"), "CCU")
    if unit is None or unit.role != "CONTROL_UNIT":
        return
    run = graph.cable_between(camera, unit)
    if run is None:
        output = graph.devices.only_port(camera, "OUTPUT")
        start = output or graph.devices.further_port(camera, "OUTPUT", "")
        run = graph.add_run(start, (), camera_input(graph, unit), camera.ref)
    feet = camera.row.get("smpteCableLength")
    if isinstance(feet, int | float):
        run.metres = feet * METRES_A_FOOT


def camera_input(graph: FlowGraph, unit: GraphDevice) -> GraphNode:
    """Return the input of a control unit that its camera's cable ends at."""
    inputs = (port for port in graph.devices.ports[unit] if port.direction == "INPUT")
    port = next((port for port in inputs if family_of(port) == "CAMERA"), None)
    return port or graph.devices.named_port(unit, "INPUT", _CAMERA_INPUT)


def _add_stated_cable(graph: FlowGraph, device: GraphDevice) -> None:
    """Add the cable of a source to the device that its row says it feeds, if that is a row."""
    row, devices = device.row, graph.devices
    fed = devices.labelled(row.get("secondaryDevice"))
    if fed is None or fed is device or fed.role == "TRUNK" or graph.cable_between(device, fed):
        return
    name, port = row.get("primaryDevicePort"), row.get("secondaryDevicePort")
    start = devices.named_port(device, "OUTPUT", name) if name else None
    start = start or devices.only_port(device, "OUTPUT")
    end = devices.named_port(fed, "INPUT", port) if port else devices.only_port(fed, "INPUT")
    graph.add_run(
        start or devices.further_port(device, "OUTPUT", ""), (),
        end or devices.further_port(fed, "INPUT", ""), device.ref,
    )  # fmt: skip


def _add_inner_routes(graph: FlowGraph) -> None:
    """Add the ways that devices have by themselves: of control units, and of loops."""
    further: defaultdict[GraphDevice, list[GraphNode]] = defaultdict(list)
    for node in graph.devices.further_ports():
        further[node.device].append(node)
    for device in graph.devices.all:
        _add_loops(graph, device)
        if device.role == "CONTROL_UNIT":
            _add_unit_routes(graph, device, [*graph.devices.ports[device], *further[device]])


def _add_loops(graph: FlowGraph, device: GraphDevice) -> None:
    """Add the way from each input to the output that loops it through."""
    ports = graph.devices.ports[device]
    by_uuid = {port.uuid: port for port in ports if port.uuid}
    for port in ports:
        partner = by_uuid.get(port.row.get("loopUuid") or "")
        if partner is not None and partner.direction != port.direction:
            is_output = port.direction == "OUTPUT"
            start, end = (partner, port) if is_output else (port, partner)
            graph.add_route(start, end, device.ref)


def _add_unit_routes(graph: FlowGraph, unit: GraphDevice, nodes: list[GraphNode]) -> None:
    """Add the ways of a control unit: its camera comes out of every output."""
    for start in nodes:
        if start.direction == "INPUT" and family_of(start) in {"CAMERA", ""}:
            for end in nodes:
                if end.direction == "OUTPUT" and not is_reference(end):
                    graph.add_route(start, end, unit.ref)
