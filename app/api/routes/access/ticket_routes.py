"""The route of tickets: what opens an event stream where no header can be sent."""

from datetime import UTC, datetime, timedelta
from typing import Final

from fastapi import Response
from pydantic import BaseModel
from pydantic_core import to_json

from app.access import tickets
from app.api.dependencies import CallerDep, CredentialsDep
from app.api.openapi import documented
from app.api.responses import json_response
from app.api.routes.routers import api_router
from app.model.schemas import WireMoment

router: Final = api_router("/access", "Access")


class Ticket(BaseModel):
    """What opens an event stream in place of a token."""

    ticket: str
    """To be sent as `?ticket=` of an event stream."""
    expiresAt: WireMoment
    """Until when it opens one, in UTC; a stream that is open goes on."""


@router.post("/tickets", status_code=201, operation_id="create_ticket",
             summary="Get a ticket for event streams",
             description="For a browser's EventSource, which cannot send a token. It lasts a "
             "minute, and opens event streams alone.",
             responses={201: {"model": Ticket}, **documented()})  # fmt: skip
async def create_ticket(caller: CallerDep, credentials: CredentialsDep) -> Response:
    """Answer with a ticket of the caller."""
    expires_at = datetime.now(UTC) + timedelta(seconds=tickets.SECONDS)
    moment = expires_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body = to_json({"ticket": credentials.ticket(caller), "expiresAt": moment})
    answer = json_response(body, status=201)
    answer.headers["cache-control"] = "no-store"
    return answer
