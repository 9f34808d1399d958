"""What people ask about: a device, a port, a connection, a snake or a channel, by its uuid."""

from dataclasses import dataclass

from app.signal.graph.elements import GraphDevice, GraphNode, Ref
from app.signal.graph.flow_graph import FlowGraph, Removal


@dataclass(frozen=True)
class SignalThing:
    """A thing of the show with its nodes; those of a connection are in order."""

    ref: Ref
    nodes: tuple[GraphNode, ...]
    device: GraphDevice | None = None
    is_path: bool = False

    @property
    def words(self) -> str:
        """Return how people call it; a port with its device."""
        is_alone = self.device is None and not self.is_path
        return self.nodes[0].words if is_alone else self.ref.label

    @property
    def removal(self) -> Removal:
        """Return what goes away with it. A connection takes along what it alone states."""
        if self.is_path:
            return Removal(rows=frozenset({self.ref}))
        return Removal(nodes=frozenset(self.nodes))


def find_thing(graph: FlowGraph, uuid: str) -> SignalThing | None:
    """Return the thing with a uuid; None for what is in no signal flow, such as a checklist."""
    if device := graph.devices.by_uuid.get(uuid):
        nodes = tuple(graph.nodes_of(device))
        return SignalThing(device.ref, nodes, device)
    for path in graph.paths:
        if path.ref.uuid == uuid:
            return SignalThing(path.ref, tuple(path.nodes), is_path=True)
    port = graph.devices.port_by_uuid.get(uuid)
    return SignalThing(port.ref, (port,)) if port else None
