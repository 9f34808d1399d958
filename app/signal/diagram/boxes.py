"""How large each box is, where its ports are, and the graph of bare boxes that is laid out.

Sizes are in pixels at 1:1. No text goes to the layout, so no text can be read as markup there, and
no fonts are needed where it runs.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from app.signal.diagram.diagram_elements import (
    CablePart,
    DiagramBox,
    DiagramCable,
    DiagramPort,
    ShowDiagram,
)
from app.signal.diagram.diagram_elements import codes as codes_of
from app.signal.diagram.texts import fitting, one_line, width

LABEL_SIZE: Final = 12.5
NAME_SIZE: Final = 9.5
PORT_SIZE: Final = 9.5
CABLE_SIZE: Final = 8.5
CODE_SIZE: Final = 8.5
HEAD: Final = 20
LINE: Final = 13
ROW: Final = 17
ROW_WITH_CODE: Final = 29
SPARE: Final = 13
SPARE_STEP: Final = 8
_WIDEST: Final = 230
_NARROWEST: Final = 84
_WIDEST_LABEL: Final = 190
_WIDEST_PORT: Final = 96
_PADDING: Final = 8
_GUTTER: Final = 34
_COLUMNS: Final = (
    frozenset({"ORIGIN", "CAMERA"}),
    frozenset({"CONTROL_UNIT"}),
    frozenset({"SINK"}),
)
BADGE: Final = 11


@dataclass(slots=True)
class BoxRow:
    """A row of ports: the input at the left and the output at the right; of a snake one channel."""

    entry: DiagramPort | None
    exit: DiagramPort | None
    top: float
    height: float
    arriving: list[tuple[DiagramCable, CablePart]] = field(default_factory=list)

    @property
    def middle(self) -> float:
        """Return where the ports are, from the box's top."""
        return self.top + self.height / 2


@dataclass(slots=True, eq=False)
class BoxShape:
    """The size of a box. Left of it is ``margin``, where the labels of its cables stand."""

    box: DiagramBox
    label: str
    name: str
    codes: list[tuple[str, str]]
    rows: list[BoxRow]
    width: float
    height: float
    margin: float
    spare_top: float


def cable_words(cable: DiagramCable, part: CablePart) -> str:
    """Return what stands at the end of a cable; between two channels only its label."""
    label = fitting(one_line(cable.label), CABLE_SIZE, 90)
    if part is not cable.parts[-1]:
        return label
    length = "" if cable.metres is None else f"{cable.metres:.0f} m"
    return " \u00b7 ".join(word for word in (label, cable.format, length) if word)


def shapes(diagram: ShowDiagram) -> list[BoxShape]:
    """Return the shape of each box."""
    arriving: defaultdict[DiagramPort, list[tuple[DiagramCable, CablePart]]] = defaultdict(list)
    for cable in diagram.cables:
        for part in cable.parts:
            arriving[part.end].append((cable, part))
    every = [_shape(box, arriving) for box in diagram.boxes]
    _align(every)
    return every


def _align(every: list[BoxShape]) -> None:
    """Make what stands in one column equally wide: sources, control units and sends."""
    for roles in _COLUMNS:
        column = [shape for shape in every if shape.box.role in roles and shape.rows]
        for shape in column:
            shape.width = max(each.width for each in column)
            shape.margin = max(each.margin for each in column)


