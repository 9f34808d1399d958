"""Draws boxes in layers, and curves between them, as SVG text."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from statistics import fmean
from typing import Final

WIDTH: Final = 190
HEIGHT: Final = 34
_ACROSS: Final = 14  # between boxes of one layer
_ALONG: Final = {True: 30, False: 110}  # between layers, drawn down or to the right
_MARGIN: Final = 16
_COLOURS: Final = ("#0b6bcb", "#b3261e", "#1b7f4b", "#8a4bb8", "#a35c00", "#00747c", "#5b5b5b")

_ARROW: Final = (
    '<defs><marker id="end" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto"><path d="M0 0 8 4 0 8z" fill="#555"/></marker></defs>'
)


@dataclass(frozen=True)
class Edge:
    """An arrow from one box to another; those of one ``group`` have one colour."""

    start: str
    end: str
    group: str = ""


def draw(layers: Sequence[Sequence[str]], edges: Iterable[Edge], title: str, *, down: bool) -> str:
    """Return a picture; the layers follow one another downwards, or to the right.

    A box is named by its text. Raise KeyError for an edge of a box that is in no layer.
    """
    edges = [*edges]
    places = _places(_ordered(layers, edges), down=down)
    width = max(x for x, _ in places.values()) + WIDTH + _MARGIN
    height = max(y for _, y in places.values()) + HEIGHT + _MARGIN
    groups = {group: i for i, group in enumerate(dict.fromkeys(edge.group for edge in edges))}
    curves = [
        f'<path d="{_curve(places[edge.start], places[edge.end], down=down)}" '
        f'stroke="{_COLOURS[groups[edge.group] % len(_COLOURS)]}" marker-end="url(#end)"/>'
        for edge in edges
    ]
    boxes = [
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="5"/>'
        f'<text x="{x + WIDTH / 2:g}" y="{y + HEIGHT / 2 + 4.5:g}">{escape(text)}</text>'
        for text, (x, y) in places.items()
    ]
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}">',
        f"<title>{escape(title)}</title>",
        _ARROW,
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        '<g fill="none" stroke-width="1.6">', *curves, "</g>",
        "<style>text {fill:#111;stroke:none;font:13px sans-serif;text-anchor:middle}</style>",
        '<g fill="#f4f6f8" stroke="#444">', *boxes, "</g>", "</svg>", "",
    ])  # fmt: skip


def _ordered(layers: Sequence[Sequence[str]], edges: Iterable[Edge]) -> list[list[str]]:
    """Order each layer by where the boxes before it stand, so that fewer curves cross."""
    before: dict[str, list[str]] = {}
    for edge in edges:
        before.setdefault(edge.end, []).append(edge.start)
    ordered: list[list[str]] = []
    place: dict[str, float] = {}
    for layer in layers:
        middles = {
            box: fmean([place[s] for s in before.get(box, ()) if s in place] or [0.5])
            for box in layer
        }
        ordered.append(sorted(layer, key=middles.__getitem__) if place else [*layer])
        place |= {box: (i + 0.5) / len(layer) for i, box in enumerate(ordered[-1])}
    return ordered


def _places(layers: Sequence[Sequence[str]], *, down: bool) -> Mapping[str, tuple[int, int]]:
    """Return the upper left corner of each box; each layer is centred."""
    side, length = (WIDTH, HEIGHT) if down else (HEIGHT, WIDTH)
    longest = max(map(len, layers)) * (side + _ACROSS)
    places = {}
    for number, layer in enumerate(layers):
        first = _MARGIN + (longest - len(layer) * (side + _ACROSS)) // 2
        along = _MARGIN + number * (length + _ALONG[down])
        for i, box in enumerate(layer):
            across = first + i * (side + _ACROSS)
            places[box] = (across, along) if down else (along, across)
    return places


def _curve(start: tuple[int, int], end: tuple[int, int], *, down: bool) -> str:
    if down:
        x, y, u, v = start[0] + WIDTH // 2, start[1] + HEIGHT, end[0] + WIDTH // 2, end[1]
        return f"M{x} {y}C{x} {(y + v) // 2} {u} {(y + v) // 2} {u} {v}"
    x, y, u, v = start[0] + WIDTH, start[1] + HEIGHT // 2, end[0], end[1] + HEIGHT // 2
    return f"M{x} {y}C{(x + u) // 2} {y} {(x + u) // 2} {v} {u} {v}"
