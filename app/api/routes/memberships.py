"""The operators' routes of memberships: who has which role in which production."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.access import memberships
from app.access.audit.audit_entries import note_in, of_request
from app.access.caller import Role
from app.api.dependencies import DatabaseDep, WriterDep
from app.api.openapi import answers
from app.api.responses import json_response
from app.api.routes.routers import api_router
from app.changelog.events import production_of
from app.errors import Conflict, Forbidden, Invalid, NotFound
from app.model.fields import NO_NUL
from app.model.schemas import Key, RequestModel, WireMoment
from app.store.write_context import WriteContext

router: Final = api_router("/admin/memberships", "Access")
_SUBJECT: Final = "token:<key>, or issuer:<sub> for who signs in with the issuer."
Subject = Annotated[str, Field(min_length=1, max_length=500, pattern=NO_NUL)]
OneSubject = Annotated[Subject, Query(description=_SUBJECT)]
MaybeSubject = Annotated[Subject | None, Query(description="Only those of this subject.")]
Show = Annotated[str, Query(pattern=NO_NUL, description="The production's uuid or label.")]
MaybeShow = Annotated[
    str | None, Query(pattern=NO_NUL, description="Only those in the production.")
]
Limit = Annotated[int, Query(ge=1, le=10_000, description="How many at most.")]
_OPERATOR: Final = "an operator"


class Membership(BaseModel):
    """The role of a subject in a production."""

    subject: str
    """Whose it is: `token:<key>`, or `issuer:<sub>` for who signs in with the issuer."""
    productionUuid: UUID
    """The uuid of the production."""
    productionId: str
    """Its label."""
    role: Literal["viewer", "editor"]
    """What the subject may do there."""
    createdAt: WireMoment
    """When it was given, in UTC."""
    createdBy: str
    """Who gave it."""


class MembershipBody(RequestModel):
    """A role in a production, for a subject; it takes the place of the one that they had there."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "subject": "issuer:anna@example.com", "production": "SHOW 1", "role": "editor",
    }})  # fmt: skip

    subject: Subject
    """Whose it is: `token:<key>`, or `issuer:<sub>` for who signs in with the issuer."""
    production: Key
    """The production's uuid or label."""
    role: Literal["viewer", "editor"]
    """What the subject may do there."""


class TakenMembership(BaseModel):
    """The subject has no role in the production any more."""

    success: bool = True
    """Always true."""


@router.get("", operation_id="list_memberships", summary="List memberships",
            description="By subject and production; all of them unless one is named.",
            responses=answers(list[Membership], Forbidden, NotFound, Invalid))  # fmt: skip
async def list_memberships(
    database: DatabaseDep, subject: MaybeSubject = None, production: MaybeShow = None,
    limit: Limit = 1_000,
) -> Response:  # fmt: skip
    """Answer with the memberships."""
    uuid = await production_of(database, production) if production else None
    async with database.connection() as connection:
        return _answer(await memberships.listed(connection, subject, uuid, limit))


@router.put("", operation_id="give_membership", summary="Give somebody a role in a production",
            description="It counts from now on, also for sockets and streams that are open.",
            responses=answers(list[Membership], Forbidden, NotFound, Conflict, Invalid),
            )  # fmt: skip
async def give_membership(
    request: Request, database: DatabaseDep, writer: WriterDep, body: MembershipBody
) -> Response:
    """Grant the role, and answer with all that the subject has."""
    production = await production_of(database, body.production)
    role = Role[body.role.upper()]

    async def give(context: WriteContext) -> bytes:
        connection = context.connection
        await memberships.give(connection, body.subject, production, role, _OPERATOR)
        details = {"to": body.subject, "production": str(production), "role": body.role}
        await note_in(connection, of_request(request.scope, "membership.given", **details))
        return await memberships.listed(connection, body.subject, None, 10_000)

    return _answer(await writer.in_transaction(body.subject, give))


@router.delete("", operation_id="take_membership", summary="Take somebody's role in a production",
               description="It counts from now on: their sockets leave it, their streams end.",
               responses=answers(TakenMembership, Forbidden, NotFound, Invalid))  # fmt: skip
async def take_membership(
    request: Request, database: DatabaseDep, writer: WriterDep, subject: OneSubject,
    production: Show,
) -> Response:  # fmt: skip
    """Take the role. Raises NotFound where there is none."""
    uuid = await production_of(database, production)

    async def take(context: WriteContext) -> bool:
        had_one = await memberships.take(context.connection, subject, uuid)
        if had_one:
            details = {"of": subject, "production": str(uuid)}
            entry = of_request(request.scope, "membership.taken", **details)
            await note_in(context.connection, entry)
        return had_one

    if not await writer.in_transaction(subject, take):
        raise NotFound(f"{subject!r} has no role of its own in production {production!r}.")
    return _answer(b'{"success":true}')


def _answer(content: Any) -> Response:
    response = json_response(content)
    response.headers["cache-control"] = "no-store"
    return response
