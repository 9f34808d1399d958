"""What a product may have tried on the copy: its own clients, and other programs."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import asyncpg

from app.releases.rehearsal.probes import Failures
from app.releases.schema.snapshot import Snapshot

Probe = Callable[[asyncpg.Connection], Awaitable[Failures]]
# Given the schema before the release, the probes of other programs, by the program's name.
OtherClients = Callable[[Snapshot], Awaitable[Mapping[str, Probe]]]


class ClientTrial(Protocol):
    """What the product's own clients do, tried on the migrated copy."""

    @property
    def findings(self) -> list[str]:
        """What went wrong, in words."""

    @property
    def errors(self) -> list[Exception]:
        """The errors behind the findings."""

    def as_json(self) -> dict[str, Any]:
        """Return the steps and their times as JSON values."""

    async def look_before(self, url: str) -> None:
        """Note what is wrong before the release."""

    async def run(self, url: str) -> None:
        """Try it on the copy at ``url``."""
