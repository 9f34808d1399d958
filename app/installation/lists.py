"""The lists of words that pages choose from: connectors, kinds of sources, rates, resolutions.

The older service has the same tables. A word that is removed keeps its row, inactive, so that both
services and the history of shows agree on what it was. A list without any row has its defaults,
which the first write stores.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Final

from pydantic_core import from_json

from app.database.database import Database, DatabaseConnection
from app.entities import root
from app.installation.announcements import RENDERERS
from app.rules.formats import parse_rate
from app.rules.labels import folded
from app.sql.registry import INSTALLATION, statement

# UTC without a zone, as the older service writes it.
UTC_NOW: Final = "timezone('UTC', statement_timestamp())"


def _resolution(name: str) -> Hashable:
    """Return what two spellings of one resolution have in common."""
    return folded(name).replace(" ", "").replace("\u00d7", "x")


def _rate(name: str) -> Hashable:
    """Return what two spellings of one rate have in common: "23.976" and "23.98" are one."""
    try:
        return parse_rate(name)
    except ValueError:
        return folded(name)


async def _render(words: "WordList", connection: DatabaseConnection, _: str) -> list[str]:
    """Return what everybody is sent when a list has changed: its words in their order."""
    names: list[str] = from_json(await connection.fetchval(words.names_sql, list(words.defaults)))
    return names


@dataclass(frozen=True)
class WordList:
    """One of the lists; its statements are registered when it is made."""

    path: str
    """The end of its routes' path."""
    member: str
    """Its name among the settings."""
    noun: str
    """What a word of it is called."""
    table: str
    column: str
    lock: int
    """The second half of the advisory lock that its writers take."""
    event: str
    """What everybody is told when it changes."""
    defaults: tuple[str, ...]
    same: Callable[[str], Hashable] = folded
    """What two spellings of one word have in common."""

    def __post_init__(self) -> None:
        statement(self.names_sql, INSTALLATION)
        statement(self.rows_sql, INSTALLATION)
        statement(self.save_sql, INSTALLATION)
        statement(self.lock_sql, INSTALLATION)
        RENDERERS[self.event] = partial(_render, self)

    def names(self, defaults: str) -> str:
        """Return the SQL of the active words as JSON; ``defaults`` is that of an empty table's."""
        return (
            f"CASE WHEN EXISTS (SELECT FROM {self.table}) THEN (SELECT coalesce(json_agg("
            f"{self.column} ORDER BY sort_order, created_at, id), '[]') FROM {self.table} "
            f"WHERE is_active) ELSE to_json({defaults}) END"
        )

    @property
    def names_sql(self) -> str:
        return f"SELECT {self.names('$1::text[]')}"

    @property
    def rows_sql(self) -> str:
        return (
            f"SELECT id, {self.column} AS name, sort_order, is_active FROM {self.table} "
            "ORDER BY sort_order, created_at, id"
        )

    @property
    def save_sql(self) -> str:
        """Return the statement that makes or changes the rows $1 … $4, column by column."""
        return (
            f"INSERT INTO {self.table} (id, {self.column}, sort_order, is_active, created_at, "
            f"updated_at) SELECT new.*, {UTC_NOW}, {UTC_NOW} FROM unnest($1::text[], $2::text[], "
            f"$3::int[], $4::boolean[]) AS new ON CONFLICT (id) DO UPDATE SET {self.column} = "
            f"excluded.{self.column}, sort_order = excluded.sort_order, "
            "is_active = excluded.is_active, updated_at = excluded.updated_at"
        )

    @property
    def lock_sql(self) -> str:
        return f"SELECT pg_advisory_xact_lock(7305791, {self.lock})"


CONNECTOR_TYPES: Final = WordList(
    "connector-types", "connectorTypes", "connector type", "connector_types", "name", 4,
    "settings:connector-types-updated",
    ("HDMI", "SDI", "3G-SDI", "6G-SDI", "12G-SDI", "DP", "MINI DP", "DVI", "VGA", "USB-C",
     "THUNDERBOLT", "FIBER", "LC", "OPTICALCON", "HDBASET", "ETHERNET", "NDI", "ST 2110"),
)  # fmt: skip
SOURCE_TYPES: Final = WordList(
    "source-types", "sourceTypes", "source type", "source_types", "name", 5,
    "settings:source-types-updated",
    # Those that a new show begins with.
    tuple(root().model_fields["source_types"].get_default(call_default_factory=True)),
)  # fmt: skip
FRAME_RATES: Final = WordList(
    "frame-rates", "frameRates", "frame rate", "frame_rates", "rate", 6,
    "settings:frame-rates-updated",
    ("23.98", "24", "25", "29.97", "30", "50", "59.94", "60"), _rate,
)  # fmt: skip
RESOLUTIONS: Final = WordList(
    "resolutions", "resolutions", "resolution", "resolution_presets", "name", 7,
    "settings:resolution-presets-updated",
    ("1920x1080", "3840x2160", "1280x720", "1920x1200", "4096x2160", "1024x768", "1280x800",
     "1280x1024", "1366x768", "1440x900", "1600x900", "1600x1200", "1680x1050", "2560x1080",
     "2560x1440", "2560x1600", "3440x1440", "3840x1080", "3840x2400"), _resolution,
)  # fmt: skip
LISTS: Final = (CONNECTOR_TYPES, SOURCE_TYPES, FRAME_RATES, RESOLUTIONS)


async def read_names(database: Database, words: WordList) -> bytes:
    """Return the words of a list in their order, as JSON."""
    return await database.read(words.names_sql, list(words.defaults)) or b"[]"
