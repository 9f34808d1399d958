"""The address of the client that sent a request, also behind proxies.

A proxy names in a header from whom it took the request, behind what the header says already. Who
stands before the first proxy writes there what they like. So the header is read from the right,
and only as far as the proxies that TRUSTED_PROXIES names: nobody chooses the address under which
they are logged and counted.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

Scope = Any
"""An ASGI scope."""

_ANY_NUMBER: Final = 1_000
_FORWARDED: Final = b"forwarded"
_SECURE: Final = {"http": "https", "ws": "wss"}


@lru_cache(4_096)
def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a socket or a header names, without its port; None for no address.

    An IPv4 client of a socket that takes both families is named as IPv4.
    """
    host = text.strip().strip('"')
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def address_of(scope: Scope) -> str:
    """Return the client's address for the log: "203.0.113.7", "2001:db8::7", or "unknown"."""
    client = scope.get("client")
    return "unknown" if client is None else str(_parsed(client[0]) or client[0])


@lru_cache(4_096)
def network_of(address: str) -> str:
    """Return under what an address is counted: itself, or its /64 where it is IPv6.

    A /64 is the least that a customer gets, so its addresses are all in one hand.
    """
    parsed = _parsed(address)
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((parsed, 64), strict=False))
    return address


class AddressCounts:
    """Counts what there is of each address at a time, of IPv6 for each /64.

    ``most`` is how many of one address there may be, 0 for any number.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: Counter[str] = Counter()

    def add(self, address: str) -> int:
        """Count one more; return how many there are."""
        network = network_of(address)
        self._counts[network] += 1
        return self._counts[network]

    def remove(self, address: str) -> None:
        """Take one off the count."""
        network = network_of(address)
        self._counts[network] -= 1
        if self._counts[network] <= 0:
            del self._counts[network]

    def hold(self, address: str) -> Callable[[], None]:
        """Count one more until what this returns is called, which may be more than once."""
        self.add(address)
        addresses = [address]
        return lambda: self.remove(addresses.pop()) if addresses else None

    def is_full(self, address: str) -> bool:
        """Whether there may be no more of this address."""
        return self.is_beyond(self._counts[network_of(address)] + 1)

    def is_beyond(self, count: int, by: int = 0) -> bool:
        """Whether a count is more than is allowed, and ``by`` more than that."""
        return bool(self._most) and count > self._most + by


class Proxies:
    """The proxies that are believed: addresses, networks, or one number, wherever they are.

    With both, at most so many proxies of these networks are passed; with neither any.
    """

    def __init__(self, proxies: Sequence[str]) -> None:
        self._networks = [ip_network(part) for part in proxies if not part.isdecimal()]
        numbers = [int(part) for part in proxies if part.isdecimal()]
        self.most = min(numbers, default=_ANY_NUMBER)

    def trusts(self, address: IPv4Address | IPv6Address | str) -> bool:
        """Whether a connection from there is a proxy's."""
        if not self._networks:
            return True
        parsed = _parsed(address) if isinstance(address, str) else address
        return parsed is not None and any(parsed in network for network in self._networks)


class ProxyMiddleware:
    """Puts the client's own address and scheme into the scope of what trusted proxies hand on.

    ``header`` is the one that they write: "x-forwarded-for", "forwarded" or "x-real-ip". The others
    are not read, as a proxy hands on unchanged what it does not know.
    """

    def __init__(
        self, app: Callable[..., Awaitable[None]], proxies: Sequence[str], header: str
    ) -> None:
        self._app, self._header = app, header.encode()
        self._proxies = Proxies(proxies)

    def __call__(self, scope: Scope, receive: Any, send: Any) -> Awaitable[None]:
        """Hand the request on."""
        if scope["type"] in {"http", "websocket"} and scope.get("client"):
            self._look_behind(scope)
        return self._app(scope, receive, send)

    def _look_behind(self, scope: Scope) -> None:
        address = _parsed(scope["client"][0])
        if address is None or not self._proxies.trusts(address):
            return
        steps = _names(scope, self._header)
        for _, text in zip(range(self._proxies.most), steps, strict=False):
            claimed = _parsed(text)
            if claimed is None:
                break
            address = claimed
            if not self._proxies.trusts(address):
                break
        scope["client"] = (str(address), 0)
        if _is_secure(scope, self._header):
            scope["scheme"] = _SECURE.get(scope["scheme"], scope["scheme"])


def _elements(scope: Scope, header: bytes) -> Iterator[str]:
    """Yield the elements of a header from the right.

    No quote is heeded: what a client left open must not swallow what a proxy wrote behind it.
    """
    for name, value in reversed(scope["headers"]):
        if name == header:
            yield from reversed(value.decode("latin-1").split(","))


def _names(scope: Scope, header: bytes) -> Iterator[str]:
    for element in _elements(scope, header):
        yield _pair(element, "for") if header == _FORWARDED else element


def _pair(element: str, key: str) -> str:
    """Return one value of an element of Forwarded, empty where it has none."""
    for pair in element.split(";"):
        name, _, value = pair.partition("=")
        if name.strip().lower() == key:
            return value.strip()
    return ""


def _is_secure(scope: Scope, header: bytes) -> bool:
    """Whether the nearest proxy says that it was asked by HTTPS."""
    if header == _FORWARDED:
        scheme = _pair(next(_elements(scope, header), ""), "proto").strip('"')
    else:
        scheme = next(_elements(scope, b"x-forwarded-proto"), "")
    return scheme.strip().lower() in {"https", "wss"}
