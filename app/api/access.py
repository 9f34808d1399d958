"""Who may call what: which paths need no token, the check of one, and who is an operator.

With OPERATOR_TOKEN set, the operators' routes take that token and nothing else. Without it they
exist only outside production, where the service listens on loopback. A web page could still reach
them, by a host name that points to 127.0.0.1 or by a cross-origin request, and a local proxy could
forward others' requests. So the request itself must look local. A proxy that adds no header looks
so too.
"""

import hmac
import re
from ipaddress import ip_address
from typing import Final

from fastapi import Request, Response
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import Scope

from app.api.json_requests import Handler, JsonRoute
from app.errors import Forbidden, Unauthorized
from app.settings import Settings

OPEN_PATHS: Final = frozenset({"/health", "/livez", "/api/health", "/api/server/info"})
"""Served without a token: the platform and the frontend have none yet."""
_PAGES: Final = frozenset({"/", "/docs", "/openapi.json"})
_PAGES_ASSETS: Final = "/static-offline-docs/"
OPERATOR_PATHS: Final = "/api/admin/"
"""What the paths of operators begin with."""
_FORWARDED: Final = re.compile(
    "x-forwarded-.*|forwarded|via|cf-connecting-ip|true-client-ip|x-client-ip|x-real-ip"
)
_PROXY_HTTP: Final = "1.0"  # only proxies still speak it: nginx, unless it is configured
_SAME_SITE: Final = frozenset({"same-origin", "none"})


def is_open(path: str) -> bool:
    """Whether a path is served without a token: health, and the pages that describe the API."""
    return path in OPEN_PATHS or path in _PAGES or path.startswith(_PAGES_ASSETS)


def has_token(scope: Scope, token: bytes) -> bool:
    """Whether a request bears the token. The comparison takes the same time either way."""
    credentials = Headers(scope=scope).get("authorization", "").encode("latin-1")
    scheme, _, sent_token = credentials.partition(b" ")
    same = hmac.compare_digest(sent_token.strip(), token)
    return same and scheme.lower() == b"bearer"


class OperatorRoute(JsonRoute):
    """A route that checks who calls before it reads anything else of the request."""

    def get_route_handler(self) -> Handler:
        """Wrap the handler with the check."""
        handle = super().get_route_handler()

        async def handle_operator(request: Request) -> Response:
            refuse_others(request)
            return await handle(request)

        return handle_operator


def operators_exist(settings: Settings) -> bool:
    """Whether there are routes for operators at all."""
    is_local = settings.environment != "production" and not settings.beyond_loopback
    return is_local or settings.operator_token is not None


def refuse_others(request: Request) -> None:
    """Raise Unauthorized or Forbidden unless an operator calls."""
    token: SecretStr | None = request.app.state.settings.operator_token
    if token is None:
        _refuse_remote(request)
    elif not has_token(request.scope, token.get_secret_value().encode()):
        raise Unauthorized("Send the operator token: Authorization: Bearer …")


def _refuse_remote(request: Request) -> None:
    headers = request.headers
    hosts, origin = headers.getlist("host"), headers.get("origin")
    local = (
        len(hosts) == 1
        and is_loopback(hosts[0])
        and origin in {None, f"{request.url.scheme}://{hosts[0]}"}
        and headers.get("sec-fetch-site", "none") in _SAME_SITE
        and request.scope["http_version"] != _PROXY_HTTP
        and not any(_FORWARDED.fullmatch(name) for name in headers)
    )
    if not local:
        raise Forbidden(
            "Without OPERATOR_TOKEN only this machine may ask this: call it as localhost, with "
            "HTTP/1.1, not through a proxy and not from a page of another origin."
        )


def is_loopback(host: str) -> bool:
    """Whether a Host header names this machine, whatever the port."""
    name, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    if not name:
        name, port = host, ""
    if port and not (port.isascii() and port.isdigit()):
        return False
    if name.lower() == "localhost":
        return True
    bracketed = name.startswith("[") and name.endswith("]")
    try:
        address = ip_address(name[1:-1] if bracketed else name)
    except ValueError:
        return False
    return address.is_loopback and bracketed == (address.version == 6)
