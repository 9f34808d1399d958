"""A diagram as DOT, for Graphviz and what reads its language."""

from collections.abc import Iterator, Mapping
from typing import Final

from app.signal.diagram.diagram_elements import (
    DiagramBox,
    DiagramCable,
    DiagramPort,
    ShowDiagram,
    codes,
    gravest,
)
from app.signal.diagram.texts import one_line
from app.signal.graph.elements import Ref

_COLOURS: Final = {"error": "#b3001b", "warning": "#8a5a00", "info": "#1f5fa8", "": "#444444"}
_STYLES: Final = {"error": "bold", "warning": "dashed", "info": "dotted", "": "solid"}
_SHAPES: Final = {"TRUNK": "cds", "SINK": "box", "ORIGIN": "house", "CAMERA": "house"}


def dot_text(diagram: ShowDiagram) -> str:
    """Return the diagram as a graph of DOT: problems have a colour, a line and their code."""
    return "".join(f"{line}\n" for line in _lines(diagram))


def _lines(diagram: ShowDiagram) -> Iterator[str]:
    title = diagram.title
    number = f"change {title.seq}" if title.seq is not None else ""
    words = [title.show, title.about, number, title.date]
    yield "digraph signal_flow {"
    yield f"  graph {_attributes({'label': _joined(words), 'labelloc': 't', 'rankdir': 'LR'})};"
    yield '  node [shape="box", fontname="Helvetica"];'
    yield '  edge [fontname="Helvetica", fontsize="9"];'
    for box in diagram.boxes:
        yield f"  {quoted(box.id)} {_attributes(_box(box))};"
    for cable in diagram.cables:
        for number_, part in enumerate(cable.parts, 1):
            ends = f"{quoted(part.start_box.id)} -> {quoted(part.end_box.id)}"
            attributes = {
                "id": f"{cable.id}-{number_}", **_cable(cable),
                "taillabel": _port(part.start), "headlabel": _port(part.end),
            }  # fmt: skip
            yield f"  {ends} {_attributes(attributes)};"
    yield "}"


def _box(box: DiagramBox) -> dict[str, str]:
    worst = gravest(box.problems)
    lines = [one_line(box.ref.label), one_line(box.ref.name), *(c for c, _ in codes(box.problems))]
    return {
        "label": "\n".join(line for line in lines if line),
        "shape": _SHAPES.get(box.role, "box"),
        "color": _COLOURS[worst],
        "style": _STYLES[worst],
        **_row(box.ref),
    }


def _cable(cable: DiagramCable) -> dict[str, str]:
    worst = gravest(cable.problems)
    length = "" if cable.metres is None else f"{cable.metres:.0f} m"
    names = [one_line(cable.label), cable.format, length, *(c for c, _ in codes(cable.problems))]
    return {
        "label": "\n".join(name for name in names if name),
        "color": _COLOURS[worst],
        "style": _STYLES[worst],
        **_row(cable.rows[0]),
    }


def _row(ref: Ref) -> dict[str, str]:
    if not ref.uuid:
        return {}
    return {"uuid": ref.uuid, "URL": f"/api/{ref.collection}/{ref.uuid}"}


def _port(port: DiagramPort) -> str:
    return one_line(port.label, 24)


def _joined(words: list[str]) -> str:
    return " \u00b7 ".join(line for line in map(one_line, words) if line)


def _attributes(values: Mapping[str, str]) -> str:
    pairs = [f"{name}={quoted(value)}" for name, value in values.items() if value]
    return f"[{', '.join(pairs)}]"


def quoted(text: str) -> str:
    """Return a text as a string of DOT: Graphviz reads entities and escapes in it."""
    escaped = text.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
    return '"{}"'.format(escaped.replace("\n", "\\n"))