def _shape(
    box: DiagramBox, arriving: dict[DiagramPort, list[tuple[DiagramCable, CablePart]]]
) -> BoxShape:
    label = fitting(one_line(box.ref.label), LABEL_SIZE, _WIDEST - 2 * _PADDING)
    name = fitting(one_line(box.ref.name), NAME_SIZE, _WIDEST - 2 * _PADDING)
    name = "" if name == label else name
    codes = codes_of(box.problems)
    top = HEAD + (LINE if name else 0) + LINE * len(codes) + 2
    rows: list[BoxRow] = []
    entries, exits = box.side("INPUT"), box.side("OUTPUT")
    for place in range(max(len(entries), len(exits))):
        entry = entries[place] if place < len(entries) else None
        exit_ = exits[place] if place < len(exits) else None
        cables = arriving.get(entry, []) if entry else []
        has_code = any(cable.problems for cable, part in cables if part is cable.parts[-1])
        height = ROW_WITH_CODE if has_code else ROW
        rows.append(BoxRow(entry, exit_, top, height, cables))
        top += height
    wide = _width(box, label, name, codes, rows)
    spare_top = top
    if box.spare:
        per_line = max(1, int((wide - 2 * _PADDING) // SPARE_STEP))
        top += SPARE * -(-len(box.spare) // per_line) + 2
    return BoxShape(box, label, name, codes, rows, wide, top + 4, _margin(rows), spare_top)


def _width(
    box: DiagramBox, label: str, name: str, codes: list[tuple[str, str]], rows: list[BoxRow]
) -> float:
    ports = 0.0
    for row in rows:
        sides = [port_words(box, port) for port in (row.entry, row.exit) if port]
        if box.role == "TRUNK":
            sides = sides[:1]
        ports = max(ports, sum(width(words, PORT_SIZE) for words in sides))
    gutter = _GUTTER if box.routes else _PADDING
    widths = [
        width(label, LABEL_SIZE), width(name, NAME_SIZE), ports + gutter,
        *(width(code, CODE_SIZE) + BADGE + 4 for code, _ in codes),
    ]  # fmt: skip
    return _even(min(_WIDEST, max(_NARROWEST, max(widths) + 2 * _PADDING)))


def port_words(box: DiagramBox, port: DiagramPort) -> str:
    """Return what stands at a port, without the label of its device before it."""
    words, device = one_line(port.label), one_line(box.ref.label)
    if words.lower().startswith(device.lower()) and len(words) > len(device):
        words = words[len(device) :].lstrip(" -_.") or words
    return fitting(words, PORT_SIZE, _WIDEST_PORT)


def _margin(rows: list[BoxRow]) -> float:
    widest = 0.0
    for row in rows:
        widest = max(widest, width(row_label(row), CABLE_SIZE), codes_width(row_codes(row)))
    return _even(min(_WIDEST_LABEL, widest) + 14) if widest else 12.0


def _even(size: float) -> float:
    """Return a size that halves are whole of: the layout knows no fractions of a cell."""
    return float(2 * round(size / 2))


def row_label(row: BoxRow) -> str:
    """Return what stands above the line that ends at a row's left port."""
    words = dict.fromkeys(cable_words(cable, part) for cable, part in row.arriving)
    return fitting(", ".join(word for word in words if word), CABLE_SIZE, _WIDEST_LABEL)


def row_codes(row: BoxRow) -> list[tuple[str, str]]:
    """Return the codes that stand below the line that ends at a row's left port."""
    broken = [
        problem
        for cable, part in row.arriving
        if part is cable.parts[-1]
        for problem in cable.problems
    ]
    return codes_of(broken)


def codes_width(codes: list[tuple[str, str]]) -> float:
    """Return how wide badges with their codes are, one after the other."""
    return sum(width(code, CODE_SIZE) + BADGE + 6 for code, _ in codes)


def layout_graph(boxes: list[BoxShape], cables: list[DiagramCable]) -> str:
    """Return the graph for the layout: boxes of fixed sizes with ports, and bare edges."""
    return "".join(_layout_lines(boxes, cables))


def _layout_lines(boxes: list[BoxShape], cables: list[DiagramCable]) -> Iterator[str]:
    yield (
        "digraph{graph[rankdir=LR,ranksep=0.75,nodesep=0.22,remincross=true,outputorder=nodesfirst]"
        "node[shape=plain]edge[dir=none]\n"
    )
    places: dict[tuple[DiagramBox, DiagramPort], int] = {}
    first, last = [], []
    for number, shape in enumerate(boxes):
        rows = "".join(_layout_row(shape, place) for place in range(len(shape.rows)))
        rest = shape.height - sum(row.height for row in shape.rows)
        head = min(rest, shape.rows[0].top) if shape.rows else rest
        whole = shape.margin + shape.width
        yield (
            f'n{number}[label=<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">'
            f"{_cell(whole, head, '', 2)}{rows}{_cell(whole, rest - head, '', 2)}</TABLE>>]\n"
        )
        for place, row in enumerate(shape.rows):
            for port in (row.entry, row.exit):
                if port is not None:
                    places[shape.box, port] = place
        match shape.box.role:
            case "ORIGIN" | "CAMERA" if not any(row.arriving for row in shape.rows):
                first.append(f"n{number};")
            case "SINK" if not any(row.exit for row in shape.rows):
                last.append(f"n{number};")
    yield f"{{rank=min {''.join(first)}}}\n{{rank=max {''.join(last)}}}\n"
    numbers = {shape.box: number for number, shape in enumerate(boxes)}
    parts = [part for cable in cables for part in cable.parts]
    for number, part in enumerate(parts):
        start, end = places[part.start_box, part.start], places[part.end_box, part.end]
        ends = f"n{numbers[part.start_box]}:r{start}:e->n{numbers[part.end_box]}:l{end}:w"
        yield f'{ends}[id="{number}"]\n'
    yield "}"


def _layout_row(shape: BoxShape, place: int) -> str:
    height, half = shape.rows[place].height, (shape.margin + shape.width) / 2
    entry = _inner_cell(half, height, f"l{place}")
    return f"<TR>{entry}{_inner_cell(half, height, f'r{place}')}</TR>"


def _cell(wide: float, high: float, port: str, columns: int = 1) -> str:
    if high < 1:
        return ""
    return f"<TR>{_inner_cell(wide, high, port, columns)}</TR>"


def _inner_cell(wide: float, high: float, port: str, columns: int = 1) -> str:
    name = f' PORT="{port}"' if port else ""
    span = f' COLSPAN="{columns}"' if columns > 1 else ""
    return f'<TD FIXEDSIZE="TRUE" WIDTH="{wide:.0f}" HEIGHT="{high:.0f}"{name}{span}></TD>'
