"""The routes of diagrams: the signal flow of a show as SVG, Mermaid, DOT and a JSON graph."""

from typing import Annotated, Any, Final

from fastapi import Query, Response

from app.api import openapi
from app.api.content_policy import CONTENT_POLICY
from app.api.dependencies import DiagramsDep, IfNoneMatchDep, ProductionDep, SignalsDep
from app.api.responses import ReadResponse
from app.api.routes.routers import production_router
from app.errors import AmbiguousId, Invalid, LogTrimmed, NotFound
from app.model.fields import NO_NUL
from app.releases.migrations import revisions
from app.rules.etags import fingerprint, list_tag, matches
from app.shows.diagrams import DiagramKind, DiagramReader, DiagramWish
from app.shows.signal_reading import SignalReader
from app.signal.answers.trace import TraceDirection
from app.signal.diagram.svg_style import POLICY

router: Final = production_router("Signal flow")
_TYPES: Final[dict[DiagramKind, str]] = {
    "svg": "image/svg+xml", "mmd": "text/vnd.mermaid; charset=utf-8",
    "dot": "text/vnd.graphviz; charset=utf-8", "json": "application/json",
}  # fmt: skip
_NEWEST: Final = 2**63 - 1
_PARAMETERS: Final = [
    openapi.path_parameter("production", "The production's uuid or label."), openapi.IF_NONE_MATCH,
]  # fmt: skip
Trace = Annotated[
    str | None,
    Query(min_length=1, max_length=256, pattern=NO_NUL,
          description="Only the ways through this: the uuid of a device, a port or a connection, "
          "or the label that one device or connection of the show has."),
]  # fmt: skip
TraceSide = Annotated[
    TraceDirection | None,
    Query(description="Of `trace`: only what leads to it, or only where it leads. Both without."),
]
ChangedSince = Annotated[
    int | None,
    Query(ge=0, le=_NEWEST, description="Mark what changed after this change number, and name "
          "what was deleted."),
]  # fmt: skip


def _route(kind: DiagramKind, summary: str, description: str) -> dict[str, Any]:
    """Return what a route says of itself."""
    media = _TYPES[kind].partition(";")[0]
    schema: dict[str, Any] = {"type": "object"} if kind == "json" else {"type": "string"}
    tags = openapi.conditional(None)
    whole = {"description": "The diagram.", "headers": tags[200]["headers"],
             "content": {media: {"schema": schema}}}  # fmt: skip
    refusals = openapi.documented(NotFound, AmbiguousId, Invalid, LogTrimmed)
    return {
        "summary": summary, "description": description, "response_class": Response,
        "responses": {200: whole, 304: tags[304], **refusals},
        "openapi_extra": {"parameters": _PARAMETERS},
    }  # fmt: skip


@router.get("/diagram.svg", operation_id="draw_diagram", **_route(
    "svg", "Draw the signal flow",
    "Sources at the left, sends at the right, with ports, cables, formats and the rules that are "
    "broken. Each device, port and connection carries its uuid as `data-uuid`, and leads to the "
    "diagram of its own ways. It fits on A3 when it is printed.",
))  # fmt: skip
async def draw_diagram(
    signals: SignalsDep, diagrams: DiagramsDep, production: ProductionDep,
    if_none_match: IfNoneMatchDep, trace: Trace = None, direction: TraceSide = None,
    since: ChangedSince = None,
) -> Response:  # fmt: skip
    """Answer with the diagram as SVG."""
    wish = DiagramWish("svg", trace, direction, since)
    return await _respond(signals, diagrams, production, wish, if_none_match)


@router.get("/diagram.mmd", operation_id="get_diagram_as_mermaid", **_route(
    "mmd", "Get the signal flow for Mermaid",
    "A flowchart of Mermaid, as wikis and repositories draw it.",
))  # fmt: skip
async def get_diagram_as_mermaid(
    signals: SignalsDep, diagrams: DiagramsDep, production: ProductionDep,
    if_none_match: IfNoneMatchDep, trace: Trace = None, direction: TraceSide = None,
    since: ChangedSince = None,
) -> Response:  # fmt: skip
    """Answer with the diagram as a flowchart of Mermaid."""
    wish = DiagramWish("mmd", trace, direction, since)
    return await _respond(signals, diagrams, production, wish, if_none_match)


@router.get("/diagram.dot", operation_id="get_diagram_as_dot", **_route(
    "dot", "Get the signal flow for Graphviz", "A graph in DOT, without places.",
))  # fmt: skip
async def get_diagram_as_dot(
    signals: SignalsDep, diagrams: DiagramsDep, production: ProductionDep,
    if_none_match: IfNoneMatchDep, trace: Trace = None, direction: TraceSide = None,
    since: ChangedSince = None,
) -> Response:  # fmt: skip
    """Answer with the diagram as a graph of DOT."""
    wish = DiagramWish("dot", trace, direction, since)
    return await _respond(signals, diagrams, production, wish, if_none_match)


@router.get("/diagram.json", operation_id="get_diagram_as_json", **_route(
    "json", "Get the signal flow as a graph",
    "A graph in the JSON Graph Format, version 2. A node is a device, of a snake the channels that "
    "run the same way; an edge is a cable, or the part of one between two snakes.",
))  # fmt: skip
async def get_diagram_as_json(
    signals: SignalsDep, diagrams: DiagramsDep, production: ProductionDep,
    if_none_match: IfNoneMatchDep, trace: Trace = None, direction: TraceSide = None,
    since: ChangedSince = None,
) -> Response:  # fmt: skip
    """Answer with the diagram as a JSON graph."""
    wish = DiagramWish("json", trace, direction, since)
    return await _respond(signals, diagrams, production, wish, if_none_match)


async def _respond(
    signals: SignalReader, diagrams: DiagramReader, production: str, wish: DiagramWish,
    if_none_match: bytes,
) -> Response:  # fmt: skip
    """Return a diagram, or 304 where the client has that of the show's newest state."""
    state = await signals.state(production)
    etag = list_tag(state, fingerprint(f"diagram {wish}", revisions.head()))
    if if_none_match and matches(if_none_match, etag):
        return ReadResponse(None, etag, compressible=True)
    body = await diagrams.read(production, state, wish)
    headers = [(b"content-type", _TYPES[wish.kind].encode())]
    if wish.kind == "svg":
        headers.append((CONTENT_POLICY.encode(), POLICY.encode()))
    return ReadResponse([body], etag, compressible=True, headers=headers)
