"""The routes that every entity gets: list, get, create, update, delete."""

from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from app.api.errors import documented
from app.api.etag_docs import IF_MATCH, IF_NONE_MATCH, conditional
from app.api.fast_path import Answer, FastReadRoute, has_newest, header
from app.api.fast_writes import FastWriteRoute
from app.api.idempotent import IDEMPOTENCY_KEY, written
from app.api.requests import (
    answer,
    database,
    entity_routers,
    path_parameter,
    request_id,
    writer,
)
from app.errors import AmbiguousId, Conflict, Invalid, NotFound, PreconditionFailed
from app.model.entity import Entity, Row
from app.model.fields import NO_NUL
from app.model.schemas import DeleteBody, create_shape, read_shape, update_shape
from app.releases.migrations import revisions
from app.rules.etags import entity_tag, fingerprint, list_tag
from app.sql.reads import statements
from app.store import read
from app.store.create import create
from app.store.delete import delete
from app.store.edit import actor_of, edit_of
from app.store.update import update

_DELETED: Final = b'{"success":true}'
_KEY: Final = "The row's uuid, or its label where exactly one live row holds it."
Person = Annotated[str | None, Query(max_length=1_000, pattern=NO_NUL)]


class Deleted(BaseModel):
    """The row is gone from every list; its history stays."""

    success: bool = True


def routers() -> list[APIRouter]:
    """Give the routers of all entity types."""
    return entity_routers("", _add)


def _add(router: APIRouter, entity: type[Row], name: str) -> None:
    _add_list(router, entity, name)
    _add_get(router, entity, name)
    _add_create(router, entity, name)
    _add_update(router, entity, name)
    _add_delete(router, entity, name)


def _add_list(router: APIRouter, entity: type[Row], name: str) -> None:
    known_by = fingerprint(statements(entity).list, revisions.head())

    async def list_rows(request: Request) -> Answer:
        production = request.path_params.get("production", "")
        db = database(request)
        if header(request, b"if-none-match"):
            etag = list_tag(await read.state_token(db, entity, production), known_by)
            if has_newest(request, etag):
                return Answer(None, etag, several=True)
        listed = await read.list_all(db, entity, production)
        return Answer([listed.body], list_tag(listed.state, known_by), several=True)

    scoped = issubclass(entity, Entity)
    rows: Any = list[read_shape(entity)]  # type: ignore[misc]  # the shape is made at run time
    order = "oldest first; an unknown production has none" if scoped else "newest first"
    parameters = [path_parameter("production", "The production's uuid or label.")] if scoped else []
    router.add_api_route(
        "/production/{production}" if scoped else "",
        list_rows,
        methods=["GET"],
        operation_id=f"list_{name}",
        summary=f"List every {entity.noun}",
        description=f"All live rows, {order}.",
        response_model=None,
        responses={**conditional(rows), **documented(*([AmbiguousId] if scoped else []))},
        openapi_extra={"parameters": [*parameters, IF_NONE_MATCH]},
        route_class_override=FastReadRoute,
    )


def _add_get(router: APIRouter, entity: type[Row], name: str) -> None:
    async def get_row(request: Request) -> Answer:
        body = await read.get(database(request), entity, request.path_params["key"])
        etag = entity_tag(body)
        return Answer(None if has_newest(request, etag) else [body], etag)

    router.add_api_route(
        "/{key}",
        get_row,
        methods=["GET"],
        operation_id=f"get_{name}",
        summary=f"Get one {entity.noun}",
        response_model=None,
        responses={**conditional(read_shape(entity)), **documented(NotFound, AmbiguousId)},
        openapi_extra={"parameters": [path_parameter("key", _KEY), IF_NONE_MATCH]},
        route_class_override=FastReadRoute,
    )


def _add_create(router: APIRouter, entity: type[Row], name: str) -> None:
    async def create_row(body: BaseModel, request: Request) -> Response:
        edit = edit_of(entity, body, request_id(request))
        return await written(
            request,
            edit.production or "",
            lambda unit: create(unit, entity, edit),
            lambda made: answer(made, status=201, request_body=body, etag=entity_tag(made)),
        )

    create_row.__annotations__["body"] = create_shape(entity)
    router.add_api_route(
        "",
        create_row,
        methods=["POST"],
        status_code=201,
        operation_id=f"create_{name}",
        summary=f"Create a {entity.noun}",
        response_model=None,
        responses={201: {"model": read_shape(entity)}, **documented(*_CREATE_ERRORS, Invalid)},
        openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
        route_class_override=FastWriteRoute,
    )


def _add_update(router: APIRouter, entity: type[Row], name: str) -> None:
    async def update_row(key: str, body: BaseModel, request: Request) -> Response:
        match = header(request, b"if-match")
        edit = replace(edit_of(entity, body, request_id(request)), match=match)
        changed = await writer(request).write(key, lambda unit: update(unit, entity, key, edit))
        spellings = [
            word for word, name in entity.synonyms.items() if name in edit.alternate_values
        ]
        etag = entity_tag(changed)
        return answer(changed, request_body=body, read_as_well=spellings, etag=etag)

    update_row.__annotations__["body"] = update_shape(entity)
    for method in ("PATCH", "PUT"):
        router.add_api_route(
            "/{key}",
            update_row,
            methods=[method],
            operation_id=f"{method.lower()}_{name}",
            summary=f"Change a {entity.noun}",
            description="Members that are absent stay untouched, whichever the method.",
            response_model=None,
            responses={200: {"model": read_shape(entity)}, **documented(*_UPDATE_ERRORS, Invalid)},
            openapi_extra={"parameters": [IF_MATCH]},
            route_class_override=FastWriteRoute,
        )


def _add_delete(router: APIRouter, entity: type[Row], name: str) -> None:
    async def delete_row(  # the two names are the contract's own
        key: str,
        request: Request,
        body: DeleteBody | None = None,
        userId: Person = None,  # noqa: N803  # the wire's name
        userName: Person = None,  # noqa: N803  # the wire's name
    ) -> Response:
        asked = {"user_id": userId, "user_name": userName}
        said = {k: v for k, v in asked.items() if v} | (body.model_dump() if body else {})
        said = {k: v or asked.get(k) for k, v in said.items()}
        actor, match = actor_of(said, request_id(request)), header(request, b"if-match")
        await writer(request).write(key, lambda unit: delete(unit, entity, key, actor, match))
        return answer(_DELETED, request_body=body)

    router.add_api_route(
        "/{key}",
        delete_row,
        methods=["DELETE"],
        operation_id=f"delete_{name}",
        summary=f"Delete a {entity.noun}",
        response_model=None,
        responses={200: {"model": Deleted}, **documented(*_DELETE_ERRORS, Invalid)},
        openapi_extra={"parameters": [IF_MATCH]},
    )


_CREATE_ERRORS: Final = (Conflict,)
_UPDATE_ERRORS: Final = (NotFound, Conflict, PreconditionFailed)
_DELETE_ERRORS: Final = (NotFound, AmbiguousId, PreconditionFailed)
