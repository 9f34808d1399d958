"""What a release would do: its revisions, every statement, and the digest that is approved."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, Literal

from pydantic import TypeAdapter

from app.releases.migrations.revisions import Phase

# As in ``observer.Kind``; a "backfill" runs as batches of its statement.
Way = Literal["brief", "patient", "backfill", "direct"]


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement, without a semicolon; those of one transaction share a ``step``.

    ``tables`` are the existing tables it names; ``lock`` is the strongest lock it takes on one of
    them, in PostgreSQL's words ("ACCESS EXCLUSIVE"), "" for none; ``destroys`` when rows or
    columns are gone afterwards.
    """

    revision: str
    step: int
    way: Way
    sql: str
    tables: tuple[str, ...] = ()
    lock: str = ""
    destroys: bool = False


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One release: consecutive revisions of one phase group that change one existing table.

    ``tables`` are those of a release that takes several together, in order; else empty.
    ``before`` is None on a database that was never migrated. ``fingerprint`` is the live schema's.
    """

    before: str | None
    revisions: tuple[str, ...]
    phase: Phase
    table: str | None
    statements: tuple[Statement, ...]
    fingerprint: str
    tables: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        """Where the database is afterwards."""
        return self.revisions[-1]

    @property
    def destroys(self) -> bool:
        """Whether something is gone afterwards."""
        return any(statement.destroys for statement in self.statements)

    @property
    def is_final(self) -> bool:
        """Whether there is no way back: it is a contract."""
        return self.phase == "contract"

    @property
    def destroyed(self) -> str | None:
        """What an approval must name: the release's table, else the first that loses something.

        Of a release that takes several tables together: all that lose something, with commas.
        """
        if not self.destroys:
            return None
        losing = [table for s in self.statements if s.destroys for table in s.tables]
        if self.tables:
            return ",".join(dict.fromkeys(losing))
        return self.table or next(iter(losing), self.target)

    @property
    def losses(self) -> list[str]:
        """The statements after which something is gone."""
        return [statement.sql for statement in self.statements if statement.destroys]

    @cached_property
    def sql(self) -> str:
        """All statements, as an operator reads them."""
        return "\n".join(f"{statement.sql};" for statement in self.statements)

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of what would be done to which schema: what an operator approves."""
        content = [
            self.before, self.revisions, self.fingerprint,
            [(s.revision, s.step, s.way, s.sql) for s in self.statements],
        ]  # fmt: skip
        return sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self) | {"digest": self.digest}


def approval(plan: Plan) -> str:
    """Return the command that approves a plan, to be completed by whoever answers for it."""
    destroys = f" --destroys {plan.destroyed}" if plan.destroys else ""
    return f"python -m app release approve {plan.digest[:12]} --who NAME --why REASON{destroys}"


def from_json(stored: Mapping[str, Any]) -> Plan:
    """Read what ``as_json`` gave."""
    return TypeAdapter(Plan).validate_json(json.dumps(stored))
