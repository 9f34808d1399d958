"""Cookies of our pages: no script reads them, and no other site's page sends them."""

from collections.abc import Mapping
from typing import Any


def is_secure(scope: Mapping[str, Any]) -> bool:
    """Whether a request came over TLS, at least to the proxy that we trust."""
    return scope["scheme"] in {"https", "wss"}


def cookie_header(name: str, value: str, scope: Mapping[str, Any], more: str = "") -> str:
    """Return a ``Set-Cookie`` header, which goes to this host alone where TLS can promise that."""
    bound = "; Secure" if is_secure(scope) else ""
    return f"{_own(name, scope)}={value}; Path=/; HttpOnly; SameSite=Lax{bound}{more}"


def cookie_value(name: str, scope: Mapping[str, Any]) -> str:
    """Return the value of our cookie, "" without one. Over TLS only the bound one counts."""
    own = _own(name, scope)
    for title, header in scope["headers"]:
        if title == b"cookie":
            for part in header.decode("latin-1").split(";"):
                key, _, value = part.strip().partition("=")
                if key == own:
                    return str(value)
    return ""


def _own(name: str, scope: Mapping[str, Any]) -> str:
    return f"__Host-{name}" if is_secure(scope) else name
