"""The ways of a signal from a thing, one for each way that it splits."""

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from app.signal.answers.things import SignalThing
from app.signal.checks.show_checks import ORIGINS
from app.signal.graph.elements import GraphEdge, GraphNode
from app.signal.graph.flow_graph import FlowGraph

WalkEnd = Literal["source", "send", "open", "loop"]
MOST_WALKS: Final = 200
"""A mesh of devices has more ways than anybody reads."""


class Walk(NamedTuple):
    """Nodes in the order of asking, the step between each two, and how it ends."""

    nodes: tuple[GraphNode, ...]
    steps: tuple[GraphEdge | None, ...]
    end: WalkEnd


def walks(graph: FlowGraph, thing: SignalThing, *, upstream: bool) -> list[Walk]:
    """Return the ways from a thing, at most ``MOST_WALKS``, in the order of the rows."""
    ways: list[Walk] = []
    for start in _beginnings(thing, upstream=upstream):
        for walk in _walks_from(graph, start, upstream=upstream):
            ways.append(walk)
            if len(ways) == MOST_WALKS:
                return ways
    return ways


def _beginnings(thing: SignalThing, *, upstream: bool) -> Iterator[tuple[GraphNode, ...]]:
    """Yield what each way begins with: a connection's own nodes, or a node of the device.

    A device is asked from the side that signals come in, or leave by.
    """
    if thing.is_path:
        if thing.nodes:
            yield thing.nodes[::-1] if upstream else thing.nodes
        return
    if thing.device is None:
        yield from ((node,) for node in thing.nodes)
        return
    side = "INPUT" if upstream else "OUTPUT"
    nodes = [node for node in thing.nodes if node.direction in {side, "CHANNEL"}]
    yield from ((node,) for node in nodes or thing.nodes)


def _walks_from(
    graph: FlowGraph, beginning: tuple[GraphNode, ...], *, upstream: bool
) -> Iterator[Walk]:
    """Yield each way that goes on from a beginning, depth first, without recursion."""
    nodes: list[GraphNode] = [beginning[0]]
    steps: list[GraphEdge | None] = []
    for node in beginning[1:]:
        steps.append(_step(graph, nodes[-1], node, upstream=upstream))
        nodes.append(node)
    waiting: list[tuple[int, GraphEdge | None]] = [(len(nodes), None)]
    while waiting:
        length, edge = waiting.pop()
        if edge is not None:
            del nodes[length:], steps[length - 1 :]
            node = edge.start if upstream else edge.end
            is_loop = node in nodes
            nodes.append(node)
            steps.append(edge)
            if is_loop:
                yield Walk(tuple(nodes), tuple(steps), "loop")
                continue
        edges = graph.edges_before(nodes[-1]) if upstream else graph.edges_after(nodes[-1])
        if not edges:
            yield Walk(tuple(nodes), tuple(steps), _end(nodes[-1], upstream=upstream))
        waiting += [(len(nodes), edge) for edge in reversed(edges)]


def _step(
    graph: FlowGraph, node: GraphNode, other: GraphNode, *, upstream: bool
) -> GraphEdge | None:
    edges = graph.edges_before(node) if upstream else graph.edges_after(node)
    return next((e for e in edges if (e.start if upstream else e.end) is other), None)


def _end(node: GraphNode, *, upstream: bool) -> WalkEnd:
    role = node.device.role
    if upstream:
        return "source" if role in ORIGINS else "open"
    return "send" if role == "SINK" else "open"
