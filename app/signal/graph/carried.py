"""Which format a signal has where, as far as the rows say."""

import re
from contextlib import suppress
from fractions import Fraction
from typing import Any, Final, NamedTuple

from app.rules.formats import (
    Format,
    Scan,
    family,
    parse_format,
    raster_format,
    rate_of_json,
    rate_text,
)
from app.signal.graph.elements import GraphDevice, GraphNode, Row
from app.signal.graph.flow_graph import FlowGraph

_BLANKINGS: Final = {"RB": "RBv1", "RBV1": "RBv1", "RBV2": "RBv2", "RBV3": "RBv3"}
_PIECES: Final = re.compile(r"[,;]")


class StatedFormat(NamedTuple):
    """A format that a row states: the whole of it, or its rate alone where no more is said."""

    rate: Fraction
    scan: Scan | None
    format: Format | None
    device: GraphDevice

    @property
    def words(self) -> str:
        """Return how people write it."""
        return self.format.trade_name if self.format else rate_text(self.rate)

    @property
    def family(self) -> str | None:
        """Return the family of its rate; None of one that is in none."""
        return family(self.rate)


class CarriedFormats:
    """The format at each node of a graph, looked for when it is asked for."""

    def __init__(self, graph: FlowGraph) -> None:
        self._graph = graph
        self._by_node: dict[GraphNode, StatedFormat | None] = {}

    def at(self, node: GraphNode) -> StatedFormat | None:
        """Return the format that arrives at a node; None where rows leave it open."""
        chain, stated = [], None
        while node not in self._by_node:
            chain.append(node)
            self._by_node[node] = None  # a signal that runs in a circle has no format
            stated = stated_at(node)
            edges = self._graph.edges_before(node)
            if stated or len(edges) != 1 or _makes_another(node, is_route=edges[0].run is None):
                break
            node = edges[0].start
        else:
            stated = self._by_node[node]
        for each in chain:
            self._by_node[each] = stated
        return stated


def _makes_another(node: GraphNode, *, is_route: bool) -> bool:
    return is_route and node.device.role == "PROCESSING"


def stated_at(node: GraphNode) -> StatedFormat | None:
    """Return the format that an output states, by its own row or that of its device."""
    device = node.device
    if node.direction != "OUTPUT" or device.role not in {"ORIGIN", "CAMERA", "CONTROL_UNIT"}:
        return None
    return _of_row(node.row, device) or _of_row(device.row, device)


def expected_by(device: GraphDevice) -> StatedFormat | None:
    """Return the format that a sink asks for."""
    return _of_row(device.row, device) if device.role == "SINK" else None


def _of_row(row: Row, device: GraphDevice) -> StatedFormat | None:
    for member in ("formatMode", "format", "standard"):
        for text in _PIECES.split(str(row.get(member) or "")):
            with suppress(ValueError):
                whole = parse_format(text.strip())
                return StatedFormat(whole.rate, whole.scan, whole, device)
    with suppress(ValueError):
        return _of_raster(row, device)
    return None


def _of_raster(row: Row, device: GraphDevice) -> StatedFormat | None:
    """Return the format of a raster. Raises ValueError for one that cannot be."""
    rate = row.get("rate")
    if not isinstance(rate, int | float | str) or isinstance(rate, bool) or not rate:
        return None
    exact = rate_of_json(rate)
    width, lines = _whole(row.get("hRes")), _whole(row.get("vRes"))
    if width is None or lines is None:
        return StatedFormat(exact, None, None, device)
    stated = str(row.get("blanking") or device.row.get("blanking") or "").upper()
    blanking: Any = _BLANKINGS.get(stated, "NONE")
    return StatedFormat(exact, "p", raster_format(width, lines, exact, "p", blanking), device)


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and value > 0 else None
