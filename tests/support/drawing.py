"""Diagrams of shows for tests, drawn without a service."""

from xml.etree import ElementTree as ET

from app.shows.diagram_layout import lay_out
from app.signal.answers.show_signal import ShowSignal
from app.signal.answers.things import SignalThing
from app.signal.answers.trace import TraceDirection
from app.signal.diagram.boxes import layout_graph, shapes
from app.signal.diagram.diagram_elements import DiagramTitle, ShowDiagram
from app.signal.diagram.placement import placed
from app.signal.diagram.show_diagram import NO_CHANGES, Changes, show_diagram
from app.signal.diagram.svg import svg
from tests.support.signal_shows import ShowBuilder, stop

SVG = "{http://www.w3.org/2000/svg}"


def diagram_of(
    signal: ShowSignal, thing: SignalThing | None = None, direction: TraceDirection | None = None,
    changes: Changes = NO_CHANGES, show: str = "Town Hall",
) -> ShowDiagram:  # fmt: skip
    title = DiagramTitle(show, 7, "2027-03-01 08:00 UTC", thing.words if thing else "")
    return show_diagram(signal, title, changes, thing, direction)


async def picture_of(diagram: ShowDiagram) -> str:
    boxes = shapes(diagram)
    cabled = [shape for shape in boxes if shape.rows]
    loose = [shape for shape in boxes if not shape.rows]
    answer = await lay_out(layout_graph(cabled, diagram.cables)) if cabled else {}
    return svg(diagram, placed(cabled, loose, diagram.cables, answer))


def parsed(picture: str) -> ET.Element:
    return ET.fromstring(picture)  # noqa: S314  # we made it


def uuids(root: ET.Element, css: str) -> list[str]:
    """Return the uuids of the groups of a class, in their order."""
    groups = (group for group in root.iter(f"{SVG}g") if group.get("class") == css)
    return [uuid for group in groups if (uuid := group.get("data-uuid"))]


def stage() -> ShowBuilder:
    """Return a show with a camera by snake, a laptop of another family, and a snake back out."""
    show = ShowBuilder()
    show.row("cameras", "CAM 1", name="Centre", ccuUuid=None, smpteCableLength=250)
    show.show["cameras"][0]["ccuId"] = "CCU 1"
    show.row("ccus", "CCU 1", formatMode="1080p59.94", referenceInput="TRI-LEVEL")
    show.source("SRC 1", "HDMI", name="Slides").source("SRC 2")
    show.matrix("routers", "RTR 1", 3, 3)
    show.row("cableSnakes", "SNAKE 1", model="250' SDI 16 x 16", name="Stage loom")
    show.row("sends", "DST 1", name="LED wall", hRes=1920, vRes=1080, rate=59.94)
    show.row("sends", "DST 2", name="Lobby", hRes=1920, vRes=1080, rate=59.94)
    show.path("CCU 1", "SNAKE 1 CH 1", stop("RTR 1", "IN 1"))
    show.path("SRC 1", stop("RTR 1", "IN 2"))
    show.path(stop("RTR 1", "IN 1", "OUT 1"), "SNAKE 1 CH 9", "DST 1")
    return show
