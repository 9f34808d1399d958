"""The report of a round trip: its steps with their times, and what went wrong, in words."""

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

from app.database.database import DatabaseConnection
from app.entities import discovered
from app.sql.registry import named_statements
from app.sync.rehearsal.expectations import in_words

_SHOWN: Final = 80  # characters of a statement


class StepFailed(Exception):
    """A step has gone wrong, and those that build on it make no sense."""


class TripReport:
    """The steps of one round trip, and what went wrong in it; nothing when all is well."""

    def __init__(self) -> None:
        self.findings: list[str] = []
        self.errors: list[Exception] = []
        """The errors behind the findings, of which some may be the server's own fault."""
        self.steps: list[dict[str, Any]] = []
        self._failed: list[tuple[object, str]] = []

    @asynccontextmanager
    async def step(self, connection: DatabaseConnection, name: str) -> AsyncIterator[None]:
        """Time a step, in a savepoint. Raise StepFailed if it failed, or found anything wrong."""
        began, before = time.monotonic(), len(self.findings)
        try:
            async with connection.transaction():
                yield
        except Exception as error:  # noqa: BLE001  # whatever it meets on the copy is a finding
            self.errors.append(error)
            self.findings.append(f"{name}: {self._describe(error)}")
        self.steps.append({"step": name, "seconds": round(time.monotonic() - began, 4)})
        if len(self.findings) > before:
            raise StepFailed

    def add(self, what: str, faults: Iterable[str]) -> None:
        """Add what is wrong with something to the findings."""
        self.findings += [f"{what}: {words}" for words in faults if words]

    def log_query(self, query: Any) -> None:
        """Remember a statement that failed; asyncpg's query logger calls this."""
        if query.exception is not None:
            self._failed.append((query.exception, query.query))

    def _describe(self, error: Exception) -> str:
        """Put an error into words, with the statement that failed if it was one."""
        causes = [cause for cause in (error, error.__cause__) if cause]
        for failed, sql in self._failed:
            for cause in causes:
                if failed is cause:
                    return f"{_name_of(sql)} fails: {in_words(cause)}"
        return in_words(error)


def _name_of(sql: str) -> str:
    """Return the entity and name of a declared statement, the SQL itself of any other."""
    for collection, entity in discovered().items():
        for name, own in named_statements(entity).items():
            if own == sql:
                return f"the statement {name.replace('_', ' ')!r} of {collection}"
    line = " ".join(sql.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"
