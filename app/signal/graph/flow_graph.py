"""The graph of a show: who leads to whom, by which cable or route."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from app.signal.graph.elements import (
    CableRun,
    GraphDevice,
    GraphEdge,
    GraphNode,
    Ref,
    ShowKind,
)
from app.signal.graph.show_devices import ShowDevices

Step = Callable[[GraphNode], Iterable[GraphEdge]]


class Fault(NamedTuple):
    """What is wrong with a connection's own members: the code of a rule, and what to say."""

    code: str
    connection: Ref
    words: str


class StatedPath(NamedTuple):
    """A connection with the nodes that it passes in order, and the devices of its own."""

    ref: Ref
    nodes: list[GraphNode]
    devices: list[GraphDevice]


class FlowGraph:
    """Devices, nodes, runs and routes of one show. Nothing is changed once it is built."""

    def __init__(self, show: Mapping[str, Any], kinds: Iterable[ShowKind]) -> None:
        self.devices = ShowDevices(show, kinds)
        self.after: defaultdict[GraphNode, list[GraphEdge]] = defaultdict(list)
        self.before: defaultdict[GraphNode, list[GraphEdge]] = defaultdict(list)
        self.runs: list[CableRun] = []
        self.paths: list[StatedPath] = []
        self.faults: list[Fault] = []
        self._by_device: defaultdict[GraphDevice, list[GraphNode]] = defaultdict(list)
        self._edges: dict[tuple[GraphNode, GraphNode, CableRun | None], GraphEdge] = {}
        self._runs: dict[tuple[GraphNode, tuple[GraphNode, ...], GraphNode], CableRun] = {}
        self._cabled: dict[tuple[GraphDevice, GraphDevice], CableRun] = {}

    def add_run(
        self, start: GraphNode, channels: Iterable[GraphNode], end: GraphNode, stated_by: Ref
    ) -> CableRun:
        """Add a cable, or name one more row that states it."""
        key = (start, tuple(channels), end)
        run = self._runs.get(key)
        if run is None:
            run = self._runs[key] = CableRun(*key)
            self.runs.append(run)
            self._cabled.setdefault((start.device, end.device), run)
        if stated_by not in run.statements:
            run.statements.append(stated_by)
        nodes = [start, *key[1], end]
        for one, other in pairwise(nodes):
            self._add_edge(one, other, run, run.statements)
        return run

    def add_route(self, start: GraphNode, end: GraphNode, stated_by: Ref) -> None:
        """Add a way inside a device, or name one more row that states it."""
        edge = self._add_edge(start, end, None, [])
        if stated_by not in edge.statements:
            edge.statements.append(stated_by)

    def _add_edge(
        self, start: GraphNode, end: GraphNode, run: CableRun | None, statements: list[Ref]
    ) -> GraphEdge:
        key = (start, end, run)
        if key not in self._edges:
            edge = self._edges[key] = GraphEdge(start, end, run, statements)
            self.after[start].append(edge)
            self.before[end].append(edge)
        return self._edges[key]

    def cable_between(self, start: GraphDevice, end: GraphDevice) -> CableRun | None:
        """Return the first cable that leads from one device to another."""
        return self._cabled.get((start, end))

    @property
    def edges(self) -> Iterable[GraphEdge]:
        """Return every step that a signal can take."""
        return self._edges.values()

    def edges_after(self, node: GraphNode) -> list[GraphEdge]:
        """Return the steps that a signal takes from a node."""
        return self.after.get(node, [])

    def edges_before(self, node: GraphNode) -> list[GraphEdge]:
        """Return the steps by which a signal comes to a node."""
        return self.before.get(node, [])

    def nodes_of(self, device: GraphDevice) -> list[GraphNode]:
        """Return the ports and channels of a device that a cable or a route touches."""
        return self._by_device.get(device, [])

    def seal(self) -> None:
        """Index the nodes by their device, once all is there."""
        for node in self.nodes():
            self._by_device[node.device].append(node)

    def nodes(self) -> Iterator[GraphNode]:
        """Yield each node that a cable or a route touches, in the order of the rows."""
        yield from dict.fromkeys(
            node for edge in self._edges.values() for node in (edge.start, edge.end)
        )

    def reach(
        self, starts: Iterable[GraphNode], without: "Removal | None" = None, *, upstream: bool
    ) -> set[GraphNode]:
        """Return all that signals of these nodes come to, or come from; the nodes included."""
        removal = without or Removal()
        waiting = [node for node in starts if node not in removal.nodes]
        reached = set(waiting)
        while waiting:
            node = waiting.pop()
            for edge in self.edges_before(node) if upstream else self.edges_after(node):
                other = edge.start if upstream else edge.end
                if other not in reached and not removal.covers(edge, other):
                    reached.add(other)
                    waiting.append(other)
        return reached


class Removal(NamedTuple):
    """What is thought away: nodes, and the edges that these rows alone state."""

    nodes: frozenset[GraphNode] = frozenset()
    rows: frozenset[Ref] = frozenset()

    def covers(self, edge: GraphEdge, node: GraphNode) -> bool:
        """Return whether an edge to a node is thought away."""
        return node in self.nodes or bool(self.rows and self.rows.issuperset(edge.statements))
