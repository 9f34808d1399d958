"""Diagrams of shows: read, drawn and remembered."""

import asyncio
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple
from uuid import UUID

from pydantic_core import from_json, to_json

from app.changelog.changed_rows import changed_rows, moment_of
from app.database.database import Database
from app.entities import root
from app.errors import Invalid, Unavailable
from app.shows.diagram_layout import lay_out
from app.shows.signal_reading import SignalReader, show_kinds
from app.signal.answers.show_signal import ShowSignal
from app.signal.answers.things import SignalThing, find_thing
from app.signal.answers.trace import TraceDirection
from app.signal.diagram.boxes import layout_graph, shapes
from app.signal.diagram.diagram_elements import DiagramChange, DiagramTitle, ShowDiagram
from app.signal.diagram.dot_text import dot_text
from app.signal.diagram.json_graph import json_graph
from app.signal.diagram.mermaid_text import mermaid_text
from app.signal.diagram.placement import placed
from app.signal.diagram.show_diagram import Changes, show_diagram
from app.signal.diagram.svg import svg
from app.store import read

DiagramKind = Literal["svg", "mmd", "dot", "json"]
_MOST_REMEMBERED: Final = 16
_MOST_WAITING: Final = 16


class DiagramWish(NamedTuple):
    """What is to be drawn of a show: the ways through one thing, and what changed since when."""

    kind: DiagramKind
    trace: str | None = None
    direction: TraceDirection | None = None
    since: int | None = None


class DiagramReader:
    """Draws shows. One is laid out at a time; the newest pictures are remembered."""

    def __init__(self, database: Database, signals: SignalReader) -> None:
        self._database, self._signals = database, signals
        self._laying_out, self._waiting = asyncio.Lock(), 0
        self._pictures: OrderedDict[tuple[str, str, DiagramWish], bytes] = OrderedDict()

    async def read(self, production: str, state: str, wish: DiagramWish) -> bytes:
        """Return the diagram of a show in a state, or in a newer one.

        Raises NotFound, Invalid for a thing that is not there, LogTrimmed, and Unavailable where
        too many are waiting or where the layout fails.
        """
        signal = await self._signals.read(production, state)
        if wish.kind != "svg":
            return await asyncio.to_thread(_text, await self._diagram(production, signal, wish))
        key = production, state, wish
        if key not in self._pictures:
            if self._waiting >= _MOST_WAITING:
                raise Unavailable(
                    f"{_MOST_WAITING} diagrams are waiting to be drawn: ask again in a moment."
                )
            self._waiting += 1
            try:
                async with self._laying_out:
                    if key in self._pictures:
                        return self._pictures[key]
                    diagram = await self._diagram(production, signal, wish)
                    picture = await _picture(diagram.drawing)
            finally:
                self._waiting -= 1
            if not state:
                return picture
            self._remember(key, picture)
        self._pictures.move_to_end(key)
        return self._pictures[key]

    def _remember(self, key: tuple[str, str, DiagramWish], picture: bytes) -> None:
        self._pictures[key] = picture
        while len(self._pictures) > _MOST_REMEMBERED:
            self._pictures.popitem(last=False)

    async def _diagram(
        self, production: str, signal: ShowSignal, wish: DiagramWish
    ) -> "_WishedDiagram":
        show = from_json(await read.get(self._database, root(), production))
        uuid = UUID(show["uuid"])
        at = None
        if signal.seq is not None:
            at = await moment_of(self._database, uuid, signal.seq)
        thing = _thing(signal, wish.trace) if wish.trace is not None else None
        changes = await self._changes(uuid, wish.since) if wish.since is not None else {}
        title = DiagramTitle(show["showName"], signal.seq, _date(at), _about(thing, wish))
        drawing = await asyncio.to_thread(
            show_diagram, signal, title, changes, thing, wish.direction
        )
        return _WishedDiagram(wish.kind, drawing)

    async def _changes(self, production: UUID, since: int) -> Changes:
        """Return by uuid what became of the rows that a diagram shows."""
        drawn = {kind.collection for kind in show_kinds()}
        return {
            row.uuid: DiagramChange(row.collection, row.label, row.is_new, row.is_deleted)
            for row in await changed_rows(self._database, production, since)
            if row.collection in drawn and not (row.is_new and row.is_deleted)
        }


class _WishedDiagram(NamedTuple):
    kind: DiagramKind
    drawing: ShowDiagram


def _text(diagram: _WishedDiagram) -> bytes:
    match diagram.kind:
        case "json":
            return to_json(json_graph(diagram.drawing))
        case "dot":
            return dot_text(diagram.drawing).encode()
        case _:
            return mermaid_text(diagram.drawing).encode()


async def _picture(drawing: ShowDiagram) -> bytes:
    """Return a diagram in SVG. What nothing is cabled to needs no layout."""
    boxes = await asyncio.to_thread(shapes, drawing)
    cabled = [shape for shape in boxes if shape.rows]
    loose = [shape for shape in boxes if not shape.rows]
    graph = await asyncio.to_thread(layout_graph, cabled, drawing.cables)
    answer = await lay_out(graph) if cabled else {}

    def draw() -> bytes:
        return svg(drawing, placed(cabled, loose, drawing.cables, answer)).encode()

    return await asyncio.to_thread(draw)


def _thing(signal: ShowSignal, key: str) -> SignalThing:
    """Return the thing with a uuid, or the one device or connection with a label."""
    graph = signal.graph
    device = graph.devices.labelled(key)
    paths = [path.ref for path in graph.paths if path.ref.label == key]
    refs = [device.ref] if device else paths if len(paths) == 1 else []
    uuid = refs[0].uuid if refs else key
    thing = find_thing(graph, uuid or key)
    if thing is None:
        raise Invalid.at(
            "trace", f"{key[:64]!r} is neither a uuid nor the label of one thing of this show"
        )
    return thing


def _date(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at else ""


def _about(thing: SignalThing | None, wish: DiagramWish) -> str:
    words = []
    if thing is not None:
        side = {"upstream": "what feeds", "downstream": "what is fed by"}.get(
            wish.direction or "", "through"
        )
        words.append(f"{side} {thing.words}")
    if wish.since is not None:
        words.append(f"changes since {wish.since}")
    return ", ".join(words)
