"""The formats of the installation: those that ship with the service, and those of its users.

A format's id is made of its members, so two live ones never have the same. The id also says what no
column does: whether frames are segmented ("psf"). ``rate_numerator`` and ``rate_denominator`` are
the rate as the trade counts it: fields per second where it is interlaced.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, NamedTuple, NoReturn
from uuid import UUID

import asyncpg
from pydantic_core import from_json

from app.database.database import Database, DatabaseConnection
from app.errors import (
    DuplicateId,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    VersionConflict,
)
from app.rules.etags import allows, entity_tag
from app.rules.formats import Blanking, Format, Scan, parse_format, raster_format, rate_text
from app.sql.projection import MOMENT
from app.sql.registry import INSTALLATION, statement

# Two decimals of a rate over 1.001, else up to three: what ``rate_text`` prints.
_RATE: Final = (
    "round(rate_numerator::numeric / rate_denominator, "
    "CASE WHEN rate_denominator % 1001 = 0 THEN 2 ELSE 3 END)::float8"
)
_MEMBERS: Final = (
    f'uuid, id, h_res AS "hRes", v_res AS "vRes", {_RATE} AS "frameRate", '
    'is_interlaced AS "isInterlaced", blanking, is_system AS "isSystem", version, '
    f'is_deleted AS "isDeleted", {MOMENT.format(column="created_at")} AS "createdAt", '
    f'{MOMENT.format(column="updated_at")} AS "updatedAt", last_modified_by AS "lastModifiedBy"'
)
# Two rates whose denominators have at most four digits differ long before the quotients end.
_ORDER: Final = (
    "is_system DESC, v_res DESC, rate_numerator::numeric / rate_denominator DESC, h_res DESC, id"
)
LIST: Final = statement(
    f"SELECT coalesce(json_agg(row_to_json(each)), '[]') FROM (SELECT {_MEMBERS} FROM formats "
    f"WHERE NOT is_deleted ORDER BY {_ORDER}) AS each",
    INSTALLATION,
)
ONE: Final = statement(
    f"SELECT row_to_json(each) FROM (SELECT {_MEMBERS} FROM formats "
    "WHERE uuid = $1 AND NOT is_deleted) AS each",
    INSTALLATION,
)


def format_of(uuid: str) -> str:
    """Return the SQL of the live format that has the uuid of this expression, as JSON, or NULL."""
    row = f"SELECT {_MEMBERS} FROM formats WHERE formats.uuid = {uuid} AND NOT formats.is_deleted"
    return f"(SELECT row_to_json(each) FROM ({row}) AS each)"


# Whoever writes formats waits for whoever does so already.
LOCK: Final = statement("SELECT pg_advisory_xact_lock(7305791, 9)", INSTALLATION)
# Whether another than $2 is live under the id $1.
EXISTS: Final = statement(
    "SELECT EXISTS (SELECT FROM formats WHERE id = $1 AND NOT is_deleted "
    "AND uuid IS DISTINCT FROM $2::uuid)",
    INSTALLATION,
)
_WRITTEN: Final = f"SELECT row_to_json(each) FROM (SELECT {_MEMBERS} FROM written) AS each"
_TOUCHED: Final = "version = version + 1, updated_at = statement_timestamp()"
# Make the format $1 … $7; $8 did it. No row where its id is taken.
CREATE: Final = statement(
    "WITH written AS (INSERT INTO formats (id, h_res, v_res, rate_numerator, rate_denominator, "
    "is_interlaced, blanking, last_modified_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
    f"ON CONFLICT DO NOTHING RETURNING *) {_WRITTEN}",
    INSTALLATION,
)
# Bring back the format that was deleted last under the id $1; $2 did it.
BRING_BACK: Final = statement(
    f"WITH written AS (UPDATE formats SET is_deleted = false, last_modified_by = $2, {_TOUCHED} "
    "WHERE uuid = (SELECT uuid FROM formats WHERE id = $1 AND is_deleted "
    f"ORDER BY updated_at DESC, uuid LIMIT 1) RETURNING *) {_WRITTEN}",
    INSTALLATION,
)
# Make $1 … $7 of the format $9; $8 did it.
UPDATE: Final = statement(
    "WITH written AS (UPDATE formats SET id = $1, h_res = $2, v_res = $3, rate_numerator = $4, "
    "rate_denominator = $5, is_interlaced = $6, blanking = $7, last_modified_by = $8, "
    f"{_TOUCHED} WHERE uuid = $9 AND NOT is_deleted RETURNING *) {_WRITTEN}",
    INSTALLATION,
)
DELETE: Final = statement(
    f"UPDATE formats SET is_deleted = true, last_modified_by = $2, {_TOUCHED} WHERE uuid = $1",
    INSTALLATION,
)


class FormatRow(NamedTuple):
    """The columns of a raster format that follow from it."""

    id: str
    h_res: int
    v_res: int
    rate_numerator: int
    rate_denominator: int
    is_interlaced: bool
    blanking: Blanking

    @classmethod
    def of(cls, video: Format) -> "FormatRow":
        assert video.width is not None, "a row is a raster"
        rate = video.trade_rate
        return cls(video.display_id, video.width, video.lines, rate.numerator, rate.denominator,
                   video.scan == "i", video.blanking)  # fmt: skip


@dataclass(frozen=True)
class FormatEdit:
    """What a client says of a format; None is what it does not say.

    ``version`` and ``if_match`` are what the client started from, ``person`` who it is.
    """

    h_res: int | None = None
    v_res: int | None = None
    rate: Fraction | None = None
    is_interlaced: bool | None = None
    blanking: Blanking | None = None
    version: int | None = None
    if_match: bytes = b""
    person: str | None = None

    def applied_to(self, old: Format) -> Format:
        """Return the format as edited. Raises Invalid."""
        assert old.width is not None, "a row is a raster"
        scan: Scan = old.scan
        if self.is_interlaced is not None and self.is_interlaced != (old.scan == "i"):
            scan = "i" if self.is_interlaced else "p"
        width, lines = self.h_res or old.width, self.v_res or old.lines
        rate, blanking = self.rate or old.trade_rate, self.blanking or old.blanking
        return _raster(width, lines, rate, scan, blanking)

    def as_format(self) -> Format:
        """Return the format that it says; width, height and rate are there. Raises Invalid."""
        assert self.h_res is not None, "the route asks for it"
        assert self.v_res is not None, "the route asks for it"
        assert self.rate is not None, "the route asks for it"
        scan: Scan = "i" if self.is_interlaced else "p"
        return _raster(self.h_res, self.v_res, self.rate, scan, self.blanking or "NONE")


def _raster(width: int, lines: int, rate: Fraction, scan: Scan, blanking: Blanking) -> Format:
    try:
        return raster_format(width, lines, rate, scan, blanking)
    except ValueError as error:
        raise Invalid.at("frameRate", str(error)) from None


async def list_formats(database: Database) -> bytes:
    """Return all live formats as JSON: the system's first, then the largest and fastest."""
    return await database.read(LIST) or b"[]"


