"""The formats that ship with the service: what broadcast and computers usually have.

Their uuids follow from their ids, so they are the same in every installation.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final
from uuid import UUID, uuid5

from app.database.database import DatabaseConnection
from app.installation.formats import FormatRow
from app.rules.formats import USUAL_WIDTHS, Format, parse_format
from app.sql.registry import INSTALLATION, statement

_NAMESPACE: Final = UUID("5b1f0d0c-6f1e-5a43-9d0b-2f3c7a9e4d10")
"""Of their uuids; it must never change."""
_FILM: Final = ("23.98", "24", "25", "29.97", "30")
_ALL: Final = (*_FILM, "50", "59.94", "60")
# SMPTE ST 125 and ITU-R BT.601; the fields of SD, and what players and scalers make of them.
_STANDARD: Final = ("480i59.94", "486i59.94", "576i50", "480p59.94", "576p50")
_BROADCAST: Final[dict[str, tuple[str, ...]]] = {
    "720p": _ALL, "1080p": _ALL, "1080psf": _FILM, "1080i": ("50", "59.94", "60"), "2160p": _ALL,
}  # fmt: skip
"""Rates by lines and scan: SMPTE ST 296, 274, 2036-1 and RP 211."""
_CINEMA: Final = ("23.98", "24", "25", "29.97", "30", "47.95", "48", "50", "59.94", "60")
"""Rates of 4096 x 2160: SMPTE ST 2048-1."""
_COMPUTER: Final[dict[str, tuple[str, ...]]] = {
    "1024x768": ("60",),
    "1280x720": ("60",),
    "1280x800": ("60", "60 RBv1"),
    "1280x1024": ("60",),
    "1366x768": ("60", "60 RBv1"),
    "1440x900": ("60", "60 RBv1"),
    "1600x900": ("60", "60 RBv1"),
    "1600x1200": ("60",),
    "1680x1050": ("60", "60 RBv1"),
    "1920x1080": ("60", "60 RBv1"),
    "1920x1200": ("59.94", "60", "60 RBv1"),
    "2560x1080": ("60", "60 RBv1"),
    "2560x1440": ("59.94", "60", "60 RBv1"),
    "2560x1600": ("60", "60 RBv1"),
    "3440x1440": ("60", "60 RBv1"),
    "3840x1080": ("59.94", "60", "60 RBv1"),
    "3840x2160": ("60", "60 RBv1", "60 RBv2"),
    "3840x2400": ("60 RBv1", "60 RBv2"),
    "4096x2160": ("59.94 RBv2", "60 RBv2"),
}
"""Rates and blankings by raster: VESA DMT 1.13 and CVT, as graphics cards and scalers offer them.

Without reduced blanking 3840 x 2400 fits no link of one cable that events use. Nothing offers RBv3
by itself yet.
"""


def _texts() -> Iterator[str]:
    yield from _STANDARD
    for name, rates in _BROADCAST.items():
        yield from (f"{name}{rate}" for rate in rates)
    yield from (f"4096x2160@{rate}" for rate in _CINEMA)
    yield from chain.from_iterable(
        (f"{raster}@{rate}" for rate in rates) for raster, rates in _COMPUTER.items()
    )


def _with_widths(formats: Iterable[Format]) -> Iterator[Format]:
    """Yield each format as a raster: "1080p60" and "1920x1080@60" are one."""
    for each in formats:
        width = each.width or USUAL_WIDTHS[each.lines]
        yield Format(width, each.lines, each.scan, each.rate, each.blanking)


SYSTEM_FORMATS: Final = tuple(dict.fromkeys(_with_widths(map(parse_format, _texts()))))

# Add the formats that $1 … $8 list, column by column, but those that are there: by their uuid, even
# deleted by an operator's hand, or by their id.
ADD: Final = statement(
    "INSERT INTO formats (uuid, id, h_res, v_res, rate_numerator, rate_denominator, is_interlaced, "
    "blanking, is_system) SELECT shipped.*, true FROM unnest($1::uuid[], $2::text[], $3::int[], "
    "$4::int[], $5::int[], $6::int[], $7::boolean[], $8::text[]) AS shipped ON CONFLICT DO NOTHING "
    "RETURNING id",
    INSTALLATION,
)
# A format that users had made before it shipped becomes one of the system: its uuid stays.
ADOPT: Final = statement(
    "UPDATE formats SET is_system = true, version = version + 1, updated_at = statement_timestamp()"
    " WHERE id = ANY($1::text[]) AND NOT is_deleted AND NOT is_system",
    INSTALLATION,
)


def system_uuid(video: Format) -> UUID:
    """Return the uuid of a system format."""
    return uuid5(_NAMESPACE, video.display_id)


async def load_system_formats(connection: DatabaseConnection) -> str | None:
    """Add the system formats that are missing; all else stays as it is. May be called again.

    Return what was done, in words; None where nothing was.
    """
    rows = [(system_uuid(video), *FormatRow.of(video)) for video in SYSTEM_FORMATS]
    added = await connection.fetch(ADD, *map(list, zip(*rows, strict=True)))
    await connection.execute(ADOPT, [video.display_id for video in SYSTEM_FORMATS])
    return f"{len(added)} formats added" if added else None
