"""The routes that every entity has: list, get, create, update, delete."""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from app.access.caller import Caller
from app.api.dependencies import (
    CallerDep,
    DatabaseDep,
    FindProductionDep,
    IdempotentWriterDep,
    IfMatchDep,
    IfNoneMatchDep,
    KeyDep,
    ProductionDep,
    SeesSecretsDep,
    SenderDep,
    WriterDep,
)
from app.api.fast_path import FastRoute
from app.api.idempotent import IDEMPOTENCY_KEY
from app.api.json_requests import JsonRoute
from app.api.openapi import (
    IF_MATCH,
    IF_NONE_MATCH,
    IN_SHOW,
    conditional,
    documented,
    path_parameter,
)
from app.api.responses import ReadResponse, created_response, json_response
from app.api.routes.routers import entity_routers
from app.database.database import Database
from app.errors import AmbiguousId, Conflict, Invalid, KeyReused, NotFound, PreconditionFailed
from app.model.entity import Entity, Row
from app.model.fields import NO_NUL
from app.model.operation_names import Names
from app.model.schemas import (
    DeleteBody,
    create_schema,
    read_schema,
    update_schema,
)
from app.model.secret_fields import public_json
from app.model.updated_schema import updated_schema
from app.releases.migrations import revisions
from app.rules.etags import entity_tag, fingerprint, list_tag, matches
from app.sql.reads import statements
from app.store import read
from app.store.create import create
from app.store.delete import delete
from app.store.edit import edit_of
from app.store.update import Clashing, update

_DELETED: Final = b'{"success":true}'
_KEY: Final = path_parameter(
    "key", "The row's uuid, or its label where exactly one live row holds it."
)
_PRODUCTION: Final = path_parameter("production", "The production's uuid or label.")
_CREATE_ERRORS: Final = documented(Conflict, Invalid, KeyReused)
_UPDATE_ERRORS: Final = documented(NotFound, Conflict, PreconditionFailed, Invalid)
_DELETE_ERRORS: Final = documented(NotFound, AmbiguousId, PreconditionFailed, Invalid)
Person = Annotated[
    str | None,
    Query(max_length=1_000, pattern=NO_NUL, description="Who deletes, if the body does not say."),
]


class Deleted(BaseModel):
    """The row is gone from every list; its history stays."""

    success: bool = True
    """Always true."""


def routers() -> list[APIRouter]:
    """Return the routers of all entity types."""
    return entity_routers("", _add_routes, FastRoute)


def _key_of(entity: type[Row]) -> list[dict[str, Any]]:
    """Document the path's key, and what narrows a label where several shows may have it."""
    return [_KEY, IN_SHOW] if issubclass(entity, Entity) else [_KEY]


def _add_routes(router: APIRouter, entity: type[Row], name: Names) -> None:
    _add_list(router, entity, name)
    _add_get(router, entity, name)
    _add_create(router, entity, name)
    _add_update(router, entity, name)
    _add_delete(router, entity, name)


def _add_list(router: APIRouter, entity: type[Row], name: Names) -> None:
    version = fingerprint(statements(entity).list, revisions.head())
    public_version = fingerprint(f"public {statements(entity).list}", revisions.head())
    scoped = issubclass(entity, Entity)
    schema: Any = list[read_schema(entity)]  # type: ignore[misc]  # made at run time
    order = "oldest first; an unknown production has none" if scoped else "newest first"

    @router.get(
        "/production/{production}" if scoped else "",
        operation_id=f"list_{name.many}",
        summary=f"List every {entity.noun}",
        description=f"All live rows, {order}.",
        responses={**conditional(schema), **documented(*([AmbiguousId] if scoped else []))},
        openapi_extra={
            "parameters": [*([_PRODUCTION] if scoped else []), IF_NONE_MATCH],
            **name.extra,
        },
    )
    async def list_rows(
        database: DatabaseDep, production: ProductionDep, if_none_match: IfNoneMatchDep,
        caller: CallerDep, sees_secrets: SeesSecretsDep,
    ) -> Response:  # fmt: skip
        if not scoped and not caller.sees_all:
            return await _own_productions(database, caller, if_none_match, version)
        is_public = not sees_secrets and bool(entity.secrets)
        own_version = public_version if is_public else version
        if if_none_match:
            etag = list_tag(await read.state_token(database, entity, production), own_version)
            if matches(if_none_match, etag):
                return ReadResponse(None, etag, compressible=True)
        rows = await read.list_all(database, entity, production)
        body = public_json(entity, rows.body) if is_public else rows.body
        return ReadResponse([body], list_tag(rows.state, own_version), compressible=True)