async def get_format(database: Database, uuid: UUID | None) -> bytes:
    """Return a live format as JSON. Raises NotFound."""
    return (uuid and await database.read(ONE, uuid)) or _raise_not_found()


async def create_format(connection: DatabaseConnection, edit: FormatEdit) -> bytes:
    """Make a format, or bring a deleted one back, in a transaction. Raises DuplicateId, Invalid."""
    video = edit.as_format()
    await connection.execute(LOCK)
    await _refuse_duplicate(connection, video, None)
    row: bytes | None = await connection.fetchval(BRING_BACK, video.display_id, edit.person)
    if row is None:
        row = await connection.fetchval(CREATE, *FormatRow.of(video), edit.person)
    return row or _raise_duplicate(video)


async def update_format(
    connection: DatabaseConnection, uuid: UUID | None, edit: FormatEdit
) -> bytes:
    """Change a format of users, in a transaction.

    Raises NotFound, Forbidden, PreconditionFailed, VersionConflict, DuplicateId and Invalid.
    """
    stored = await _locked_row(connection, uuid, edit.if_match, "changed")
    members = from_json(stored)
    old = parse_format(members["id"])
    new = edit.applied_to(old)
    _refuse_conflict(members, old, new, edit)
    if new == old:
        return stored
    await _refuse_duplicate(connection, new, uuid)
    try:
        row: bytes = await connection.fetchval(UPDATE, *FormatRow.of(new), edit.person, uuid)
    except asyncpg.UniqueViolationError:  # whoever ships formats does not wait for the lock
        _raise_duplicate(new)
    return row


