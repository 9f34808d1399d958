"""Writes what is noted beside requests into the audit: refusals, a moment later.

No request waits for it. Refusals are counted: of many alike, one row tells the first at once, and
one a minute how many followed. So a flood cannot fill a disk.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import structlog

from app.access.audit.audit_entries import AuditEntry, note_in
from app.access.client_address import network_of
from app.background import running
from app.database.database import Database

_log: Final = structlog.get_logger()


@dataclass(slots=True)
class _Repeats:
    """Refusals alike that followed the one that was noted last."""

    first: AuditEntry
    until: float
    count: int = 0


class Audit:
    """Collects what a process has to note, and writes it beside the requests.

    At most ``most`` entries wait; further ones are counted as lost. ``kinds`` refusals are told
    apart in a ``window`` of seconds, further ones counted together.
    """

    def __init__(
        self, *, most: int = 5_000, kinds: int = 100, window: float = 60.0, pause: float = 1.0
    ) -> None:
        self._most, self._kinds, self._window, self._pause = most, kinds, window, pause
        self._waiting: list[AuditEntry] = []
        self._repeats: dict[tuple[Any, ...], _Repeats] = {}
        self._lost = 0
        self._is_due = asyncio.Event()

    def note(self, entry: AuditEntry) -> None:
        """Note something soon."""
        if len(self._waiting) >= self._most:
            self._lost += 1
        else:
            self._waiting.append(entry)
        self._is_due.set()

    def note_refusal(self, entry: AuditEntry) -> None:
        """Note a refusal, or count it where others like it were noted lately."""
        code = entry.details.get("code")
        kind: tuple[Any, ...] = (
            entry.event, entry.subject, network_of(entry.address or "unknown"), code
        )  # fmt: skip
        if kind not in self._repeats and len(self._repeats) >= self._kinds:
            kind = (entry.event,)
            entry = AuditEntry(entry.event, entry.outcome, details={"of": "many addresses"})
        if repeats := self._repeats.get(kind):
            repeats.count += 1
            return
        self._repeats[kind] = _Repeats(entry, time.monotonic() + self._window)
        self.note(entry)

    @asynccontextmanager
    async def running(self, database: Database) -> AsyncIterator[None]:
        """Write while the block runs, and what is left at its end."""
        try:
            async with running(self._keep_writing(database)):
                yield
        finally:
            self._count_repeats(float("inf"))
            with suppress(Exception):
                await self._write(database)

    async def _keep_writing(self, database: Database) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_due.wait(), self._window)
            self._is_due.clear()
            self._count_repeats(time.monotonic())
            try:
                await self._write(database)
            except Exception as error:  # noqa: BLE001  # one that fails must not be the last
                _log.warning("audit", reason=f"cannot be written: {type(error).__name__}")
                self._is_due.set()
            await asyncio.sleep(self._pause)

    def _count_repeats(self, now: float) -> None:
        """Note how many refusals followed each whose window is over; forget those with none."""
        over = [kind for kind, repeats in self._repeats.items() if repeats.until <= now]
        for kind in over:
            repeats = self._repeats.pop(kind)
            if repeats.count:
                first = repeats.first
                details = {**first.details, "further": repeats.count}
                self.note(AuditEntry(
                    first.event, first.outcome, first.subject, first.user_id, first.user_name,
                    first.address, first.request_id, details,
                ))  # fmt: skip

    async def _write(self, database: Database) -> None:
        """Write what waits. What could not be written waits on."""
        while self._waiting or self._lost:
            lost, batch = self._lost, self._waiting[:500]
            missing = [AuditEntry("audit.lost", details={"entries": lost})] if lost else []
            async with database.connection() as connection:
                await note_in(connection, *batch, *missing)
            del self._waiting[: len(batch)]
            self._lost -= lost
