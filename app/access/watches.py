"""Connections that live on, and end when the credential that opened them does.

A token that was revoked is announced, so they end within a moment. They are looked at every few
seconds as well: tokens expire without a word, and an announcement may be missed.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog

from app.access.caller import Caller
from app.background import running
from app.database.database import Database
from app.sql.registry import statement

SUBJECT: Final = "token:"
"""What the subject of a token begins with; its key follows."""
# Those of the tokens with the keys $1 that are valid now.
VALID: Final = statement(
    "SELECT key FROM access_tokens WHERE key = ANY($1::text[]) AND revoked_at IS NULL"
    " AND (expires_at IS NULL OR expires_at > CURRENT_TIMESTAMP)"
)
End = Callable[[], object]
_log: Final = structlog.get_logger()


class Watches:
    """Ends the connections of one process whose callers are no longer let in."""

    def __init__(self, seconds: float = 3.0) -> None:
        self._seconds = seconds
        self._watched: dict[object, tuple[Caller, End]] = {}
        self._changed = asyncio.Event()

    def add(self, name: object, caller: Caller, end: End) -> None:
        """Call ``end`` once the caller's credential is no longer valid."""
        self._watched[name] = caller, end

    def remove(self, name: object) -> None:
        self._watched.pop(name, None)

    @contextmanager
    def watching(self, caller: Caller, end: End) -> Iterator[None]:
        """Watch while the block runs."""
        name = object()
        self.add(name, caller, end)
        try:
            yield
        finally:
            self.remove(name)

    def look(self) -> None:
        """Look at all now: a credential has changed."""
        self._changed.set()

    def end_session(self, session: UUID) -> None:
        """End the connections of a browser that has signed out."""
        for caller, end in tuple(self._watched.values()):
            if caller.session == session:
                end()

    def running(self, database: Database) -> AbstractAsyncContextManager[None]:
        """Look again and again while the block runs."""
        return running(self._keep_looking(database))

    async def _keep_looking(self, database: Database) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), self._seconds)
            self._changed.clear()
            try:
                await self._end_invalid(database)
            except Exception as error:  # noqa: BLE001  # else nobody would be ended any more
                _log.warning("credentials not looked at", reason=type(error).__name__)

    async def _end_invalid(self, database: Database) -> None:
        watched = tuple(self._watched.values())
        keys = {_key(caller) for caller, _ in watched if caller.subject.startswith(SUBJECT)}
        valid: set[str] = set()
        if keys:
            async with database.connection() as connection:
                valid = {row["key"] for row in await connection.fetch(VALID, list(keys))}
        now = datetime.now(UTC)
        for caller, end in watched:
            has_expired = caller.expires_at is not None and caller.expires_at <= now
            if has_expired or _key(caller) in keys - valid:
                end()


def _key(caller: Caller) -> str:
    return caller.subject.removeprefix(SUBJECT)
