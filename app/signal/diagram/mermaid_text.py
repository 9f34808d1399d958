"""A diagram as a flowchart of Mermaid, as wikis and repositories draw it."""

from collections.abc import Iterator
from typing import Final

from app.signal.diagram.diagram_elements import (
    DiagramBox,
    DiagramCable,
    ShowDiagram,
    codes,
    gravest,
)
from app.signal.diagram.texts import one_line

_BRACKETS: Final = {
    "ORIGIN": ("([", "])"), "CAMERA": ("([", "])"), "SINK": ("[/", "/]"), "TRUNK": ("[[", "]]"),
    "PROCESSING": ("{{", "}}"),
}  # fmt: skip
_CLASSES: Final = (
    "  classDef error stroke:#b3001b,stroke-width:4px",
    "  classDef warning stroke:#8a5a00,stroke-width:3px,stroke-dasharray:8 4",
    "  classDef info stroke:#1f5fa8,stroke-width:2px,stroke-dasharray:2 3",
)
_SAFE: Final = frozenset(" .,:-+_/()'\u00b7\u2026")
_ARROWS: Final = {"error": "==>", "warning": "-.->", "info": "-->", "": "-->"}


def mermaid_text(diagram: ShowDiagram) -> str:
    """Return the diagram as a flowchart: problems have a line of their own and their code."""
    return "".join(f"{line}\n" for line in _lines(diagram))


def _lines(diagram: ShowDiagram) -> Iterator[str]:
    title = diagram.title
    number = f"change {title.seq}" if title.seq is not None else ""
    words = (one_line(word) for word in (title.show, title.about, number, title.date))
    yield "---"
    yield f'title: "{_escaped(" - ".join(word for word in words if word))}"'
    yield "---"
    yield "flowchart LR"
    for box in diagram.boxes:
        yield f"  {_id(box)}{_box(box)}"
    for cable in diagram.cables:
        for part in cable.parts:
            arrow = _ARROWS[gravest(cable.problems)]
            label = _cable(cable)
            text = f'|"{label}"|' if label else ""
            yield f"  {_id(part.start_box)} {arrow}{text} {_id(part.end_box)}"
    for box in diagram.boxes:
        if box.ref.uuid:
            yield f'  click {_id(box)} href "/api/{box.ref.collection}/{box.ref.uuid}"'
    yield from _CLASSES
    for severity in ("error", "warning", "info"):
        marked = [_id(box) for box in diagram.boxes if gravest(box.problems) == severity]
        if marked:
            yield f"  class {','.join(marked)} {severity}"


def _id(box: DiagramBox) -> str:
    return box.id.replace("-", "_")


def _box(box: DiagramBox) -> str:
    before, after = _BRACKETS.get(box.role, ("[", "]"))
    lines = [one_line(box.ref.label), one_line(box.ref.name), *(c for c, _ in codes(box.problems))]
    label = "<br>".join(_escaped(line) for line in lines if line)
    return f'{before}"{label}"{after}'


def _cable(cable: DiagramCable) -> str:
    length = "" if cable.metres is None else f"{cable.metres:.0f} m"
    names = [one_line(cable.label), cable.format, length, *(c for c, _ in codes(cable.problems))]
    return "<br>".join(_escaped(name) for name in names if name)


def _escaped(text: str) -> str:
    """Return a text without signs that Mermaid, Markdown or HTML read: as its own entities."""
    return "".join(sign if sign.isalnum() or sign in _SAFE else f"#{ord(sign)};" for sign in text)
