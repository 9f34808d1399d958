"""Makes a diagram of a show's signal flow: of the whole, or of the ways through one thing."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Final, Literal

from app.signal.answers.show_signal import ShowSignal
from app.signal.answers.things import SignalThing
from app.signal.checks.rule_table import FlowProblem
from app.signal.diagram.bundles import bundles
from app.signal.diagram.diagram_elements import (
    CablePart,
    ChangeMark,
    DiagramBox,
    DiagramCable,
    DiagramChange,
    DiagramPort,
    DiagramTitle,
    ShowDiagram,
)
from app.signal.graph.elements import CableRun, GraphDevice, GraphEdge, GraphNode, Ref
from app.signal.graph.show_devices import family_of

Changes = Mapping[str, DiagramChange]
Side = Literal["upstream", "downstream"]
NO_CHANGES: Final[Changes] = {}


def show_diagram(
    signal: ShowSignal, title: DiagramTitle, changes: Changes = NO_CHANGES,
    thing: SignalThing | None = None, direction: Side | None = None,
) -> ShowDiagram:  # fmt: skip
    """Return the diagram of a show, or of the ways through a thing, both ways without direction."""
    drawing = _Drawing(signal, changes, _ways(signal, thing, direction) if thing else None)
    boxes, cables = drawing.boxes(thing), drawing.cables()
    deleted = [change for change in changes.values() if change.is_deleted]
    if thing is None:
        problems = signal.problems
    else:
        listed = [
            *(problem for box in boxes for problem in box.problems),
            *(problem for cable in cables for problem in cable.problems),
        ]
        ports = [problem for box in boxes for port in box.ports for problem in port.problems]
        problems = list(dict.fromkeys([*listed, *ports]))
    return ShowDiagram(title, boxes, cables, problems, deleted)


def _ways(signal: ShowSignal, thing: SignalThing, direction: Side | None) -> list[GraphEdge]:
    """Return each step that a signal takes to a thing, from it, or both."""
    edges: dict[GraphEdge, None] = {}
    for upstream in (True, False):
        if direction != ("downstream" if upstream else "upstream"):
            reached = signal.graph.reach(thing.nodes, upstream=upstream)
            for edge in signal.graph.edges:
                if edge.start in reached and edge.end in reached:
                    edges[edge] = None
    return list(edges)


class _Drawing:
    """Turns devices into boxes and runs into cables; ``ways`` are the steps that are drawn."""

    def __init__(self, signal: ShowSignal, changes: Changes, ways: list[GraphEdge] | None) -> None:
        self.signal, self.changes, self.ways = signal, changes, ways
        self.graph = signal.graph
        chosen = self.graph.runs
        if ways is not None:
            ridden = {edge.run for edge in ways}
            chosen = [run for run in chosen if run in ridden]
        self.runs = chosen
        self.bundles = bundles(chosen)
        self.ports: dict[GraphNode, DiagramPort] = {}
        self.box_of: dict[GraphNode, DiagramBox] = {}
        self.path_rows = {path.ref for path in self.graph.paths}
        self.of_device: defaultdict[GraphDevice, list[FlowProblem]] = defaultdict(list)
        self.of_path: defaultdict[Ref, list[FlowProblem]] = defaultdict(list)
        for problem in signal.problems:
            if not any(isinstance(place, CableRun) for place in problem.at):
                self._mark(problem)

    def _mark(self, problem: FlowProblem) -> None:
        """Note a problem of no cable at the connections that it names; else at its devices."""
        paths = [ref for ref in problem.where if ref in self.path_rows]
        for ref in paths:
            self.of_path[ref].append(problem)
        if not paths:
            named = (self.graph.devices.by_uuid.get(ref.uuid or "") for ref in problem.where)
            nodes = (node.device for node in problem.at if isinstance(node, GraphNode))
            for device in dict.fromkeys([*named, *nodes]):
                if device is not None:
                    self.of_device[device].append(problem)

    def boxes(self, thing: SignalThing | None) -> list[DiagramBox]:
        """Return the boxes of all devices, or of those on the ways and that of the thing."""
        nodes: defaultdict[GraphDevice, dict[GraphNode, bool]] = defaultdict(dict)
        for run in self.runs:
            for node in (run.start, *run.channels, run.end):
                nodes[node.device][node] = False
        devices: Iterable[GraphDevice] = nodes
        if self.ways is None:
            for device in self.graph.devices.all:
                listed = self.graph.devices.channels(device).values()
                for node in (*self.graph.devices.ports[device], *listed):
                    nodes[device].setdefault(node, True)
            rows = dict.fromkeys(self.graph.devices.all)
            devices = [*rows, *(device for device in nodes if device not in rows)]
        elif thing is not None and thing.device is not None and thing.device not in nodes:
            devices = [*nodes, thing.device]
        boxes: list[DiagramBox] = []
        for number, device in enumerate(devices, 1):
            boxes += self._boxes_of(device, f"d{number}", nodes[device])
        self._add_routes()
        return boxes

    def _boxes_of(
        self, device: GraphDevice, key: str, nodes: dict[GraphNode, bool]
    ) -> list[DiagramBox]:
        """Return the box of a device; of a snake one for each bundle of channels."""
        ref = device.ref
        problems = self.of_device[device]
        change = self._change(ref.uuid)
        by_part: defaultdict[int, list[GraphNode]] = defaultdict(list)
        for node in self._in_order(device, nodes):
            by_part[self.bundles.get(node, 1)].append(node)
        boxes = []
        for part in sorted({1, *by_part}):
            own = problems if part == 1 else []
            suffix = "" if part == 1 else f"-{part}"
            box = DiagramBox(f"{key}{suffix}", ref, device.role, [], own, change, part)
            for node in by_part[part]:
                self.ports[node] = self._port(node, is_spare=nodes[node])
                self.box_of[node] = box
                box.ports.append(self.ports[node])
            boxes.append(box)
        return boxes

    def _in_order(self, device: GraphDevice, nodes: dict[GraphNode, bool]) -> list[GraphNode]:
        """Return the ports in the order of the rows, then others; channels by their number."""
        if device.role == "TRUNK":
            return sorted(nodes, key=lambda n: int(n.label) if n.label.isdecimal() else 10**9)
        listed = [port for port in self.graph.devices.ports.get(device, ()) if port in nodes]
        return list(dict.fromkeys([*listed, *nodes]))

    def _port(self, node: GraphNode, *, is_spare: bool) -> DiagramPort:
        stated = self.signal.formats.at(node)
        # A send that is dark says so itself, and all of its ports would.
        problems = [
            problem for problem in self.signal.problems_at.get(node, ())
            if problem.severity != "info"
        ]  # fmt: skip
        return DiagramPort(
            node.uuid, node.collection, node.label, node.direction, family_of(node),
            stated.words if stated else "", is_spare, problems, self._change(node.uuid),
        )  # fmt: skip

    def _add_routes(self) -> None:
        for edge in self.graph.edges if self.ways is None else self.ways:
            ends = edge.start, edge.end
            if edge.run is None and all(node in self.ports for node in ends):
                box = self.box_of[edge.start]
                box.routes.append((self.ports[edge.start], self.ports[edge.end]))

    def _change(self, uuid: str | None) -> ChangeMark:
        change = self.changes.get(uuid or "")
        if change is None or change.is_deleted:
            return ""
        return "new" if change.is_new else "changed"

    def cables(self) -> list[DiagramCable]:
        """Return every run as a cable."""
        return [self._cable(f"c{number}", run) for number, run in enumerate(self.runs, 1)]

    def _cable(self, key: str, run: CableRun) -> DiagramCable:
        nodes = [run.start, *run.channels, run.end]
        parts = [
            CablePart(self.box_of[one], self.ports[one], self.box_of[other], self.ports[other])
            for one, other in pairwise(nodes)
        ]
        paths = [ref for ref in run.statements if ref in self.path_rows]
        changes = {self._change(ref.uuid) for ref in run.statements}
        change: ChangeMark = "new" if changes == {"new"} else "changed" if changes - {""} else ""
        stated = self.signal.formats.at(run.start)
        problems = [problem for ref in paths for problem in self.of_path[ref]]
        problems = list(dict.fromkeys([*self.signal.problems_at.get(run, ()), *problems]))
        return DiagramCable(
            key, paths or list(run.statements), parts, family_of(run.start) or family_of(run.end),
            stated.words if stated else "", run.metres, problems, change, bool(paths),
        )  # fmt: skip
