"""What subscribers get: entries of the change log as the feed shows them, a page at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from pydantic_core import from_json

from app.changelog.feed import FEED, trimmed
from app.database.database import Database
from app.errors import LogTrimmed

PAGE: Final = 200
_MEMBERS: Final = {
    "seq": "seq", "label": "productionId", "collection": "collection", "operation": "operation",
    "entity_type": "entityType", "entity": "entityId", "body": "entityData", "changes": "changes",
    "user_id": "userId", "user_name": "userName",
}  # fmt: skip


@dataclass(frozen=True)
class Derived:
    """A row that was not written but reads differently since an entry, as HTTP returns it today."""

    collection: str
    entity_type: str
    uuid: str
    body: Mapping[str, Any]

    @property
    def announcement(self) -> dict[str, Any]:
        """Return what is pushed of the row where it is too large to be pushed itself."""
        return _announcement(self.collection, self.uuid, self.body)


@dataclass(frozen=True)
class FeedEntry:
    """One entry of a production's log, and the rows that read differently since.

    ``body`` is the row after the write. ``changes`` maps wire names to ``[before, after]``.
    ``raw`` is the whole entry as the feed shows it.
    """

    seq: int
    production: UUID
    label: str
    """What the production is called."""
    collection: str
    operation: str
    entity_type: str
    entity: str
    """The row's uuid."""
    body: Mapping[str, Any] | None
    changes: Mapping[str, Sequence[Any]]
    user_id: str
    user_name: str
    raw: Mapping[str, Any]
    derived: Sequence[Derived] = ()

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> "FeedEntry":
        members = {field: raw[member] for field, member in _MEMBERS.items()}
        return cls(production=UUID(raw["productionUuid"]), raw=raw, **members)

    @property
    def announcement(self) -> dict[str, Any]:
        """Return what is pushed of the row where it is too large to be pushed itself."""
        return _announcement(self.collection, self.entity, self.body)


def _announcement(collection: str, uuid: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"version": (body or {}).get("version"), "fetch": f"/api/{collection}/{uuid}"}


@dataclass(frozen=True)
class Page:
    """The entries of a production after number ``since``, up to number ``through``.

    If the log does not hold them all, ``gap`` is the error for it, there are no entries, and
    ``through`` is the newest number.
    """

    since: int
    through: int
    latest: int
    entries: Sequence[FeedEntry] = ()
    gap: LogTrimmed | None = None


async def read_page(
    database: Database, production: UUID, since: int, limit: int = PAGE
) -> Page | None:
    """Read at most ``limit`` entries, without derived rows; None if there is no such production.

    A number without an entry in the middle of the log is a gap too: somebody has counted by hand,
    and nobody can say what changed. So is an entry that cannot be parsed: what an older service
    wrote may be nested too deeply.
    """
    row = await database.row(FEED, production, since, limit)
    if row is None:
        return None
    latest = row["latest"]
    with_gap = Page(since, latest, latest, gap=trimmed(production, row["oldest"], latest, since))
    try:
        entries = [FeedEntry.read(raw) for raw in from_json(row["entries"])]
    except ValueError:
        return with_gap
    if limit == 0 and row["oldest"] - 1 <= since <= latest:
        return Page(since, since, latest)
    through = entries[-1].seq if len(entries) == limit > 0 else latest
    return Page(since, through, latest, entries) if len(entries) == through - since else with_gap
