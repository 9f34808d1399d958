"""The diagram in SVG: the title, cables, boxes, what is not cabled, problems and the legend."""

from collections import defaultdict
from collections.abc import Iterator
from html import escape
from typing import Final

from app.signal.diagram.boxes import BoxRow, BoxShape, row_codes, row_label
from app.signal.diagram.diagram_elements import (
    DiagramCable,
    DiagramPort,
    DiagramTitle,
    ShowDiagram,
    gravest,
)
from app.signal.diagram.placement import PlacedDiagram, Point
from app.signal.diagram.svg_boxes import device_group
from app.signal.diagram.svg_parts import (
    badge,
    code_badges,
    curve,
    family_class,
    linked,
    number,
    rectangle,
    text,
    tip,
    uuid_of,
)
from app.signal.diagram.svg_style import FAMILIES, STYLE, SYMBOLS
from app.signal.diagram.texts import fitting, one_line, width
from app.signal.graph.elements import Ref

_EDGE: Final = 24
_HEAD: Final = 84
_LIST_LINE: Final = 15
_MOST_LISTED: Final = 24
_NARROWEST: Final = 640


def svg(diagram: ShowDiagram, places: PlacedDiagram) -> str:
    """Return the diagram as a document of its own."""
    wide = max(places.width, _NARROWEST) + 2 * _EDGE
    listed = _problem_list(diagram, wide - 2 * _EDGE)
    foot = len(listed) * _LIST_LINE + (28 if listed else 0)
    high = _HEAD + places.height + 20 + foot + _EDGE
    size = f'width="{number(wide)}" height="{number(high)}"'
    name = escape(f"{one_line(diagram.title.show)}: signal flow")
    root = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} '
        f'viewBox="0 0 {number(wide)} {number(high)}" role="img" aria-label="{name}">'
    )
    parts = [
        root,
        f"<title>{name}</title><style>{STYLE}</style><defs>{SYMBOLS}</defs>",
        rectangle(0, 0, wide, high, "paper"),
        *_title(diagram, wide),
        f'<g transform="translate({_EDGE},{_HEAD})">',
        *_cables(places),
        *_loose(places),
        *_devices(places),
        "</g>",
        f'<g transform="translate({_EDGE},{number(_HEAD + places.height + 44)})">',
        *_foot(listed),
        "</g></svg>",
    ]
    return "".join(parts)


def _title(diagram: ShowDiagram, wide: float) -> Iterator[str]:
    title = diagram.title
    yield text(_EDGE, 36, fitting(one_line(title.show), 24, wide - 2 * _EDGE - 300), "show")
    yield text(_EDGE, 56, _about(title), "about muted")
    x = wide - _EDGE
    for severity in ("info", "warning", "error"):
        count = diagram.counts[severity]
        words = f"{count} {severity}{'' if count == 1 or severity == 'info' else 's'}"
        x -= width(words, 13)
        yield text(x, 36, words, f"about s-{severity}")
        x -= 20
        yield badge(severity, x, 24, 14)
        x -= 16
    yield from _legend(diagram)


def _about(title: DiagramTitle) -> str:
    number_ = f"change {title.seq}" if title.seq is not None else ""
    words = ("Signal flow", one_line(title.about), number_, title.date)
    return " \u00b7 ".join(word for word in words if word)


def _legend(diagram: ShowDiagram) -> Iterator[str]:
    """Yield the lines of the families that are drawn."""
    used = {family_class(cable.family) for cable in diagram.cables}
    x: float = _EDGE
    for family in (*(family for family in FAMILIES if family), "OPEN"):
        if family in used:
            yield f'<path class="wire f-{family}" d="M{number(x)},71h26"/>'
            words = (
                "any" if family == "OPEN" else family.capitalize() if len(family) > 4 else family
            )
            yield text(x + 31, 74, words, "muted")
            x += 46 + width(words, 9.5)


