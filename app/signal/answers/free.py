"""Free ports and channels, and the shortest way to patch one thing to another with them."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from app.signal.answers.show_signal import ShowSignal
from app.signal.answers.things import SignalThing
from app.signal.checks.report import DEFAULT_RULES
from app.signal.checks.run_checks import problems_of_run
from app.signal.graph.carried import StatedFormat
from app.signal.graph.elements import CableRun, Direction, GraphDevice, GraphNode
from app.signal.graph.flow_graph import FlowGraph
from app.signal.graph.show_devices import family_of, is_reference
from app.signal.graph.snakes import channel_count

_BETWEEN: Final = frozenset({"PASSING", "PROCESSING"})
_NETWORK: Final = "IP"


class PatchProposal(NamedTuple):
    """Cables that are to be pulled: each from a free output to a free input."""

    runs: tuple[CableRun, ...]

    @property
    def signal_path(self) -> list[dict[str, Any]]:
        """Return the ``signalPath`` of a connection that states it."""
        first, last = self.runs[0].start, self.runs[-1].end
        stops = [{**_named(first.device), "output": _key(first)}]
        for run, after in zip(self.runs, [*self.runs[1:], None], strict=True):
            stops += [
                {**_named(channel.device), "channel": int(channel.label)}
                for channel in run.channels
            ]
            if after is not None:
                ports = {"input": _key(run.end), "output": _key(after.start)}
                stops.append({**_named(run.end.device), **ports})
        return [*stops, {**_named(last.device), "input": _key(last)}]


def _named(device: GraphDevice) -> dict[str, Any]:
    return {"deviceUuid": device.ref.uuid, "device": device.ref.label}


def _key(port: GraphNode) -> str | None:
    return port.uuid or port.label or None


def free_ports(graph: FlowGraph, device: GraphDevice, direction: Direction) -> list[GraphNode]:
    """Return the ports of a device that nothing is plugged into; of a network, also used ones."""
    return [
        port
        for port in graph.devices.ports[device]
        if port.direction == direction
        and not is_reference(port)
        and not port.row.get("isUnlisted")
        and _is_free(graph, port)
    ]


def _is_free(graph: FlowGraph, port: GraphNode) -> bool:
    is_output = port.direction == "OUTPUT"
    edges = graph.edges_after(port) if is_output else graph.edges_before(port)
    return not any(edge.run for edge in edges) or (is_output and family_of(port) == _NETWORK)


def free_channels(graph: FlowGraph, snake: GraphDevice) -> list[int]:
    """Return the numbers of the channels that no cable rides; none where the count is unknown."""
    channels = graph.devices.channels(snake)
    listed = max((number for number, node in channels.items() if node.uuid), default=0)
    count = channel_count(snake, listed) or 0
    return [
        number for number in range(1, count + 1)
        if number not in channels or not _rides(graph, channels[number])
    ]  # fmt: skip


def _rides(graph: FlowGraph, channel: GraphNode) -> bool:
    return bool(graph.edges_before(channel) or graph.edges_after(channel))


def propose_patch(
    signal: ShowSignal, start: SignalThing, end: SignalThing, snake: GraphDevice | None = None
) -> PatchProposal | None:
    """Return the shortest way between two things that breaks no rule; None where there is none.

    A thing is a device or a port of it. It is one cable, or two by a device between; the last one
    rides a free channel of ``snake``.
    """
    graph = signal.graph
    channels = _channels(graph, snake)
    if channels is None:
        return None
    outputs, inputs = _ports(graph, start, "OUTPUT"), _ports(graph, end, "INPUT")
    for output in outputs:
        carried = signal.formats.at(output)
        for entry in inputs:
            run = CableRun(output, channels, entry)
            if _fits(graph, run, carried):
                return PatchProposal((run,))
    for output in outputs:
        for entry in inputs:
            for first, exit_ in _between(signal, output, entry):
                last = CableRun(exit_, channels, entry)
                carried = _passed_on(first.end.device, signal.formats.at(output))
                if _fits(graph, last, carried):
                    return PatchProposal((first, last))
    return None


def _channels(graph: FlowGraph, snake: GraphDevice | None) -> tuple[GraphNode, ...] | None:
    if snake is None:
        return ()
    numbers = free_channels(graph, snake)
    return (GraphNode(snake, "CHANNEL", str(numbers[0])),) if numbers else None


def _ports(graph: FlowGraph, thing: SignalThing, direction: Direction) -> list[GraphNode]:
    """Return the free ports of a thing; of a device without ports the one that nobody named."""
    if thing.device is None:
        ports = [node for node in thing.nodes if node.direction == direction]
        return [port for port in ports if _is_free(graph, port)]
    listed = graph.devices.ports[thing.device]
    if any(port.direction == direction for port in listed):
        return free_ports(graph, thing.device, direction)
    used = (node for node in graph.nodes_of(thing.device) if node.direction == direction)
    return [] if any(used) else [GraphNode(thing.device, direction, "")]


def _between(
    signal: ShowSignal, output: GraphNode, entry: GraphNode
) -> Iterator[tuple[CableRun, GraphNode]]:
    """Yield each device between with a cable to a free input of it, and a free output of it."""
    graph, carried = signal.graph, signal.formats.at(output)
    for device in graph.devices.all:
        if device.role in _BETWEEN and device not in {output.device, entry.device}:
            runs = (CableRun(output, (), one) for one in free_ports(graph, device, "INPUT"))
            first = next((run for run in runs if _fits(graph, run, carried)), None)
            if first is not None:
                yield from ((first, exit_) for exit_ in free_ports(graph, device, "OUTPUT"))


def _passed_on(device: GraphDevice, carried: StatedFormat | None) -> StatedFormat | None:
    return None if device.role == "PROCESSING" else carried


def _fits(graph: FlowGraph, run: CableRun, carried: StatedFormat | None) -> bool:
    """Return whether a cable breaks no rule, and closes no circle."""
    if run.start.device is run.end.device or _leads_to(graph, run.end, run.start):
        return False
    return next(problems_of_run(run, carried, DEFAULT_RULES), None) is None


def _leads_to(graph: FlowGraph, start: GraphNode, end: GraphNode) -> bool:
    return end in graph.reach([start], upstream=False)
