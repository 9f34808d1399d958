"""Boxes in SVG: the head with its problems, the ports of both sides, and what is spare."""

from collections.abc import Iterator
from typing import Final

from app.signal.diagram.boxes import (
    HEAD,
    LINE,
    SPARE,
    SPARE_STEP,
    BoxRow,
    BoxShape,
    port_words,
)
from app.signal.diagram.diagram_elements import DiagramBox, DiagramPort, gravest
from app.signal.diagram.placement import Point
from app.signal.diagram.svg_parts import (
    badge,
    code_badges,
    family_class,
    linked,
    number,
    rectangle,
    text,
    tip,
    uuid_of,
)

_PORT: Final = 7


def device_group(shapes: list[tuple[BoxShape, Point]]) -> str:
    """Return a device: its box, or all boxes of a snake. Its uuid is said once."""
    ref = shapes[0][0].box.ref
    boxes = "".join(_box(shape, place) for shape, place in shapes)
    return f'<g class="device"{uuid_of(ref.uuid, ref.collection)}>{boxes}</g>'


def _box(shape: BoxShape, place: Point) -> str:
    box, (x, y) = shape.box, place
    worst = gravest(box.problems)
    typed = "" if box.ref.uuid else " typed"
    head = HEAD + (LINE if shape.name else 0)
    radius = 12 if box.role in {"ORIGIN", "CAMERA"} else 3
    pieces = [
        rectangle(x, y, shape.width, shape.height, "body", radius),
        _head(x, y, shape.width, head, radius, box.role),
        text(x + 8, y + 14.5, shape.label, "label"),
    ]
    if shape.name:
        pieces.append(text(x + 8, y + HEAD + 8, shape.name, "name"))
    for line, code in enumerate(shape.codes):
        pieces.append(code_badges([code], x + 8, y + head + LINE * (line + 1) - 2))
    outline = f"outline{typed} o-{worst}" if worst else f"outline{typed}"
    pieces.append(rectangle(x, y, shape.width, shape.height, outline, radius))
    if box.change:
        pieces.append(rectangle(x - 4, y - 4, shape.width + 8, shape.height + 8, "changed", radius))
        pieces.append(text(x + shape.width, y - 8, box.change.upper(), "change", "end"))
    words = (f"{box.ref.label} {box.ref.name or ''}", box.role.replace("_", " ").lower())
    link = linked(box.ref.uuid, "".join(pieces), tip(words, box.problems))
    rest = "".join([*_routes(shape, place), *_rows(shape, place), *_spare(shape, place)])
    return f'<g class="box" id="{box.id}">{link}{rest}</g>'


def _head(x: float, y: float, wide: float, high: float, radius: float, role: str) -> str:
    """Return the coloured top of a box, whose upper corners are round."""
    r, w = number(radius), number(wide - 2 * radius)
    way = (
        f"M{number(x)},{number(y + high)}v-{number(high - radius)}a{r},{r} 0 0 1 {r},-{r}h{w}"
        f"a{r},{r} 0 0 1 {r},{r}v{number(high - radius)}z"
    )
    return f'<path class="r-{role or "PASSING"}" d="{way}"/>'


def _routes(shape: BoxShape, place: Point) -> Iterator[str]:
    """Yield the ways inside a device, from the left to the right."""
    middles: dict[tuple[str, DiagramPort], float] = {}
    for row in shape.rows:
        for side, port in (("left", row.entry), ("right", row.exit)):
            if port is not None:
                middles[side, port] = place.y + row.middle
    for start, end in shape.box.routes:
        if ("left", start) in middles and ("right", end) in middles:
            one, other = middles["left", start], middles["right", end]
            x, half, far = place.x, place.x + shape.width / 2, place.x + shape.width
            way = f"M{number(x)},{number(one)}C{number(half)},{number(one)} {number(half)},"
            yield f'<path class="route" d="{way}{number(other)} {number(far)},{number(other)}"/>'


def _rows(shape: BoxShape, place: Point) -> Iterator[str]:
    for row in shape.rows:
        y = place.y + row.middle
        if row.entry is not None and row.entry is row.exit:
            yield _channel(shape, row, place.x, y)
            continue
        if row.entry is not None:
            yield _port(shape.box, row.entry, place.x, y)
        if row.exit is not None:
            yield _port(shape.box, row.exit, place.x + shape.width, y)


def _port(box: DiagramBox, port: DiagramPort, x: float, y: float) -> str:
    is_left = port.direction == "INPUT"
    inner = x + 7 if is_left else x - 7
    pieces = [_plug(port, x, y)]
    if worst := gravest(port.problems):
        pieces.append(badge(worst, inner if is_left else inner - 9, y - 4.5, 9))
        inner += 12 if is_left else -12
    anchor = "" if is_left else "end"
    if words := port_words(box, port):
        pieces.append(text(inner, y + 3.3, words, "port over", anchor))
    return _port_group(box, port, "".join(pieces))


def _channel(shape: BoxShape, row: BoxRow, x: float, y: float) -> str:
    port, far = row.entry, x + shape.width
    assert port is not None
    words = port_words(shape.box, port)
    line = f'<path class="trunk" d="M{number(x)},{number(y)}H{number(far)}"/>'
    pieces = [line, _plug(port, x, y), _plug(port, far, y)]
    if worst := gravest(port.problems):
        pieces.append(badge(worst, x + 7, y - 4.5, 9))
    pieces.append(text((x + far) / 2, y + 3.3, words or "?", "port over", "middle"))
    return _port_group(shape.box, port, "".join(pieces))


def _plug(port: DiagramPort, x: float, y: float) -> str:
    css = f"p-{family_class(port.family)}"
    return rectangle(x - _PORT / 2, y - _PORT / 2, _PORT, _PORT, css)


def _port_group(box: DiagramBox, port: DiagramPort, content: str) -> str:
    words = (f"{box.ref.label} {port.label}", port.direction.lower(), port.family, port.format)
    link = linked(port.uuid, content, tip(words, port.problems))
    return f'<g class="port"{uuid_of(port.uuid, port.collection)}>{link}</g>'


def _spare(shape: BoxShape, place: Point) -> Iterator[str]:
    """Yield a small square for each port that nothing is plugged into, and their names on it."""
    per_line = max(1, int((shape.width - 16) // SPARE_STEP))
    for number_, port in enumerate(shape.box.spare):
        x = place.x + 8 + SPARE_STEP * (number_ % per_line)
        y = place.y + shape.spare_top + 3 + SPARE * (number_ // per_line)
        square = rectangle(x, y, 5, 7, "spare", 0 if port.direction == "INPUT" else 2.5)
        yield _port_group(shape.box, port, square)