def _cables(places: PlacedDiagram) -> Iterator[str]:
    """Yield cables by the row that states them: each row's uuid is said once."""
    ends, rows = _ends(places)
    pieces: defaultdict[DiagramCable, list[str]] = defaultdict(list)
    for cable, part, points in places.curves:
        pieces[cable].append(_line(cable, points, ends[part.end_box.id]))
    by_row: dict[Ref, list[str]] = {}
    labels: set[BoxRowKey] = set()
    for cable in pieces:
        words = [cable.label, cable.format, cable.family]
        if cable.is_stated_by_path:
            for ref in cable.rows[1:]:
                by_row.setdefault(ref, [])
        content = [*pieces[cable]]
        for part in cable.parts:
            key = (part.end_box.id, part.end)
            if key not in labels:
                labels.add(key)
                content.append(_label(*rows[key], ends[part.end_box.id]))
        uuid = cable.rows[0].uuid if cable.is_stated_by_path else None
        states = " ".join(ref.uuid for ref in cable.rows if ref.uuid)
        link = linked(uuid, "".join(content), tip(words, cable.problems))
        group = f'<g class="cable" id="{cable.id}" data-stated-by="{escape(states)}">{link}</g>'
        owner = cable.rows[0] if cable.is_stated_by_path else Ref("", None, cable.id)
        by_row.setdefault(owner, []).append(group)
    for ref, groups in by_row.items():
        yield f'<g class="path"{uuid_of(ref.uuid, ref.collection)}>{"".join(groups)}</g>'


BoxRowKey = tuple[str, DiagramPort]


def _ends(
    places: PlacedDiagram,
) -> tuple[dict[str, float], dict[BoxRowKey, tuple[BoxShape, BoxRow, Point]]]:
    """Return where the left side of each box is, and the row of each port there."""
    ends, rows = {}, {}
    for shape, place in places.boxes:
        ends[shape.box.id] = place.x
        for row in shape.rows:
            if row.entry is not None:
                rows[shape.box.id, row.entry] = shape, row, place
    return ends, rows


def _line(cable: DiagramCable, points: list[Point], end_x: float) -> str:
    worst = gravest(cable.problems)
    marked = f" w-{worst}" if worst else ""
    change = curve(points, end_x, "changed") if cable.change else ""
    line = curve(points, end_x, f"wire f-{family_class(cable.family)}{marked}")
    return f"{curve(points, end_x, 'halo')}{change}{line}"


def _label(shape: BoxShape, row: BoxRow, place: Point, end_x: float) -> str:
    x, y = end_x - shape.margin + 4, place.y + row.middle
    words, broken = row_label(row), row_codes(row)
    above = text(end_x - 8, y - 3, words, "small cable-label", "end") if words else ""
    return above + code_badges(broken, x, y + 11)


def _loose(places: PlacedDiagram) -> Iterator[str]:
    if places.loose_top is not None:
        yield text(0, places.loose_top - 12, "Not cabled", "section muted")


def _devices(places: PlacedDiagram) -> Iterator[str]:
    by_device: defaultdict[str, list[tuple[BoxShape, Point]]] = defaultdict(list)
    for shape, place in places.boxes:
        by_device[shape.box.id.partition("-")[0]].append((shape, place))
    for shapes in by_device.values():
        yield device_group(shapes)


def _problem_list(diagram: ShowDiagram, wide: float) -> list[tuple[str, str, str]]:
    """Return what is listed below: severity, code and words of problems, and deleted rows."""
    grave = [problem for problem in diagram.problems if problem.severity != "info"]
    lines: list[tuple[str, str, str]] = [
        (problem.severity, problem.code, fitting(one_line(problem.why, 300), 9.5, wide - 190))
        for problem in grave[:_MOST_LISTED]
    ]
    if len(grave) > _MOST_LISTED:
        lines.append(("", "", f"and {len(grave) - _MOST_LISTED} more, which the checks list"))
    if diagram.deleted:
        names = ", ".join(one_line(row.label, 30) for row in diagram.deleted[:_MOST_LISTED])
        lines.append(("", "DELETED", fitting(names, 9.5, wide - 190)))
    return lines


def _foot(lines: list[tuple[str, str, str]]) -> Iterator[str]:
    for place, (severity, code, words) in enumerate(lines):
        y = place * _LIST_LINE
        if severity:
            yield code_badges([(code, severity)], 0, y)
        elif code:
            yield text(14, y, code, "change")
        yield text(180, y, words)
