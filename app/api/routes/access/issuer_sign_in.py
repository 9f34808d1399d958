"""Signing in with a browser at the issuer: there, and back."""

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.access.oidc.authorization import CALLBACK, Authorization
from app.api.dependencies import CredentialsDep
from app.api.routes.access.sign_in import FROM_ISSUER, NOT_KEPT, ask, own_path
from app.errors import NotFound, SignalbookError

router: Final = APIRouter(include_in_schema=False)


@router.get(FROM_ISSUER)
async def go_to_issuer(request: Request, credentials: CredentialsDep) -> Response:
    """Lead to the issuer's sign-in."""
    there = own_path(request.query_params.get("next", ""))
    try:
        address, cookie = await _authorization(credentials.authorization).begin(
            request.scope, there
        )
    except SignalbookError as error:
        return ask(credentials, there, error)
    headers = {"location": address, "set-cookie": cookie, **NOT_KEPT}
    return Response(status_code=303, headers=headers)


@router.get(CALLBACK)
async def come_from_issuer(request: Request, credentials: CredentialsDep) -> Response:
    """Begin a session of who has signed in at the issuer, and lead to where they wanted to go."""
    try:
        authorization = _authorization(credentials.authorization)
        caller, there = await authorization.finish(request.scope, request.query_params)
        await credentials.refuse_without_role(caller)
        cookie = await credentials.pages.start(caller, request.scope)
    except SignalbookError as error:
        return ask(credentials, "", error)
    response = Response(status_code=303, headers={"location": there, **NOT_KEPT})
    response.headers.append("set-cookie", cookie)
    response.headers.append("set-cookie", authorization.end(request.scope))
    return response


def _authorization(authorization: Authorization | None) -> Authorization:
    if authorization is None:
        raise NotFound("Nobody signs in at an issuer here: sign in with a token.")
    return authorization
