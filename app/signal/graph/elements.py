"""What a graph is made of: devices, nodes (ports and channels), and the edges between them.

They are not frozen, which would double the time that it takes to make one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from app.rules.signal_roles import SignalRole

Row = Mapping[str, Any]
Direction = Literal["INPUT", "OUTPUT", "CHANNEL"]


class ShowKind(NamedTuple):
    """A collection of a show: its member in the show, and what its rows are to a signal."""

    member: str
    collection: str
    entity_type: str
    role: SignalRole


class Ref(NamedTuple):
    """A thing of the show that an answer names. What is only typed by hand has no uuid."""

    collection: str
    uuid: str | None
    label: str
    name: str | None = None

    def members(self) -> dict[str, str | None]:
        """Return the members that answers have."""
        return self._asdict()


@dataclass(slots=True, eq=False)
class GraphDevice:
    """A device of the show, a snake included; one without a row is typed by hand."""

    ref: Ref
    role: SignalRole
    row: Row
    type: str = ""
    """What a device that is typed by hand is called: "SCREEN PROCESSOR"."""


@dataclass(slots=True, eq=False)
class GraphNode:
    """A port of a device, or a channel of a snake. One that nobody named has the label ""."""

    device: GraphDevice
    direction: Direction
    label: str
    uuid: str | None = None
    collection: str = ""
    row: Row = field(default_factory=dict)

    @property
    def words(self) -> str:
        """Return how people call it: "CCU 3 OUT 1", "SNAKE 2 channel 7"."""
        device = self.device.ref.label
        if self.direction == "CHANNEL":
            return f"{device} channel {self.label}" if self.label else f"a channel of {device}"
        if not self.label or self.label.lower().startswith(device.lower()):
            return self.label or device
        return f"{device} {self.label}"

    @property
    def ref(self) -> Ref:
        """Return the port's own row; of what has none, that of its device."""
        if self.uuid is None:
            return self.device.ref._replace(label=self.words)
        return Ref(self.collection, self.uuid, self.label, self.device.ref.label)


@dataclass(slots=True, eq=False)
class CableRun:
    """A way from an output to an input, by the channels of snakes that it rides.

    ``statements`` are the rows that state it. ``metres`` is None where no length is known.
    """

    start: GraphNode
    channels: tuple[GraphNode, ...]
    end: GraphNode
    statements: list[Ref] = field(default_factory=list)
    metres: float | None = None

    @property
    def words(self) -> str:
        """Return how people call it."""
        return f"{self.start.words} to {self.end.words}"


@dataclass(slots=True, eq=False)
class GraphEdge:
    """A step of a signal: along a run, or by a route inside a device where ``run`` is None."""

    start: GraphNode
    end: GraphNode
    run: CableRun | None
    statements: list[Ref]
