"""Rules about who is plugged into what: occupied ports and channels, loops, broken connections."""

from collections.abc import Iterator
from typing import Final

from app.signal.checks.rule_table import FlowProblem, RuleTable
from app.signal.graph.elements import CableRun, GraphNode
from app.signal.graph.flow_graph import FlowGraph
from app.signal.graph.show_devices import family_of
from app.signal.graph.snakes import channel_count

_NETWORK: Final = "IP"
_MOST_NAMES: Final = 12
"""How many ports of a loop a problem spells out."""
_TODO: Final = {
    "DELETED_DEVICE": "Restore the device, or name another one in the connection",
    "SAME_DIRECTION": "Name an output where the signal leaves, and an input where it enters",
    "SELF_LOOP": "Name another device as the end of the connection",
}


def wiring_problems(graph: FlowGraph, table: RuleTable) -> Iterator[FlowProblem]:
    """Yield what is wrong with the cabling, whatever the signals are."""
    yield from _faults(graph, table)
    for node in graph.nodes():
        if node.label:
            feeds = _runs(edge.run for edge in graph.edges_before(node))
            fed = _runs(edge.run for edge in graph.edges_after(node))
            match node.direction:
                case "INPUT":
                    yield from _input(node, feeds, table)
                case "OUTPUT":
                    yield from _output(node, fed, table)
                case "CHANNEL":
                    yield from _channel(node, feeds, fed, table)
    yield from _out_of_range(graph, table)
    yield from _cycles(graph, table)


def _faults(graph: FlowGraph, table: RuleTable) -> Iterator[FlowProblem]:
    nodes = {path.ref: path.nodes for path in graph.paths}
    for fault in graph.faults:
        at = nodes.get(fault.connection, [])
        todo = _TODO[fault.code]
        yield from table.problems(fault.code, [fault.connection], fault.words, todo, at)


def _runs(runs: Iterator[CableRun | None]) -> list[CableRun]:
    return list(dict.fromkeys(run for run in runs if run is not None))


def _input(node: GraphNode, feeds: list[CableRun], table: RuleTable) -> list[FlowProblem]:
    if len(feeds) < 2:
        return []
    names = _names([run.start for run in feeds])
    rows = (ref for run in feeds for ref in run.statements)
    return table.problems(
        "INPUT_IN_USE", [node.ref, *rows], f"{node.words} is fed by {names} at once",
        f"Leave one of them in {node.words}, and give the others an input of their own",
        [node, *feeds],
    )  # fmt: skip


def _output(node: GraphNode, fed: list[CableRun], table: RuleTable) -> list[FlowProblem]:
    if len(fed) < 2 or family_of(node) == _NETWORK:
        return []
    names = _names([run.end for run in fed])
    rows = (ref for run in fed for ref in run.statements)
    return table.problems(
        "OUTPUT_IN_USE", [node.ref, *rows], f"{node.words} feeds {names} at once",
        "Put a distribution amplifier behind it, or use further outputs",
        [node, *fed],
    )  # fmt: skip


def _channel(
    node: GraphNode, feeds: list[CableRun], fed: list[CableRun], table: RuleTable
) -> list[FlowProblem]:
    crowd = feeds if len(feeds) > 1 else fed
    if len(crowd) < 2:
        return []
    names = " and ".join(run.words for run in crowd[:_MOST_NAMES])
    rows = (ref for run in crowd for ref in run.statements)
    return table.problems(
        "CHANNEL_IN_USE", [node.ref, *rows], f"{node.words} is taken by {names} at once",
        f"Move all but one of them to a free channel of {node.device.ref.label}",
        [node, *crowd],
    )  # fmt: skip


def _out_of_range(graph: FlowGraph, table: RuleTable) -> Iterator[FlowProblem]:
    for snake in graph.devices.all:
        if snake.role != "TRUNK":
            continue
        channels = graph.devices.channels(snake)
        listed = max((n for n, node in channels.items() if node.uuid), default=0)
        count = channel_count(snake, listed)
        for number, node in channels.items():
            if count is not None and not 1 <= number <= count:
                rows = [ref for edge in graph.edges_before(node) for ref in edge.statements]
                yield from table.problems(
                    "CHANNEL_OUT_OF_RANGE", [node.ref, *rows],
                    f"{snake.ref.label} has {count} channels, and {number} is none of them",
                    f"Use a free channel from 1 to {count}", [node],
                )  # fmt: skip


def _names(nodes: list[GraphNode]) -> str:
    names = [node.words for node in nodes[:_MOST_NAMES]]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _cycles(graph: FlowGraph, table: RuleTable) -> Iterator[FlowProblem]:
    for loop in loops(graph):
        devices = list(dict.fromkeys(node.device for node in loop))
        steps = [node.words for node in loop[:_MOST_NAMES]]
        yield from table.problems(
            "CYCLE", (device.ref for device in devices),
            f"A signal runs in a circle: {', '.join([*steps, steps[0]])}",
            "Take one of these cables or routes out", loop,
        )  # fmt: skip


def loops(graph: FlowGraph) -> Iterator[list[GraphNode]]:
    """Yield one way round of each knot of nodes that all lead to each other.

    Nodes that nothing leads to, or that lead nowhere, are taken away until only knots, and ways
    between knots, are there.
    """
    remaining = _core(graph)
    while remaining:
        start = next(iter(remaining))
        way, place = [start], {start: 0}
        while True:
            node = next(e.end for e in graph.edges_after(way[-1]) if e.end in remaining)
            if node in place:
                break
            place[node] = len(way)
            way.append(node)
        loop = way[place[node] :]
        yield loop
        knot = graph.reach(loop, upstream=False) & graph.reach(loop, upstream=True)
        for each in knot:
            remaining.pop(each, None)
        remaining = _core(graph, remaining)


def _core(graph: FlowGraph, within: dict[GraphNode, None] | None = None) -> dict[GraphNode, None]:
    """Return the nodes that have a way in and a way out among each other."""
    core = dict.fromkeys(graph.nodes()) if within is None else dict(within)
    waiting = list(core)
    while waiting:
        node = waiting.pop()
        if node not in core:
            continue
        before = [edge.start for edge in graph.edges_before(node) if edge.start in core]
        after = [edge.end for edge in graph.edges_after(node) if edge.end in core]
        if not before or not after:
            del core[node]
            waiting += before + after
    return core
