"""The routes of what a device owns, as a whole list: its ports, read and written at once."""

from functools import cache, partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field, create_model

from app.api.dependencies import (
    CallerDep,
    DatabaseDep,
    FindProductionDep,
    IdempotentWriterDep,
    SenderDep,
)
from app.api.idempotent import IDEMPOTENCY_KEY
from app.api.json_requests import actor_in
from app.api.openapi import answers
from app.api.permissions import shows_of
from app.api.responses import json_response
from app.api.routes.formats import VideoFormat
from app.api.routes.routers import api_router
from app.errors import BadRequest, Conflict, Invalid, KeyReused, NotFound
from app.model.entity import Entity
from app.model.fields import NO_NUL, MaybeLine
from app.model.operation_names import Names, names_of
from app.model.schemas import DeleteBody, Key, read_schema
from app.ports.port_lists import read_list, write_list
from app.store.many_writes import MOST
from app.store.owned_rows import owned_types

Device = Annotated[str, Path(pattern=NO_NUL, description="The uuid of the device.")]
_Items = Annotated[list[dict[str, Any]], Field(max_length=MOST)]


class DeviceList(DeleteBody):
    """All that a device owns, in its order."""

    production_id: Key | None = Field(None, alias="productionId")
    """The uuid or label of the show that the device belongs to."""
    device_display_id: MaybeLine = Field(None, alias="deviceDisplayId")
    """The label of the device as the client knows it. The rows go by the label that it has."""
    ports: _Items | None = None
    """The rows, each as a create takes it. What is left out is deleted."""


def routers() -> list[APIRouter]:
    """Return a router for each type that devices own."""
    return [_router(kind) for kind in owned_types() if issubclass(kind, Entity)]


@cache
def _answer(entity: type[Entity]) -> type[BaseModel]:
    """Return the model of a row in the list of its device."""
    video = Field(description="The format that is on it, where `formatUuid` names one.")
    members: Any = {"format": (Annotated[VideoFormat | None, video], ...)}
    return create_model(
        f"{entity.__name__}OfDevice",
        __base__=read_schema(entity),
        __doc__=entity.__doc__,
        **members,
    )


def _router(entity: type[Entity]) -> APIRouter:
    name = names_of(entity, entity.collection)
    router = api_router(f"/{entity.collection}/device", entity.noun)
    _add_read(router, entity, name)
    _add_write(router, entity, name)
    return router


def _add_read(router: APIRouter, entity: type[Entity], name: Names) -> None:
    schema: Any = list[_answer(entity)]  # type: ignore[misc]  # made at run time

    @router.get(
        "/{device}",
        operation_id=f"list_{name.many}_of_device",
        summary=f"List every {entity.noun} of a device",
        description="Inputs first, then in the order of their labels; an unknown device has none.",
        responses=answers(schema, Invalid),
    )
    async def list_of_device(database: DatabaseDep, device: Device, caller: CallerDep) -> Response:
        return json_response(await read_list(database, entity, device, shows_of(caller)))


def _add_write(router: APIRouter, entity: type[Entity], name: Names) -> None:
    schema: Any = list[_answer(entity)]  # type: ignore[misc]  # made at run time
    body_model: Any = create_model(
        f"{entity.__name__}List", __base__=DeviceList, __doc__=DeviceList.__doc__
    )

    @router.post(
        "/{device}/sync",
        operation_id=f"sync_{name.many}_of_device",
        summary=f"Write every {entity.noun} of a device",
        description=(
            "The whole list in one transaction. A row is the one that has its `uuid`, else its "
            "`specPortUuid`, else its direction and label. One that is left out is deleted; where "
            "a connection names it, it stays with `isUnlisted`."
        ),
        responses=answers(schema, BadRequest, NotFound, Conflict, Invalid, KeyReused),
        openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
    )
    async def sync_device(
        device: Device, body: body_model, writer: IdempotentWriterDep, sender: SenderDep,
        find_production: FindProductionDep,
    ) -> Response:  # fmt: skip
        if body.production_id is None or body.ports is None:
            raise BadRequest("Send productionId, and ports: the whole list of the device.")
        production = await find_production(body.production_id) or ""
        work = partial(
            write_list, entity=entity, device=device, production=production,
            items=body.ports, actor=actor_in(body, sender),
        )  # fmt: skip
        return await writer.write(production, work, partial(json_response, request_body=body))
