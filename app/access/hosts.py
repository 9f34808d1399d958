"""Which names the service answers to: the values of Host that it believes.

To a browser, a page of any name that its owner lets point to this machine is of our own origin (DNS
rebinding). So the service answers only to names that it knows, or that no stranger can own.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

_PLATFORM: Final = "healthcheck.railway.app"
"""Whom Railway's health check asks for."""
# Ends of names that the public DNS does not have. One without a dot is none of a stranger either.
_OF_NETWORKS: Final = (".local", ".localhost", ".internal", ".lan", ".home.arpa")
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[\w.-]+)(?::\d{1,5})?", re.ASCII)


def host_name(host: str) -> str:
    """Return the name in a Host header, in lower case and without the port; "" for none."""
    match = _HOST.fullmatch(host.lower())
    return match[1] if match else ""


def address_of_name(name: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a name is, None for any other name. IPv6 stands in brackets."""
    try:
        address = ip_address(name.strip("[]"))
    except ValueError:
        return None
    return address if name.startswith("[") is (address.version == 6) else None


def is_of_network(name: str) -> bool:
    """Whether a name means something in the own network alone: "desk", "desk.local"."""
    return bool(name) and ("." not in name or name.endswith(_OF_NETWORKS)) and "[" not in name


class Hosts:
    """The names of this service.

    ``allowed`` are names, "*.show.example" for all below one, or "*" for any. Without them it
    answers to every address and to the names of networks. It always answers to loopback and to the
    platform's health check.
    """

    def __init__(self, allowed: Sequence[str]) -> None:
        names = [name.lower() for name in allowed]
        self._names = frozenset(
            {_PLATFORM, *names, *(f"[{name}]" for name in names if ":" in name)}
        )
        self._below = tuple(name[1:] for name in names if name.startswith("*."))
        self._any, self._is_default = "*" in names, not names
        self.knows = lru_cache(maxsize=256)(self._knows)

    def _knows(self, host: bytes) -> bool:
        """Whether a Host header, with or without a port, names this service."""
        name = host_name(host.decode("latin-1"))
        if self._any or name in self._names or (name and name.endswith(self._below)):
            return True
        address = address_of_name(name)
        if address is not None:
            return self._is_default or address.is_loopback
        return name == "localhost" or (self._is_default and is_of_network(name))
