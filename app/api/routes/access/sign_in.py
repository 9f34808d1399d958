"""Signing in with a browser: a small page that takes a token, or leads to the issuer."""

import re
from collections.abc import Mapping
from html import escape
from typing import Final
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from app.access.client_address import address_of
from app.access.credentials import Credentials
from app.access.shared_tokens import SETTING
from app.access.watches import SUBJECT
from app.api.content_policy import CONTENT_POLICY, page_policy
from app.api.dependencies import CredentialsDep
from app.errors import BodyTooLarge, SignalbookError, Unauthorized

router: Final = APIRouter(include_in_schema=False)
_SIGN_IN: Final = "/sign-in"
_SIGN_OUT: Final = "/sign-out"
FROM_ISSUER: Final = "/sign-in/issuer"
"""The page that leads to the issuer."""
_LONGEST_FORM: Final = 8_192
# A path of our own: what begins with two slashes, or a backslash, is another host to a browser.
_OWN_PATH: Final = re.compile(r"/(?![/\\])[!-~]*", re.ASCII)
NOT_KEPT: Final[Mapping[str, str]] = {"cache-control": "no-store"}
_STYLE: Final = (
    "body{font:16px/1.5 sans-serif;max-width:24rem;margin:15vh auto;padding:0 1rem}"
    "input,button{font:inherit;width:100%;padding:.5rem;margin:.25rem 0;box-sizing:border-box}"
    "[role=alert]{color:#b00020}"
)
_PAGE: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Signalbook</title>'
    '<meta name="viewport" content="width=device-width"><style>{style}</style></head>'
    "<body><h1>Signalbook</h1>{alert}"
    '<form method="post" action="{action}">{fields}<button>{button}</button></form>{more}'
    "</body></html>"
)
_CREDENTIAL_FIELD: Final = (
    '<label for="token">Your access token</label><input id="token" name="token" type="password" '
    'autocomplete="current-password" required autofocus><input type="hidden" name="next" '
    'value="{there}">'
)


@router.get(_SIGN_IN)
async def sign_in_page(request: Request, credentials: CredentialsDep) -> Response:
    """Ask for a token, or for a sign-in at the issuer."""
    return ask(credentials, request.query_params.get("next", ""))


@router.post(_SIGN_IN)
async def sign_in(request: Request, credentials: CredentialsDep) -> Response:
    """Begin a session with a token, and lead to where its holder wanted to go."""
    form, address = await _form(request), address_of(request.scope)
    try:
        caller = await credentials.of_token(form.get("token", "").strip().encode(), address)
        if not caller.subject.startswith((SUBJECT, SETTING)):
            raise Unauthorized("Sign in with an access token of this service: sb_….")
    except SignalbookError as error:
        return ask(credentials, form.get("next", ""), error)
    cookie = await credentials.pages.start(caller, request.scope)
    headers = {"location": own_path(form.get("next", "")), "set-cookie": cookie, **NOT_KEPT}
    return Response(status_code=303, headers=headers)


@router.get(_SIGN_OUT)
async def sign_out_page() -> Response:
    """Ask whether to sign out: a link alone must not do it."""
    return _page(action=_SIGN_OUT, fields="", button="Sign out")


@router.post(_SIGN_OUT)
async def sign_out(request: Request, credentials: CredentialsDep) -> Response:
    """End the session, in all tabs of the browser."""
    cookie = await credentials.pages.end(request.scope)
    headers = {"location": _SIGN_IN, "set-cookie": cookie, **NOT_KEPT}
    return Response(status_code=303, headers=headers)


def ask(credentials: Credentials, there: str, error: SignalbookError | None = None) -> Response:
    """Return the sign-in page, with what went wrong before. ``there`` is where to go then."""
    there = own_path(there)
    fields = _CREDENTIAL_FIELD.format(there=escape(there))
    link = f"{FROM_ISSUER}?next={quote(there, safe='')}"
    more = ""
    if credentials.authorization:
        more = f'<p><a href="{link}">Sign in at {escape(credentials.authorization.host)}</a></p>'
    return _page(action=_SIGN_IN, fields=fields, button="Sign in", error=error, more=more)


def _page(
    *, action: str, fields: str, button: str, more: str = "", error: SignalbookError | None = None
) -> Response:
    alert = f'<p role="alert">{escape(error.message)}</p>' if error else ""
    page = _PAGE.format(
        style=_STYLE, alert=alert, action=action, fields=fields, button=button, more=more
    )
    headers = {CONTENT_POLICY: page_policy(page), **NOT_KEPT}
    if error:
        headers |= error.headers
        headers.pop("www-authenticate", None)  # this page asks itself
    return HTMLResponse(page, error.status if error else 200, headers)


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form. Raises BodyTooLarge."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST_FORM:
            raise BodyTooLarge("A token is shorter than that.")
    fields = parse_qs(body.decode("ascii", "replace"), errors="replace")
    return {name: values[0] for name, values in fields.items()}


def own_path(there: str) -> str:
    """Return where to go after signing in, and never to another site."""
    return there if _OWN_PATH.fullmatch(there) else "/"
