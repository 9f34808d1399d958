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


@dataclass(frozen=True)
class Derived:
    """A row that was not written but reads differently since an entry, as HTTP returns it today."""

    collection: str
    entity_type: str
    uuid: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class FeedEntry:
    """One entry of a production's log, and the rows that read differently since.

    ``body`` is the row after the write. ``changes`` maps wire names to ``[before, after]``. ``at``
    is the time in its wire format. ``raw`` is the whole entry as the feed shows it.
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
    version: int
    body: Mapping[str, Any] | None
    changes: Mapping[str, Sequence[Any]]
    user_id: str
    user_name: str
    at: str
    raw: Mapping[str, Any]
    derived: Sequence[Derived] = ()

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> "FeedEntry":
        """Parse an entry of the feed."""
        return cls(
            seq=raw["seq"],
            production=UUID(raw["productionUuid"]),
            label=raw["productionId"],
            collection=raw["collection"],
            operation=raw["operation"],
            entity_type=raw["entityType"],
            entity=raw["entityId"],
            version=raw["version"],
            body=raw["entityData"],
            changes=raw["changes"],
            user_id=raw["userId"],
            user_name=raw["userName"],
            at=raw["timestamp"],
            raw=raw,
        )


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
