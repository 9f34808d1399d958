"""Pages of which origins may write: our own, and those that CORS_ORIGINS names.

A browser says with Sec-Fetch-Site where the page stands that sends a request. Older ones, and all
of them where a page is not encrypted, say with Origin which page it is. What is no browser says
neither, and no page can make it send anything.
"""

from typing import Any, Final
from urllib.parse import urlsplit

from app.access.hosts import address_of_name, is_of_network
from app.settings import Settings

_OWN: Final = frozenset({b"same-origin", b"none"})


class Origins:
    """The origins whose pages may write: those of CORS_ORIGINS, where "*" is any.

    Without them, and not in production, they are those of the own network.
    """

    def __init__(self, settings: Settings) -> None:
        named = settings.cors_origins
        self._named = frozenset(name.encode() for name in named)
        self._any = "*" in named
        self._network = not named and settings.environment != "production"

    def may_write(self, host: bytes, origin: bytes, site: bytes) -> bool:
        """Whether to take a write with these headers, each b"" where it was not sent."""
        if self._any or (origin and self._is_named(origin)):
            return True
        if site:
            return site in _OWN
        return not origin or _authority(origin) == host.decode("latin-1").lower()

    def _is_named(self, origin: bytes) -> bool:
        return origin in self._named or (self._network and _is_near(origin))


def is_own_page(scope: Any) -> bool:
    """Whether a page of our own origin sends a request, or a link leads to one of our pages."""
    values = dict(scope["headers"])
    site = values.get(b"sec-fetch-site", b"")
    if site:
        is_link = values.get(b"sec-fetch-mode") == b"navigate" and scope.get("method") == "GET"
        return site in _OWN or is_link
    origin, host = values.get(b"origin", b""), values.get(b"host", b"")
    return not origin or _authority(origin) == host.decode("latin-1").lower()


def _authority(origin: bytes) -> str:
    """Return host and port of an origin, "" where it has none, as "null"."""
    try:
        return urlsplit(origin.decode("latin-1")).netloc.lower()
    except ValueError:
        return ""


def _is_near(origin: bytes) -> bool:
    """Whether a page comes from this machine or its network."""
    try:
        name = urlsplit(origin.decode("latin-1")).hostname or ""
    except ValueError:
        return False
    address = address_of_name(f"[{name}]" if ":" in name else name)
    return is_of_network(name) if address is None else address.is_private
