"""Where boxes and cables stand on the paper, read from the answer of the layout."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from app.signal.diagram.boxes import BoxShape
from app.signal.diagram.diagram_elements import CablePart, DiagramCable

_LOOSE_GAP: Final = 14
_LEAST_WIDTH: Final = 900


class Point(NamedTuple):
    """A place on the paper, from its left top."""

    x: float
    y: float


@dataclass(slots=True)
class PlacedDiagram:
    """The left top of each box without its margin, and the curve of each part of a cable.

    ``loose_top`` is where the boxes begin that nothing is cabled to; None where there are none.
    """

    boxes: list[tuple[BoxShape, Point]]
    curves: list[tuple[DiagramCable, CablePart, list[Point]]]
    width: float
    height: float
    loose_top: float | None


def placed(
    cabled: list[BoxShape], loose: list[BoxShape], cables: list[DiagramCable],
    answer: Mapping[str, Any],
) -> PlacedDiagram:  # fmt: skip
    """Return the places of what was laid out, and below it those of loose boxes in rows.

    ``answer`` is what Graphviz says as JSON. Its axis points up.
    """
    parts = [(cable, part) for cable in cables for part in cable.parts]
    box = [float(number) for number in str(answer.get("bb") or "0,0,0,0").split(",")]
    wide, high = box[2], box[3]
    boxes: list[tuple[BoxShape, Point]] = []
    nodes = {node["name"]: node for node in answer.get("objects", ()) if "pos" in node}
    for number, shape in enumerate(cabled):
        x, y = _point(nodes[f"n{number}"]["pos"])
        begin = x - (shape.margin + shape.width) / 2 + shape.margin
        boxes.append((shape, Point(begin, high - y - shape.height / 2)))
    edges = sorted(answer.get("edges", ()), key=lambda edge: int(edge["id"]))
    curves = []
    for (cable, part), edge in zip(parts, edges, strict=True):
        points = [_point(text) for text in str(edge["pos"]).split() if text[0] not in "es"]
        curves.append((cable, part, [Point(x, high - y) for x, y in points]))
    loose_top = None
    if loose:
        loose_top = high + 34 if cabled else 20.0
        wide = max(wide, _LEAST_WIDTH)
        high = _place_loose(loose, boxes, wide, loose_top)
    return PlacedDiagram(boxes, curves, wide, high, loose_top)


def _place_loose(
    loose: list[BoxShape], boxes: list[tuple[BoxShape, Point]], wide: float, top: float
) -> float:
    """Place boxes in rows; return where the last row ends."""
    x = tallest = 0.0
    for shape in loose:
        if x and x + shape.width > wide:
            x, top, tallest = 0.0, top + tallest + _LOOSE_GAP, 0.0
        boxes.append((shape, Point(x, top)))
        x += shape.width + _LOOSE_GAP
        tallest = max(tallest, shape.height)
    return top + tallest


def _point(text: str) -> Point:
    x, y = text.split(",")[:2]
    return Point(float(x), float(y))
