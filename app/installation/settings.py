"""The settings of the installation: the four lists, and what else its pages have stored."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic_core import to_json

from app.database.database import Database, DatabaseConnection
from app.errors import Conflict, Invalid
from app.installation.lists import LISTS, UTC_NOW
from app.model.fields import storable_json
from app.sql.registry import INSTALLATION, statement

MOST_KEYS: Final = 1_000
"""Keys that may be stored."""
MOST_AT_ONCE: Final = 100
"""Keys of one request."""
LARGEST: Final = 100_000
"""Bytes of one value as JSON."""
_LONGEST_KEY: Final = 200
_LIST_NAMES: Final = frozenset(words.member for words in LISTS)
# No success has a member "error", and the others are read as what a request says of itself.
_RESERVED: Final = frozenset({"error", "key", "value", "userId", "userName", "lastModifiedBy"})
_lists: Final = ", ".join(
    f"'{words.member}', {words.names(f'${index}::text[]')}" for index, words in enumerate(LISTS, 1)
)
# The lists, whose defaults are $1 …; and what is stored under other keys than the last one's.
READ: Final = statement(
    "SELECT (coalesce((SELECT jsonb_object_agg(key, value) FROM settings WHERE key <> ALL("
    f"${len(LISTS) + 1}::text[])), '{{}}') || jsonb_build_object({_lists}))::json",
    INSTALLATION,
)
LOCK: Final = statement("SELECT pg_advisory_xact_lock(7305791, 8)", INSTALLATION)
SAVE: Final = statement(
    "INSERT INTO settings (id, key, value, created_at, updated_at) SELECT gen_random_uuid()::text, "
    f"new.key, new.value, {UTC_NOW}, {UTC_NOW} FROM jsonb_each($1::jsonb) AS new "
    "ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
    INSTALLATION,
)
REMOVE: Final = statement("DELETE FROM settings WHERE key = ANY($1::text[])", INSTALLATION)
COUNT: Final = statement("SELECT count(*) FROM settings", INSTALLATION)


_READ_ARGUMENTS: Final = (
    *(list(words.defaults) for words in LISTS), sorted(_LIST_NAMES | _RESERVED),
)  # fmt: skip


async def read_settings(database: Database) -> bytes:
    """Return all settings as one JSON object."""
    return await database.read(READ, *_READ_ARGUMENTS) or b"{}"


async def store_settings(connection: DatabaseConnection, values: Mapping[str, Any]) -> bytes:
    """Store checked values by key, in a transaction; return all settings. Raises Conflict.

    A key whose value is None is removed.
    """
    await connection.execute(LOCK)
    await connection.execute(REMOVE, [key for key, value in values.items() if value is None])
    entries = {key: value for key, value in values.items() if value is not None}
    await connection.execute(SAVE, to_json(entries).decode())
    if entries and await connection.fetchval(COUNT) > MOST_KEYS:
        raise Conflict(f"Nothing was saved: at most {MOST_KEYS} keys can be stored.")
    settings: bytes = await connection.fetchval(READ, *_READ_ARGUMENTS)
    return settings


def check(values: Mapping[str, Any]) -> None:
    """Raise Invalid for keys and values that are not stored."""
    if len(values) > MOST_AT_ONCE:
        raise Invalid.at("body", f"it has {len(values)} keys; send at most {MOST_AT_ONCE} at once")
    faults = [(key, fault) for key, value in values.items() if (fault := _fault(key, value))]
    if faults:
        raise Invalid([
            {"path": key[:_LONGEST_KEY] or "body", "message": fault} for key, fault in faults
        ])  # fmt: skip


def _fault(key: str, value: Any) -> str:
    """Return why a value cannot be stored under a key, "" where it can."""
    if key in _LIST_NAMES:
        path = next(words.path for words in LISTS if words.member == key)
        return f"this list has routes of its own: /api/settings/{path}"
    if key in _RESERVED:
        return f"{key!r} cannot be a key"
    if not 1 <= len(key) <= _LONGEST_KEY or not key.isprintable():
        return f"a key has 1 to {_LONGEST_KEY} characters, and all of them can be seen"
    try:
        storable_json(value)
    except ValueError as error:
        return str(error)
    return f"it has more than {LARGEST} bytes" if len(to_json(value)) > LARGEST else ""
