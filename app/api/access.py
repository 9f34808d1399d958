"""Who may call what: which paths need no credential, and who calls as if at this machine itself.

Where no token is set, outside production and on loopback, whoever calls from this machine may use
the operators' routes. A web page could still reach them, by a host name that points to 127.0.0.1
or by a cross-origin request, and a local proxy could forward others' requests. So the request
itself must look local. A proxy that adds no header looks so too.
"""

import re
from ipaddress import ip_address
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Scope

from app.errors import Forbidden

OPEN_PATHS: Final = frozenset({"/health", "/livez", "/api/health", "/api/server/info"})
"""Served without a token: the platform and the frontend have none yet."""
_PAGES: Final = frozenset({
    "/docs", "/openapi.json", "/sign-in", "/sign-in/callback", "/sign-in/issuer", "/sign-out",
})  # fmt: skip
_PAGES_ASSETS: Final = "/static-offline-docs/"
OPERATOR_PATHS: Final = "/api/admin/"
"""What the paths of operators begin with."""
_FORWARDED: Final = re.compile(
    "x-forwarded-.*|forwarded|via|cf-connecting-ip|true-client-ip|x-client-ip|x-real-ip"
)
_PROXY_HTTP: Final = "1.0"  # only proxies still speak it: nginx, unless it is configured
_SAME_SITE: Final = frozenset({"same-origin", "none"})


def is_open(path: str) -> bool:
    """Whether a path is served without a token: health, the API's pages, and signing in."""
    return path in OPEN_PATHS or path in _PAGES or path.startswith(_PAGES_ASSETS)


def refuse_remote(scope: Scope) -> None:
    """Raise Forbidden for a request that does not look as if this machine itself had sent it."""
    headers = Headers(scope=scope)
    hosts, origin = headers.getlist("host"), headers.get("origin")
    scheme = scope["scheme"]
    local = (
        len(hosts) == 1
        and is_loopback(hosts[0])
        and origin in {None, f"{scheme}://{hosts[0]}"}
        and headers.get("sec-fetch-site", "none") in _SAME_SITE
        and scope["http_version"] != _PROXY_HTTP
        and not any(_FORWARDED.fullmatch(name) for name in headers)
    )
    if not local:
        raise Forbidden(
            "Without a token only this machine may ask this: call it as localhost, with "
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
