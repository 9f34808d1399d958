"""All that the release gate knows of Signalbook; no other module of ``app.releases`` knows any.

It has the statements to prove, the tables that are ours, what ships with the image, the round trip
of a sync, and the older service while that is attached. ``identity`` has the names of tables that
need no import.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, Protocol, cast

import asyncpg
from sqlmodel import SQLModel

import app.access.access_tables
import app.changelog.log
import app.entities  # a table whose model is not imported would not be protected
import app.installation.tables  # noqa: F401  # as above
from app.access.audit import audit_entries
from app.all_statements import required_statements
from app.installation import shipped
from app.releases.ledger.ledger import Ledger
from app.releases.rehearsal.probes import Probe
from app.releases.schema.snapshot import Snapshot
from app.sql.registry import failures
from app.sql.session_fitness import by_collection, findings, needs_of, session_findings
from app.sql.session_fitness import grants as grants_of
from app.sync.rehearsal.round_trip import RoundTrip

__all__ = [
    "MODELS", "RoundTrip", "Statements", "grants", "load_shipped", "note", "older_service",
    "other_clients", "own_tables", "required_statements", "session_faults", "statement_faults",
]  # fmt: skip

Statements = Mapping[str, tuple[str, ...]]
"""What an image's code demands of the database, by collection."""
MODELS: Final = SQLModel.metadata


class Adoption(Protocol):
    """A database that was taken over.

    ``acquainted`` are its tables that are not ours, ``created`` those that it lacked.
    """

    @property
    def revision(self) -> str: ...
    @property
    def acquainted(self) -> tuple[str, ...]: ...
    @property
    def created(self) -> tuple[str, ...]: ...
    @property
    def words(self) -> str: ...


class OlderService(Protocol):
    """What ``app.older_service`` offers while its folder is there.

    ``explain_drift`` returns words where the older service made the difference, else None.
    """

    async def adopt(
        self, url: str, ledger: Ledger, *, service_role: str | None, say: Callable[[str], None]
    ) -> Adoption: ...
    async def explain_drift(self, ledger: Ledger) -> str | None: ...
    async def make_probe(self, url: str, schema: Snapshot) -> Probe: ...
    async def tables_written_by_older(self, ledger: Ledger, seconds: float) -> list[str]: ...


_FOLDER: Final = "app.older_service"
older_service: Final = cast("OlderService", import_module(_FOLDER)) if find_spec(_FOLDER) else None
"""The older service whose databases are carried over, None once it is retired."""


def own_tables() -> dict[str, str]:
    """Return the tables in which a row must be protected, there or not, by name.

    The value is the SQL condition of such a row: what ships with an image can be loaded again.
    """
    return {**dict.fromkeys(MODELS.tables, "true"), **shipped.PROTECTED}


async def load_shipped(connection: asyncpg.Connection) -> str:
    """Load what ships with this image, in a transaction; return what was done, in words."""
    async with connection.transaction():
        return await shipped.load_shipped(connection)


async def session_faults(connection: asyncpg.Connection, statements: Statements) -> list[str]:
    """Return what keeps a whole session from working as the code expects, in words."""
    return (await session_findings(connection, needs_of(statements).all_tables)).words


async def statement_faults(
    connection: asyncpg.Connection, statements: Statements
) -> dict[str, str]:
    """Prepare every statement; return what is wrong by collection, missing rights included."""
    faults = await failures(connection, statements)
    needs = needs_of(statements)
    rights = by_collection(needs, await findings(connection, needs))
    return {name: words for name, words in rights.items() if words != "ok"} | faults


def grants(statements: Statements, role: str) -> list[str]:
    """Return the statements that let a role, quoted, do what the code needs."""
    return grants_of(needs_of(statements), role)


async def other_clients(url: str, schema: Snapshot) -> dict[str, Probe]:
    """Return the probes of other programs that use the tables of ``schema``, by their names."""
    if older_service is None:
        return {}
    return {"the older service": await older_service.make_probe(url, schema)}


async def note(ledger: Ledger, event: str, who: str, **details: Any) -> None:
    """Note in the audit what an operator did, once the database has one."""
    if await ledger.fetch_value("SELECT to_regclass('public.access_audit') IS NOT NULL"):
        entry = audit_entries.AuditEntry(event, user_name=who, details=details)
        await ledger.execute(audit_entries.ADD_ENTRIES, audit_entries.as_json(entry))