async def _own_productions(
    database: Database, caller: Caller, if_none_match: bytes, version: str
) -> Response:
    """List the productions of who sees only some: neither body nor tag tells of any other."""
    rows = await read.own_productions(database, caller.memberships.keys())
    etag = list_tag(rows.state, version)
    body = None if matches(if_none_match, etag) else [rows.body]
    return ReadResponse(body, etag, compressible=True)


def _add_get(router: APIRouter, entity: type[Row], name: Names) -> None:
    @router.get(
        "/{key}",
        operation_id=f"get_{name.one}",
        summary=f"Get one {entity.noun}",
        description="By its uuid, or by its label where exactly one live row holds it.",
        responses={**conditional(read_schema(entity)), **documented(NotFound, AmbiguousId)},
        openapi_extra={"parameters": [*_key_of(entity), IF_NONE_MATCH], **name.extra},
    )
    async def get_row(
        database: DatabaseDep, key: KeyDep, if_none_match: IfNoneMatchDep,
        sees_secrets: SeesSecretsDep,
    ) -> Response:  # fmt: skip
        row = await read.get(database, entity, key)
        if not sees_secrets:
            row = public_json(entity, row)
        etag = entity_tag(row)
        return ReadResponse(None if matches(if_none_match, etag) else [row], etag)


def _add_create(router: APIRouter, entity: type[Row], name: Names) -> None:
    schema: Any = create_schema(entity)

    @router.post(
        "",
        status_code=201,
        operation_id=f"create_{name.one}",
        summary=f"Create a {entity.noun}",
        description="Without an `id` it gets the next free label, and without a `uuid` a new one.",
        responses={201: {"model": read_schema(entity)}, **_CREATE_ERRORS},
        openapi_extra={"parameters": [IDEMPOTENCY_KEY], **name.extra},
    )
    async def create_row(
        body: schema, writer: IdempotentWriterDep, sender: SenderDep,
        find_production: FindProductionDep,
    ) -> Response:  # fmt: skip
        edit = edit_of(entity, body, sender)
        respond = partial(created_response, body)
        if not issubclass(entity, Entity):
            work = partial(create, entity=entity, edit=edit)
            return await writer.make_show("", work, respond, bytes)
        edit = replace(edit, production=await find_production(edit.production))
        work = partial(create, entity=entity, edit=edit)
        return await writer.write(edit.production or "", work, respond)


def _add_update(router: APIRouter, entity: type[Row], name: Names) -> None:
    schema: Any = update_schema(entity)

    async def update_row(
        key: KeyDep, body: schema, writer: WriterDep, sender: SenderDep,
        if_match: IfMatchDep,
    ) -> Response:  # fmt: skip
        edit = replace(edit_of(entity, body, sender), match=if_match)
        row = await writer.write(key, update, entity, key, edit)
        alternates = edit.alternate_values
        aliases = [alias for alias, field in entity.synonyms.items() if field in alternates]
        etag = "" if isinstance(row, Clashing) else entity_tag(row)
        return json_response(row, etag=etag, request_body=body, aliases=aliases)

    for method, verb in (("PATCH", "update"), ("PUT", "put")):
        other = {"x-alias-of": "PATCH"} if method == "PUT" else {}
        router.add_api_route(
            "/{key}",
            update_row,
            methods=[method],
            operation_id=f"{verb}_{name.one}",
            summary=f"Change a {entity.noun}",
            description="Members that are absent stay untouched. PUT and PATCH do the same.",
            responses={200: {"model": updated_schema(entity)}, **_UPDATE_ERRORS},
            openapi_extra={"parameters": [*_key_of(entity), IF_MATCH], **other, **name.extra},
        )


def _add_delete(router: APIRouter, entity: type[Row], name: Names) -> None:
    async def delete_row(
        key: KeyDep,
        writer: WriterDep,
        sender: SenderDep,
        if_match: IfMatchDep,
        body: DeleteBody | None = None,
        userId: Person = None,  # noqa: N803  # the wire's name
        userName: Person = None,  # noqa: N803  # the wire's name
    ) -> Response:
        person = body or DeleteBody()
        actor = sender.actor(
            person.user_id or userId or None,
            person.user_name or userName or None,
            person.last_modified_by,
        )
        await writer.write(key, delete, entity, key, actor, if_match)
        return json_response(_DELETED, request_body=body)

    router.add_api_route(
        "/{key}",
        delete_row,
        methods=["DELETE"],
        operation_id=f"delete_{name.one}",
        summary=f"Delete a {entity.noun}",
        description="It leaves every list. Its history stays, and a restore brings it back.",
        responses={200: {"model": Deleted}, **_DELETE_ERRORS},
        openapi_extra={"parameters": [*_key_of(entity), IF_MATCH], **name.extra},
        route_class_override=JsonRoute,
    )
