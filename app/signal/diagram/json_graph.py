"""A diagram as a JSON graph, in the JSON Graph Format of version 2 (jsongraphformat.info)."""

from collections.abc import Iterable
from typing import Any

from app.signal.checks.rule_table import FlowProblem
from app.signal.diagram.diagram_elements import (
    CablePart,
    DiagramBox,
    DiagramCable,
    DiagramPort,
    ShowDiagram,
)
from app.signal.diagram.texts import one_line
from app.signal.graph.elements import Ref

Members = dict[str, Any]


def json_graph(diagram: ShowDiagram) -> Members:
    """Return the graph: nodes are boxes, edges the parts of cables; ``metadata`` says the rest."""
    title = diagram.title
    return {
        "graph": {
            "type": "signal-flow",
            "label": title.show,
            "directed": True,
            "metadata": {
                "seq": title.seq,
                "date": title.date,
                "about": title.about or None,
                "counts": diagram.counts,
                "problems": [problem.members() for problem in diagram.problems],
                "deleted": [
                    {"collection": row.collection, "label": row.label} for row in diagram.deleted
                ],
            },
            "nodes": {box.id: _node(box) for box in diagram.boxes},
            "edges": [
                _edge(f"{cable.id}-{number}", cable, part)
                for cable in diagram.cables
                for number, part in enumerate(cable.parts, 1)
            ],
        }
    }


def _node(box: DiagramBox) -> Members:
    places = {port: place for place, port in enumerate(box.ports)}
    return {
        "label": box.ref.label,
        "metadata": {
            **_row(box.ref),
            "name": box.ref.name,
            "role": box.role,
            "part": box.part,
            "change": box.change or None,
            "ports": [_port(port) for port in box.ports],
            "routes": [
                [places[start], places[end]]
                for start, end in box.routes
                if start in places and end in places
            ],
            "problems": _codes(box.problems),
        },
    }


def _port(port: DiagramPort) -> Members:
    return {
        "uuid": port.uuid,
        "label": port.label or None,
        "direction": port.direction,
        "family": port.family or None,
        "format": port.format or None,
        "isSpare": port.is_spare,
        "change": port.change or None,
        "problems": _codes(port.problems),
    }


def _edge(key: str, cable: DiagramCable, part: CablePart) -> Members:
    return {
        "id": key,
        "source": part.start_box.id,
        "target": part.end_box.id,
        "label": one_line(cable.label) or None,
        "metadata": {
            "cable": cable.id,
            "statedBy": [_row(ref) for ref in cable.rows],
            "sourcePort": part.start_box.ports.index(part.start),
            "targetPort": part.end_box.ports.index(part.end),
            "family": cable.family or None,
            "format": cable.format or None,
            "length": None if cable.metres is None else round(cable.metres, 2),
            "lengthUnit": "m",
            "change": cable.change or None,
            "problems": _codes(cable.problems),
        },
    }


def _row(ref: Ref) -> Members:
    link = f"/api/{ref.collection}/{ref.uuid}" if ref.uuid and ref.collection else None
    return {"collection": ref.collection, "uuid": ref.uuid, "link": link}


def _codes(problems: Iterable[FlowProblem]) -> list[str]:
    return list(dict.fromkeys(problem.code for problem in problems))
