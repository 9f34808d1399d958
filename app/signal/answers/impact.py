"""What goes dark when things are unplugged."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from app.signal.answers.show_signal import ShowSignal
from app.signal.answers.things import SignalThing
from app.signal.checks.show_checks import ORIGINS
from app.signal.graph.elements import GraphDevice, GraphNode
from app.signal.graph.flow_graph import FlowGraph, Removal


def impact(signal: ShowSignal, things: Sequence[SignalThing]) -> dict[str, Any]:
    """Return which sends go dark without these things, which have a second path, and what cameras.

    A send that is unplugged itself goes dark.
    """
    graph, removal = signal.graph, _together(things)
    touched = _touched(graph, removal)
    fed = {node.device for node in graph.reach(touched, upstream=False)}
    lit_after = _lit(graph, removal)
    sends = [one for one in graph.devices.all if one.role == "SINK" and one in signal.lit & fed]
    unplugged = {thing.device for thing in things}
    dark = [one for one in sends if one in unplugged or one not in lit_after]
    behind = {node.device for node in graph.reach(touched, upstream=True)}
    cameras = [one for one in graph.devices.all if one.role == "CAMERA" and one in behind]
    return {
        "of": [thing.ref.members() for thing in things],
        "dark": _refs(dark),
        "secondPath": _refs(one for one in sends if one not in dark),
        "cameras": _refs(cameras),
        "assumed": list(_assumed(things)),
        "seq": signal.seq,
    }


def _refs(devices: Iterable[GraphDevice]) -> list[dict[str, str | None]]:
    return [device.ref.members() for device in devices]


def _together(things: Sequence[SignalThing]) -> Removal:
    removals = [thing.removal for thing in things]
    return Removal(
        frozenset().union(*(each.nodes for each in removals)),
        frozenset().union(*(each.rows for each in removals)),
    )


def _touched(graph: FlowGraph, removal: Removal) -> set[GraphNode]:
    """Return the nodes that are thought away, and those at both ends of such an edge."""
    ends = (
        node for edge in graph.edges if removal.rows.issuperset(edge.statements)
        for node in (edge.start, edge.end)
    )  # fmt: skip
    return {*removal.nodes, *(ends if removal.rows else ())}


def _lit(graph: FlowGraph, removal: Removal) -> set[GraphDevice]:
    starts = [
        node for device in graph.devices.all if device.role in ORIGINS
        for node in graph.nodes_of(device)
    ]  # fmt: skip
    return {node.device for node in graph.reach(starts, removal, upstream=False)}


def _assumed(things: Sequence[SignalThing]) -> Iterator[str]:
    yield "A device passes a signal only where a connection or its own kind says so."
    yield "A device that gets two signals goes on with the other one when one is lost."
    if any(thing.is_path for thing in things):
        yield "A cable that several connections state stays while one of them is there."
    unnamed = sum(not node.label for thing in things for node in thing.nodes)
    if unnamed:
        yield f"{unnamed} ports or channels have no name, and are told apart by their paths."
