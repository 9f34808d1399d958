"""The operators' route of the audit."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Query, Response
from pydantic import BaseModel

from app.access.audit import audit_entries
from app.api.dependencies import DatabaseDep, Limit
from app.api.openapi import answers
from app.api.responses import json_response
from app.api.routes.routers import api_router
from app.errors import Forbidden, Invalid
from app.model.schemas import WireMoment

router: Final = api_router("/admin/audit", "Access")
Before = Annotated[UUID | None, Query(description="The last answer's `next`.")]


class AuditedEvent(BaseModel):
    """Something that happened with access or with the installation."""

    uuid: UUID
    """Names the entry."""
    at: WireMoment
    """When it happened, in UTC."""
    event: str
    """What happened, such as `token.created`; docs/audit.md lists them."""
    outcome: Literal["ok", "refused"]
    """Whether it was done."""
    subject: str | None
    """The credential: `token:<key>`, `issuer:<sub>`, `setting:OPERATOR_TOKEN`; null if unknown."""
    userId: str | None
    """Who did it, by the id that the credential is for."""
    userName: str | None
    """Who did it, by name."""
    address: str | None
    """The client's address; null for what the command line did."""
    requestId: str | None
    """The id of the request, which the log has too."""
    details: dict[str, Any]
    """What else there is to know of it, never a secret."""


class AuditPage(BaseModel):
    """Entries of the audit, newest first."""

    entries: list[AuditedEvent]
    """The entries, newest first."""
    next: UUID | None
    """What to send as `before` for older ones; null where there are none."""


@router.get("", operation_id="list_audit", summary="Tell what happened with access",
            description="Newest first: sign-ins, refusals, what operators did.",
            responses=answers(AuditPage, Forbidden, Invalid))  # fmt: skip
async def list_audit(database: DatabaseDep, before: Before = None, limit: Limit = 100) -> Response:
    """Answer with a page of the audit."""
    response = json_response(
        await database.read(audit_entries.PAGE_OF_ENTRIES, before, limit) or b"{}"
    )
    response.headers["cache-control"] = "no-store"
    return response
