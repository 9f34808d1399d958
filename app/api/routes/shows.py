"""The route that gives a whole show: what a client opens one with, in one request."""

from functools import lru_cache
from typing import Any, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, create_model

from app.api.errors import documented
from app.api.etag_docs import IF_NONE_MATCH, conditional
from app.api.fast_path import Answer, FastReadRoute, has_newest, header
from app.api.requests import database, maybe_parameter, path_parameter
from app.entities import root
from app.errors import AmbiguousId, Invalid, NotFound
from app.model.entity import Entity
from app.model.schemas import read_shape
from app.releases.migrations import revisions
from app.rules.etags import fingerprint, list_tag
from app.sql.show import SHOW_BY_UUID, members
from app.store import read

_COLLECTIONS: Final = maybe_parameter(
    "collections",
    "query",
    "Only these, separated by commas (cameras,cableSnakes); the production always.",
)
_CLOSED: Final = b"}"
# Below this a copy costs less than sending its pieces one by one.
_JOINED: Final = 200_000


def router() -> APIRouter:
    """Give the router of ``GET /productions/{production}/show``."""
    made = APIRouter(prefix=f"/{root().collection}", tags=[root().noun])
    made.add_api_route(
        "/{production}/show",
        _endpoint(revisions.head()),
        methods=["GET"],
        operation_id="get_show",
        summary="Get a whole show",
        description="The production and all its live rows, as they were at one moment. Each list "
        "is the same as the one under its own path.",
        response_model=None,
        responses={**conditional(_shape()), **documented(NotFound, AmbiguousId, Invalid)},
        openapi_extra={
            "parameters": [
                path_parameter("production", "The production's uuid or label."),
                _COLLECTIONS, IF_NONE_MATCH,
            ],
        },
        route_class_override=FastReadRoute,
    )  # fmt: skip
    return made


def _endpoint(revision: str) -> Any:
    async def get_show(request: Request) -> Answer:
        production, chosen = request.path_params["production"], _chosen(request)
        known_by = _known_by(revision, chosen)
        if header(request, b"if-none-match"):
            etag = list_tag(await read.show_state_token(database(request), production), known_by)
            if has_newest(request, etag):
                return Answer(None, etag, several=True)
        show = await read.show(database(request), production, chosen)
        return Answer(_pieces(show.members), list_tag(show.state, known_by), several=True)

    return get_show


def _chosen(request: Request) -> tuple[str, ...] | None:
    """Give the collections that the client asks for, None for all. Raises Invalid."""
    if not (said := ",".join(filter(None, request.query_params.getlist("collections")))):
        return None
    names = set(said.split(","))
    if unknown := sorted(names - members().keys()):
        known = ", ".join(name for name, kind in members().items() if issubclass(kind, Entity))
        raise Invalid.at("collections", f"{unknown[0]!r} is none of {known}")
    return tuple(name for name in members() if name in names)


@lru_cache(maxsize=256)
def _known_by(revision: str, chosen: tuple[str, ...] | None) -> str:
    return fingerprint(f"{SHOW_BY_UUID}\n{chosen}", revision)


def _pieces(lists: dict[str, bytes]) -> list[bytes]:
    """Give a JSON object; a long one piece by piece, since joining would copy all of it."""
    pieces: list[bytes] = []
    for name, rows in lists.items():
        pieces += [f'{"," if pieces else "{"}"{name}":'.encode(), rows]
    pieces.append(_CLOSED)
    return pieces if sum(map(len, pieces)) > _JOINED else [b"".join(pieces)]


def _shape() -> type[BaseModel]:
    fields: dict[str, Any] = {
        name: (list[read_shape(kind)], None)  # type: ignore[misc]  # made at run time
        if issubclass(kind, Entity)
        else (read_shape(kind), ...)
        for name, kind in members().items()
    }
    return create_model(
        "Show",
        __config__=ConfigDict(extra="forbid"),
        __doc__="A production with all that belongs to it.",
        **fields,
    )
