"""The routes of equipment: the devices that everybody can choose."""

from functools import partial
from typing import Annotated, Any, Final

from fastapi import Query, Response

from app.api.dependencies import (
    DatabaseDep,
    IdempotentWriterDep,
    IfMatchDep,
    IfNoneMatchDep,
    KeyDep,
    SenderDep,
    WriterDep,
)
from app.api.idempotent import IDEMPOTENCY_KEY
from app.api.openapi import IF_MATCH, IF_NONE_MATCH, conditional, documented, path_parameter
from app.api.responses import ReadResponse, created_response, json_response
from app.api.routes.entities import Deleted, Person
from app.api.routes.equipment_models import Equipment, EquipmentCreate, EquipmentUpdate
from app.api.routes.routers import api_router
from app.errors import Conflict, Invalid, KeyReused, NotFound, PreconditionFailed
from app.installation import equipment
from app.installation.equipment import DeviceEdit, DeviceFilter
from app.installation.equipment_sql import LIST
from app.model.fields import NO_NUL
from app.model.schemas import DeleteBody
from app.releases.migrations import revisions
from app.rules.etags import entity_tag, fingerprint, list_tag, matches
from app.store.write_context import WriteContext

router: Final = api_router("/equipment", "Equipment")
_SLOT: Final = "the equipment"
"""What these writes wait for among themselves, in each process."""
_DELETED: Final = b'{"success":true}'
_KEY: Final = path_parameter("key", "The uuid of the device, else its text id.")
_LISTED: Final = (
    "By category, manufacturer and model. Archived ones are listed by themselves. `q` finds "
    "devices that have all its words in their manufacturer, model or category."
)
_PUT: Final = (
    "Members that are absent stay untouched; PUT and PATCH do the same. A port of a list that is "
    "sent is the one with its uuid or id, else with its direction and label, and keeps its uuid. "
    "`isDeleted: false` brings an archived device back."
)
_WRITE_ERRORS: Final = documented(NotFound, Conflict, PreconditionFailed, Invalid)


def _text(words: str) -> Any:
    return Query(max_length=200, pattern=NO_NUL, description=words)


Search = Annotated[str, _text("Words that must all be in the names of a device.")]
InCategory = Annotated[str, _text("Only devices of this category, in any case.")]
ByManufacturer = Annotated[str, _text("Only devices of this manufacturer.")]
Archived = Annotated[bool, Query(description="The archived devices, and no others.")]


@router.get("", operation_id="list_equipment", summary="List the devices to choose from",
            description=_LISTED,
            responses={**conditional(list[Equipment]), **documented(Invalid)},
            openapi_extra={"parameters": [IF_NONE_MATCH]})  # fmt: skip
async def list_equipment(
    database: DatabaseDep, if_none_match: IfNoneMatchDep, q: Search = "",
    category: InCategory = "", manufacturer: ByManufacturer = "",
    archived: Archived = False,  # noqa: FBT002  # a parameter of the query
) -> Response:  # fmt: skip
    """Answer with the list."""
    version = fingerprint(LIST, revisions.head())
    if if_none_match:
        etag = list_tag(await equipment.state_token(database), version)
        if matches(if_none_match, etag):
            return ReadResponse(None, etag, compressible=True)
    only = DeviceFilter(archived, category, manufacturer, tuple(q.split()))
    devices = await equipment.list_devices(database, only)
    return ReadResponse([devices.body], list_tag(devices.state, version), compressible=True)


@router.get("/{key}", operation_id="get_equipment", summary="Get one device",
            description="Archived ones as well.",
            responses={**conditional(Equipment), **documented(NotFound)},
            openapi_extra={"parameters": [_KEY, IF_NONE_MATCH]})  # fmt: skip
async def get_equipment(
    database: DatabaseDep, key: KeyDep, if_none_match: IfNoneMatchDep
) -> Response:
    """Answer with the device."""
    body = await equipment.get_device(database, key)
    etag = entity_tag(body)
    return ReadResponse(None if matches(if_none_match, etag) else [body], etag)


@router.post("", status_code=201, operation_id="create_equipment", summary="Add a device",
             description="Everybody can choose it from now on.",
             responses={201: {"model": Equipment}, **documented(Conflict, Invalid, KeyReused)},
             openapi_extra={"parameters": [IDEMPOTENCY_KEY]})  # fmt: skip
async def create_equipment(
    body: EquipmentCreate, writer: IdempotentWriterDep, sender: SenderDep
) -> Response:
    """Add it."""
    edit = body.edit(sender)

    async def create(context: WriteContext) -> bytes:
        async with context.connection.transaction():
            return await equipment.create_device(context.connection, edit)

    return await writer.write(_SLOT, create, partial(created_response, body))


async def update_equipment(
    key: KeyDep, body: EquipmentUpdate, writer: WriterDep, sender: SenderDep,
    if_match: IfMatchDep,
) -> Response:  # fmt: skip
    """Change the device."""
    edit = body.edit(sender, if_match)

    async def update(context: WriteContext) -> bytes:
        return await equipment.update_device(context.connection, key, edit)

    row = await writer.in_transaction(_SLOT, update)
    return json_response(row, etag=entity_tag(row), request_body=body)


for _method, _verb in (("PATCH", "update"), ("PUT", "put")):
    _other = {"x-alias-of": "PATCH"} if _method == "PUT" else {}
    router.add_api_route(
        "/{key}", update_equipment, methods=[_method], operation_id=f"{_verb}_equipment",
        summary="Change a device", description=_PUT,
        responses={200: {"model": Equipment}, **_WRITE_ERRORS},
        openapi_extra={"parameters": [_KEY, IF_MATCH], **_other},
    )  # fmt: skip


@router.delete("/{key}", operation_id="delete_equipment", summary="Archive a device",
               description="It leaves the list and stays among the archived ones. Rows of shows "
               "that name it keep its uuid. To archive it once more does nothing.",
               responses={200: {"model": Deleted}, **_WRITE_ERRORS},
               openapi_extra={"parameters": [_KEY, IF_MATCH]})  # fmt: skip
async def delete_equipment(
    key: KeyDep, writer: WriterDep, if_match: IfMatchDep, body: DeleteBody | None = None,
    userId: Person = None,  # noqa: N803  # the wire's name
    userName: Person = None,  # noqa: ARG001, N803  # the wire's name, and nobody is told it
) -> Response:  # fmt: skip
    """Archive it."""
    body = body or DeleteBody()
    person = body.last_modified_by or body.user_id or userId or None
    edit = DeviceEdit(if_match=if_match, person=person)

    async def archive(context: WriteContext) -> None:
        await equipment.archive_device(context.connection, key, edit)

    await writer.in_transaction(_SLOT, archive)
    return json_response(_DELETED, request_body=body)
