"""The route by which a page learns who is signed in."""

from typing import Final

from fastapi import Response
from pydantic import BaseModel
from pydantic_core import to_json

from app.api.dependencies import CallerDep
from app.api.openapi import answers
from app.api.responses import json_response
from app.api.routes.routers import api_router

router: Final = api_router("/access", "Access")


class PageSession(BaseModel):
    """Who calls, as far as the credential says it."""

    userId: str | None
    """The user of the credential; null where several share it, or none was sent."""
    userName: str | None
    """The user's name; null as ``userId``."""
    role: str | None
    """What they may do in every show: "viewer", "editor" or "operator"; null for single shows."""
    signedIn: bool
    """Whether a credential was sent at all."""


@router.get("/session", operation_id="get_session", summary="Tell who is signed in",
            description="By a page's cookie or by a token. Without either it is a 401, where the "
            "service asks for one: then `/sign-in` is the page to open.",
            responses=answers(PageSession))  # fmt: skip
async def session(caller: CallerDep) -> Response:
    """Answer with who calls."""
    role = caller.role.word if caller.role else None
    who = PageSession(
        userId=caller.user_id, userName=caller.user_name, role=role,
        signedIn=not caller.is_anonymous,
    )  # fmt: skip
    answer = json_response(to_json(who.model_dump()))
    answer.headers["cache-control"] = "no-store"
    return answer