async def delete_format(
    connection: DatabaseConnection, uuid: UUID | None, person: str | None, if_match: bytes = b""
) -> None:
    """Delete a format of users, in a transaction. Raises as ``update_format`` does."""
    await _locked_row(connection, uuid, if_match, "deleted")
    await connection.execute(DELETE, uuid, person)


async def _locked_row(
    connection: DatabaseConnection, uuid: UUID | None, if_match: bytes, deed: str
) -> bytes:
    """Return a live format of users, which nobody else writes until the transaction ends."""
    await connection.execute(LOCK)
    row: bytes = (uuid and await connection.fetchval(ONE, uuid)) or _raise_not_found()
    members = from_json(row)
    if members["isSystem"]:
        raise Forbidden(
            f"{members['id']!r} ships with the service and cannot be {deed}: make one of your own.",
            error="System format",
        )
    if not allows(if_match, entity_tag(row)):
        raise PreconditionFailed(
            "The format has changed since you loaded it: look at serverData, and send again with "
            "its tag.", currentVersion=members["version"], serverData=members,
        )  # fmt: skip
    return row


def _refuse_conflict(members: dict[str, Any], old: Format, new: Format, edit: FormatEdit) -> None:
    """Raise VersionConflict if others wrote since the client looked, and this edit changes it.

    What they changed is not known: formats have no change log.
    """
    version: int = members["version"]
    start = version if edit.version is None else edit.version
    if start == version or (start < version and new == old):
        return
    mine, theirs = _wire(new), _wire(old)
    conflicts = [
        {"fieldName": name, "clientVersion": edit.version, "serverVersion": version,
         "baseValue": None, "clientValue": mine[name], "serverValue": theirs[name]}
        for name in mine if mine[name] != theirs[name]
    ]  # fmt: skip
    raise VersionConflict(
        f"Nothing was saved: this format is {members['id']!r} now, at version {version}, and your "
        f"edit started from version {edit.version}. To put yours in its place, load it again, "
        "enter yours and save.", error="Version conflict", currentVersion=version,
        clientVersion=edit.version, serverData=members, conflicts=conflicts,
    )  # fmt: skip


def _wire(video: Format) -> dict[str, Any]:
    return {
        "hRes": video.width, "vRes": video.lines, "frameRate": float(rate_text(video.trade_rate)),
        "isInterlaced": video.scan == "i", "blanking": video.blanking,
    }  # fmt: skip


async def _refuse_duplicate(
    connection: DatabaseConnection, video: Format, uuid: UUID | None
) -> None:
    if await connection.fetchval(EXISTS, video.display_id, uuid):
        _raise_duplicate(video)


def _raise_duplicate(video: Format) -> NoReturn:
    raise DuplicateId(
        f"{video.display_id!r} is in the list already: choose it there.",
        error="Format already exists",
    )


def _raise_not_found() -> NoReturn:
    raise NotFound(
        "No format has that uuid: it may have been deleted. Load the list again.",
        error="Format not found",
    )
