"""The routes of a show as one document: out, in as a new show, and copied."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field, create_model
from pydantic_core import from_json

from app.api.dependencies import (
    DatabaseDep,
    IdempotentWriterDep,
    ProductionKey,
    RequestIdDep,
)
from app.api.idempotent import IDEMPOTENCY_KEY, IdempotentWriter
from app.api.json_requests import JsonRoute, actor_in
from app.api.openapi import answers, documented
from app.api.responses import created_response
from app.api.routes.shows import show_model
from app.entities import root
from app.errors import AmbiguousId, Conflict, Invalid, KeyReused, NotFound
from app.model.fields import MaybeLine, MaybeMoment
from app.model.schemas import DeleteBody, MaybeLabel, read_schema
from app.shows import copying, show_document
from app.shows.show_document import Document, lists_of

router: Final = APIRouter(prefix=f"/{root().collection}", tags=[root().noun], route_class=JsonRoute)
_EXPORTED: Final = (
    "All that `POST /api/productions/import` needs to make the same show elsewhere. History and "
    "people who are there are not in it."
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
    keep_ticks: bool = Field(default=False, alias="keepTicks")
    """Whether what is done stays done; else the checklist begins anew."""


_FORMAT: Final[dict[str, Any]] = {
    "format": (Annotated[int, Field(description="The number of this shape of documents.")], ...)
}
ShowDocument: Final = create_model(
    "ShowDocument", __base__=show_model(), __doc__="A show with its rows, as the import takes it.",
    **_FORMAT,
)  # fmt: skip


@router.get("/{production}/export", operation_id="export_production",
            summary="Get a show as one document", description=_EXPORTED,
            responses=answers(ShowDocument, NotFound, AmbiguousId, Invalid))  # fmt: skip
async def export_show(database: DatabaseDep, production: ProductionKey) -> Response:
    """Answer with the document."""
    text = await show_document.export(database, production)
    headers = {"content-disposition": 'attachment; filename="show.json"'}
    return Response(text, media_type="application/json", headers=headers)


@router.post("/import", status_code=201, operation_id="import_production",
             summary="Make a show of a document", description=_IMPORT, responses=_MADE,
             openapi_extra={"parameters": [IDEMPOTENCY_KEY]})  # fmt: skip
async def import_show(
    body: ShowImport, writer: IdempotentWriterDep, request_id: RequestIdDep, uuids: Uuids = "same"
) -> Response:
    """Make the show."""
    show = show_document.check({
        "production": body.production, **{name: getattr(body, name) for name in lists_of()}
    })  # fmt: skip
    if uuids == "new":
        show = copying.with_new_uuids(show)
    return await _create(writer, "", body, show, request_id)


@router.post("/{production}/copy", status_code=201, operation_id="copy_production",
             summary="Copy a show", description=_COPY,
             responses={**_MADE, **documented(NotFound, Conflict, Invalid, KeyReused)},
             openapi_extra={"parameters": [IDEMPOTENCY_KEY]})  # fmt: skip
async def copy_show(
    database: DatabaseDep, production: ProductionKey, writer: IdempotentWriterDep,
    request_id: RequestIdDep, body: ShowCopy | None = None,
) -> Response:  # fmt: skip
    """Make the copy."""
    body = body or ShowCopy()
    show: Document = from_json(await show_document.export(database, production))
    if body.collections is not None:
        show = copying.only(show, _require_lists(body.collections))
    if not body.keep_ticks:
        show = copying.without_ticks(show)
    if body.load_in is not None:
        show = copying.moved_to(show, body.load_in)
    show = copying.with_new_uuids(show)
    names = {"id": body.id, "showName": body.show_name}
    own = {name: value for name, value in names.items() if value}
    show["production"] |= own
    return await _create(writer, production, body, show, request_id)


def _require_lists(names: Sequence[str]) -> Sequence[str]:
    """Return the names of lists. Raises Invalid for one that is none."""
    for index, name in enumerate(names):
        if name not in lists_of():
            choices = ", ".join(lists_of())
            raise Invalid.at(f"collections.{index}", f"{name!r} is none of {choices}")
    return names


async def _create(
    writer: IdempotentWriter, key: str, body: DeleteBody, show: Document, request_id: str | None
) -> Response:
    """Write the show, and answer with its production."""
    return await writer.write(
        key,
        partial(show_document.load, document=show, actor=actor_in(body, request_id)),
        lambda new_show: created_response(body, new_show.production),
    )
