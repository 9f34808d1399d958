"""The route of a whole show: all that a client opens it with, in one request."""

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Response
from pydantic import BaseModel, Field, create_model

from app.api import openapi
from app.api.dependencies import DatabaseDep, IfNoneMatchDep, ProductionDep, SeesSecretsDep
from app.api.fast_path import FastRoute
from app.api.responses import ReadResponse, json_response
from app.api.routes.routers import api_router
from app.entities import root
from app.errors import AmbiguousId, Invalid, NotFound
from app.model.entity import Entity
from app.model.schemas import read_schema
from app.model.updated_schema import LabelHolder
from app.releases.migrations import revisions
from app.rules.etags import fingerprint, list_tag, matches
from app.shows.show_document import without_secrets
from app.sql.show_reads import SHOW_BY_UUID, members
from app.store import read

router: Final = api_router(f"/{root().collection}", root().noun, route_class=FastRoute)
_PRODUCTION: Final = openapi.path_parameter("production", "The production's uuid or label.")
_COLLECTIONS: Final = openapi.parameter(
    "collections", "query",
    "Only these, separated by commas (cameras,cableSnakes); the production always.",
)  # fmt: skip
_PARAMETERS: Final = [_PRODUCTION, _COLLECTIONS, openapi.IF_NONE_MATCH]
# Below this length joining the pieces costs less than sending them one by one.
_WORTH_PIECES: Final = 200_000
_LIST: Final = "All rows of the collection; absent where it was not asked for."


@cache
def show_model() -> type[BaseModel]:
    """Return the model of a whole show."""
    fields: dict[str, Any] = {
        name: (
            Annotated[
                list[read_schema(kind)],  # type: ignore[misc]  # made at run time
                Field(description=_LIST),
            ],
            None,
        )
        if issubclass(kind, Entity)
        else (Annotated[read_schema(kind), Field(description="The show itself.")], ...)
        for name, kind in members().items()
    }
    words = "A production with all that belongs to it."
    return create_model("Show", __base__=openapi.AnswerModel, __doc__=words, **fields)


async def _collections(request: Request) -> tuple[str, ...] | None:
    """Return the collections that the client wants, None for all. Raises Invalid."""
    listed = ",".join(filter(None, request.query_params.getlist("collections")))
    if not listed:
        return None
    names = set(listed.split(","))
    if unknown := sorted(names - members().keys()):
        choices = ", ".join(name for name, kind in members().items() if issubclass(kind, Entity))
        raise Invalid.at("collections", f"{unknown[0]!r} is none of {choices}")
    return tuple(name for name in members() if name in names)


CollectionsDep = Annotated[tuple[str, ...] | None, Depends(_collections)]


@router.get("/{production}/show", operation_id="get_show", summary="Get a whole show",
            description="The production and all its live rows, as they were at one moment. "
            "Each list is the same as the one under its own path.",
            responses={**openapi.conditional(show_model()),
                       **openapi.documented(NotFound, AmbiguousId, Invalid)},
            openapi_extra={"parameters": _PARAMETERS})  # fmt: skip
async def get_show(
    database: DatabaseDep, production: ProductionDep, collections: CollectionsDep,
    if_none_match: IfNoneMatchDep, sees_secrets: SeesSecretsDep,
) -> Response:  # fmt: skip
    """Answer with the show, or 304 where the client has its newest state."""
    version = _version(collections, sees_secrets=sees_secrets)
    if if_none_match:
        etag = list_tag(await read.show_state_token(database, production), version)
        if matches(if_none_match, etag):
            return ReadResponse(None, etag, compressible=True)
    show = await read.show(database, production, collections)
    lists = show.members if sees_secrets else without_secrets(show.members)
    return ReadResponse(_pieces(lists), list_tag(show.state, version), compressible=True)


class LabelClash(openapi.AnswerModel):
    """A label that several live rows of one collection have, whatever its case."""

    collection: str
    """The collection of the rows."""
    id: str
    """The label that they share."""
    rows: list[LabelHolder]
    """The rows that have it."""


@router.get("/{production}/label-clashes", operation_id="list_label_clashes",
            summary="List labels of several rows",
            description="Such a label names none of its rows: their uuids do.",
            responses=openapi.answers(list[LabelClash], NotFound, AmbiguousId),
            openapi_extra={"parameters": [_PRODUCTION]})  # fmt: skip
async def list_label_clashes(database: DatabaseDep, production: ProductionDep) -> Response:
    """Answer with each label that several live rows have."""
    return json_response(await read.label_clashes(database, production))


@lru_cache(maxsize=256)
def _version(collections: tuple[str, ...] | None, *, sees_secrets: bool) -> str:
    """Return what tells this choice of collections, as this code answers it, from others."""
    public = "" if sees_secrets else "\npublic"
    return fingerprint(f"{SHOW_BY_UUID}\n{collections}{public}", revisions.head())


def _pieces(lists: Mapping[str, bytes]) -> list[bytes]:
    """Return a JSON object; a long one in pieces, since joining would copy all of it."""
    pieces: list[bytes] = []
    for name, rows in lists.items():
        pieces += [f'{"," if pieces else "{"}"{name}":'.encode(), rows]
    pieces.append(b"}")
    return pieces if sum(map(len, pieces)) > _WORTH_PIECES else [b"".join(pieces)]
