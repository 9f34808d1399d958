"""Pieces of SVG: escaped texts, lines, badges, links."""

from collections.abc import Iterable
from html import escape
from typing import Final

from app.signal.checks.rule_table import FlowProblem
from app.signal.diagram.boxes import BADGE, CODE_SIZE
from app.signal.diagram.placement import Point
from app.signal.diagram.svg_style import FAMILIES
from app.signal.diagram.texts import one_line, width

_MOST_TOLD: Final = 400


def number(value: float) -> str:
    """Return a length as SVG has it, to a tenth."""
    return f"{value:.1f}".removesuffix(".0")


def text(x: float, y: float, words: str, css: str = "", anchor: str = "") -> str:
    """Return a line of text."""
    turn = f' text-anchor="{anchor}"' if anchor else ""
    kind = f' class="{css}"' if css else ""
    return f'<text x="{number(x)}" y="{number(y)}"{kind}{turn}>{escape(words)}</text>'


def rectangle(
    x: float, y: float, wide: float, high: float, css: str, radius: float = 0
) -> str:  # fmt: skip
    """Return a rectangle."""
    corner = f' rx="{number(radius)}"' if radius else ""
    size = f'width="{number(wide)}" height="{number(high)}"'
    return f'<rect x="{number(x)}" y="{number(y)}" {size}{corner} class="{css}"/>'


def curve(points: list[Point], end_x: float, css: str) -> str:
    """Return a line through the points of a spline, and straight on to ``end_x``."""
    first, *others = points
    places = " ".join(f"{number(x)},{number(y)}" for x, y in others)
    way = f"M{number(first.x)},{number(first.y)}C{places}H{number(end_x)}"
    return f'<path class="{css}" d="{way}"/>'


def badge(severity: str, x: float, y: float, size: float = BADGE) -> str:
    """Return the shape of a severity: an octagon, a triangle, or a circle."""
    side = number(size)
    place = f'x="{number(x)}" y="{number(y)}"'
    return f'<use href="#{severity}" {place} width="{side}" height="{side}"/>'


def code_badges(broken: Iterable[tuple[str, str]], x: float, y: float) -> str:
    """Return badges with their codes beside each other; ``y`` is the line of the text."""
    pieces = []
    for code, severity in broken:
        pieces.append(badge(severity, x, y - BADGE + 2))
        pieces.append(text(x + BADGE + 3, y, code, f"code s-{severity}"))
        x += BADGE + 6 + width(code, CODE_SIZE)
    return "".join(pieces)


def uuid_of(uuid: str | None, collection: str) -> str:
    """Return the attributes that name a row; none for what has no row."""
    if not uuid:
        return ""
    return f' data-uuid="{escape(uuid)}" data-collection="{escape(collection)}"'


def linked(uuid: str | None, content: str, tip: str) -> str:
    """Return content that leads to the diagram of its own ways, with words to show beside it."""
    title = f"<title>{escape(tip)}</title>"
    if not uuid:
        return f"<g>{title}{content}</g>"
    return f'<a href="?trace={escape(uuid)}">{title}{content}</a>'


def tip(words: Iterable[str], problems: Iterable[FlowProblem]) -> str:
    """Return what is shown beside a thing: what it is, and what is wrong with it."""
    lines = [one_line(word) for word in words if word]
    lines += [f"{p.code}: {one_line(p.why, 200)}" for p in problems]
    return "\n".join(lines)[:_MOST_TOLD]


def family_class(family: str) -> str:
    """Return the class of a family of signal; OPEN of one that has no line of its own."""
    return family if family and family in FAMILIES else "OPEN"
