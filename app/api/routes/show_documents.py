"""The routes of a show as one document: out, in as a new show, and copied."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Final, Literal

from fastapi import Query, Response
from pydantic import Field, create_model
from pydantic_core import from_json

from app.api.dependencies import (
    DatabaseDep,
    IdempotentWriterDep,
    ProductionKey,
    SenderDep,
)
from app.api.idempotent import IDEMPOTENCY_KEY
from app.api.json_requests import actor_in
from app.api.openapi import answers, documented
from app.api.responses import json_response
from app.api.routes.routers import api_router
from app.api.routes.shows import show_model
from app.entities import root
from app.errors import AmbiguousId, Conflict, Invalid, KeyReused, NotFound
from app.model.fields import MaybeLine, MaybeMoment
from app.model.schemas import DeleteBody, MaybeLabel, read_schema
from app.model.secret_fields import public_schema
from app.rules.etags import entity_tag
from app.shows import copying, show_document
from app.shows.references_within import Document, lists_of
from app.shows.show_document import NewShow
from app.store.write_context import WriteContext

router: Final = api_router(f"/{root().collection}", root().noun)
_MOST: Final = 1_000
"""Rows of one request, as of a bulk: nobody else can make a show meanwhile."""
_SLOT: Final = "the making of whole shows"
"""What these writes wait for among themselves, one at a time in each process."""
_EXPORTED: Final = (
    "All that `POST /api/productions/import` needs to make the same show elsewhere. History, "
    "secrets and people who are there are not in it."
)
_IMPORT: Final = (
    "All of it or nothing. With `uuids=new` every row gets a new key, and the show the next free "
    "label, so that it stands beside the one that it was taken from."
)
_COPY: Final = (
    "The rows get new keys and keep their labels; what refers to one of them refers to the new "
    "one. Dates lie as far from the new load-in as they did from the old."
)
_MADE: Final[dict[int | str, dict[str, Any]]] = {
    201: {"model": read_schema(root())}, **documented(Conflict, Invalid, KeyReused),
}  # fmt: skip
Uuids = Annotated[
    Literal["same", "new"], Query(description="Whether the rows keep their keys or get new ones.")
]


class _ShowImport(DeleteBody):
    format: Literal[1] = show_document.FORMAT
    """The number of this shape of documents."""
    production: dict[str, Any]
    """The show itself."""


_LISTS: Final[dict[str, Any]] = {
    name: (Annotated[list[Any], Field(description="The rows; may be left out.")], [])
    for name in lists_of()
}
ShowImport: Final = create_model(
    "ShowImport", __base__=_ShowImport, __doc__="A show with its rows, as the export has it.",
    **_LISTS,
)  # fmt: skip


class ShowCopy(DeleteBody):
    """What the copy of a show is called, and what it begins with."""

    id: MaybeLabel = None
    """The label of the copy; without it the next free one."""
    show_name: MaybeLine = Field(None, alias="showName")
    """What the copy is called; without it as the show."""
    load_in: MaybeMoment = Field(None, alias="loadIn")
    """The new day of the load-in: all other dates move with it."""
    collections: list[str] | None = None
    """The lists to copy, by their names in the export; without it all."""
    keep_ticks: Annotated[bool, Field(strict=True)] = Field(default=False, alias="keepTicks")
    """Whether what is done stays done; else the checklist begins anew."""


_FORMAT: Final[dict[str, Any]] = {
    "format": (Annotated[int, Field(description="The number of this shape of documents.")], ...)
}
_WITHOUT_SECRETS: Final[dict[str, Any]] = {
    name: (
        Annotated[
            list[public_schema(kind)],  # type: ignore[misc]  # made at run time
            Field(description="Without their secrets."),
        ],
        None,
    )
    for name, kind in lists_of().items()
    if kind.secrets
}
ShowDocument: Final = create_model(
    "ShowDocument", __base__=show_model(), __doc__="A show with its rows, as the import takes it.",
    **_FORMAT, **_WITHOUT_SECRETS,
)  # fmt: skip


@router.get("/{production}/export", operation_id="export_production",
            summary="Get a show as one document", description=_EXPORTED,
            responses=answers(ShowDocument, NotFound, AmbiguousId, Invalid))  # fmt: skip
async def export_show(database: DatabaseDep, production: ProductionKey) -> Response:
    """Answer with the document."""
    content = await show_document.export(database, production)
    headers = {"content-disposition": 'attachment; filename="show.json"'}
    return Response(content, media_type="application/json", headers=headers)


@router.post("/import", status_code=201, operation_id="import_production",
             summary="Make a show of a document", description=_IMPORT, responses=_MADE,
             openapi_extra={"parameters": [IDEMPOTENCY_KEY]})  # fmt: skip
async def import_show(
    body: ShowImport, writer: IdempotentWriterDep, sender: SenderDep, uuids: Uuids = "same"
) -> Response:
    """Make the show."""
    show = show_document.check({
        "production": body.production, **{name: getattr(body, name) for name in lists_of()}
    })  # fmt: skip
    _refuse_more_than_most(show)
    if uuids == "new":
        show = copying.with_new_uuids(show)
    actor = actor_in(body, sender)
    work = partial(show_document.load, document=show, actor=actor)
    return await writer.make_show(_SLOT, work, partial(_answer, body), _row)


@router.post("/{production}/copy", status_code=201, operation_id="copy_production",
             summary="Copy a show", description=_COPY,
             responses={**_MADE, **documented(NotFound, Conflict, Invalid, KeyReused)},
             openapi_extra={"parameters": [IDEMPOTENCY_KEY]})  # fmt: skip
async def copy_show(
    database: DatabaseDep, production: ProductionKey, writer: IdempotentWriterDep,
    sender: SenderDep, body: ShowCopy | None = None,
) -> Response:  # fmt: skip
    """Make the copy."""
    body = body or ShowCopy()
    actor = actor_in(body, sender)

    async def copy(context: WriteContext) -> NewShow:
        context.require_lock()
        exported: Document = from_json(await show_document.export(database, production))
        return await show_document.load(context, _changed(exported, body), actor)

    _require_lists(body.collections or ())
    return await writer.make_show(_SLOT, copy, partial(_answer, body), _row)


def _changed(show: Document, body: ShowCopy) -> Document:
    """Return the document of the copy. Raises Invalid."""
    if body.collections is not None:
        show = copying.only(show, body.collections)
    _refuse_more_than_most(show)
    if not body.keep_ticks:
        show = copying.without_ticks(show)
    if body.load_in is not None:
        show = copying.moved_to(show, body.load_in)
    show = copying.with_new_uuids(show)
    own = {"id": body.id, "showName": body.show_name}
    names = {name: value for name, value in own.items() if value}
    return {**show, "production": {**show["production"], **names}}


def _refuse_more_than_most(show: Document) -> None:
    """Raise Invalid for a show whose making would let others wait."""
    rows = show_document.count(show)
    if rows > _MOST:
        raise Invalid.at("production", f"the show has {rows} rows, and a request takes {_MOST}: "
                         "export it and load it with `python -m app load`")  # fmt: skip


def _require_lists(names: Sequence[str]) -> None:
    """Raise Invalid for a name that is no list's."""
    for index, name in enumerate(names):
        if name not in lists_of():
            choices = ", ".join(lists_of())
            raise Invalid.at(f"collections.{index}", f"{name[:100]!r} is none of {choices}")


def _row(new_show: NewShow) -> bytes:
    return new_show.production


def _answer(body: DeleteBody, new_show: NewShow) -> Response:
    """Answer with the production; the references that led nowhere are named as ignored."""
    row = new_show.production
    return json_response(
        row, status=201, etag=entity_tag(row), request_body=body, ignored=new_show.ignored
    )
