"""Video formats, read from how people write them and printed in one spelling. Pure.

A format is named by its lines ("1080p59.94") or by its raster ("1920x1080@59.94"). Its rate is an
exact number of frames per second: 59.94 is 60000/1001.

Of an interlaced format the trade counts fields per second, the EBU frames (Tech 3299: "1080i/25").
The number tells the two apart, not the slash, which both use. Below 40 it counts frames: broadcast
has 24 to 30 of them. From 40 on it counts fields: broadcast has 48 to 60 of them, and the faster
formats of CTA-861 ("1080i100") are named by fields only. So "1080i25", "1080i/25", "1080i50" and
"1080i/50" are one format of 25 frames per second. It is printed in fields: "1080i50". Segmented
frames (psf) always count frames.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import floor
from typing import Final, Literal

Scan = Literal["p", "i", "psf"]
"""Progressive, interlaced, or progressive in segmented frames."""
Blanking = Literal["NONE", "RBv1", "RBv2", "RBv3"]
"""Reduced blanking: VESA CVT 1.1, 1.2 and 2.0 define the versions 1, 2 and 3."""
Family = Literal["59.94", "60", "50"]

USUAL_WIDTHS: Final = {
    480: 720, 486: 720, 576: 720, 720: 1280, 1080: 1920, 1440: 2560, 2160: 3840, 4320: 7680,
}  # fmt: skip
"""Pixels a line of the formats that their lines name: ITU-R BT.601, SMPTE ST 296, 274 and 2036-1;
1440 is of computers."""
MOST_PIXELS: Final = 32_768
"""Of a width or a height."""
LONGEST: Final = 64
"""Characters of a text that is read at all."""
_QUOTED: Final = 40
"""Characters of a text that a message repeats."""

# Rates of SMPTE ST 274 and 2036-1, and the higher ones of CTA-861 and of computers.
_WHOLE: Final = (24, 25, 30, 48, 50, 60, 72, 96, 100, 120, 144, 240)
# Each that film or the 60 Hz countries use also runs 1.001 times slower.
_SLOWER: Final = tuple(Fraction(n * 1000, 1001) for n in _WHOLE if n not in (25, 50, 100))
TRADE_RATES: Final = frozenset((*map(Fraction, _WHOLE), *_SLOWER))
"""Frames per second of all formats but progressive rasters, which may have any rate."""
# CTA-861 interlaces up to 120 fields per second; SMPTE ST 274 segments up to 30 frames.
_MOST_FRAMES: Final[dict[Scan, int]] = {"p": 999, "i": 60, "psf": 30}
_LEAST_FIELDS: Final = 40
"""Per second: a smaller number of an interlaced format counts frames."""
_FAMILIES: Final[dict[Family, frozenset[Fraction]]] = {
    "59.94": frozenset(Fraction(n * 1000, 1001) for n in (24, 30, 60, 120)),
    "60": frozenset(map(Fraction, (24, 30, 60, 120))),
    "50": frozenset(map(Fraction, (25, 50, 100))),
}
_TOO_FAST: Final = 1_000
"""No rate is as high."""
_MOST_PLACES: Final = 3
"""Decimals of a rate that is kept as written."""

# Every repetition is bounded, so that reading takes no longer for a hostile text.
_NUMBER: Final = r"[0-9]{4,6}/1001|[0-9]{1,3}(?:\.[0-9]{1,15})?"
_RATE: Final = re.compile(_NUMBER)
_FORMAT: Final = re.compile(
    rf"""
    (?:(?P<width>[0-9]{{1,5}})[ ]?[x\u00d7][ ]?)?(?P<lines>[0-9]{{1,5}})
    (?:[ ]?(?P<before>psf|p|i))?
    (?:
        (?:(?<=[a-z])|[ ]?[@/][ ]?|[ ])(?P<rate>{_NUMBER})
        (?:[ ]?(?:hz|fps))?
        (?:[ ]?(?P<after>psf|p|i))?
    )?
    (?:[ ]?(?:cvt[ -]?)?(?P<blanking>rb)[ ]?v?(?P<version>[123])?)?
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Format:
    """A video format; ValueError says why one cannot be.

    ``width`` and ``lines`` are pixels. The width is None where the lines name the format. ``rate``
    is in frames per second, also of an interlaced format.
    """

    width: int | None
    lines: int
    scan: Scan
    rate: Fraction
    blanking: Blanking = "NONE"

    def __post_init__(self) -> None:
        _check_raster(self.width, self.lines)
        self._check_rate()

    def _check_rate(self) -> None:
        """Raise ValueError for a rate that this scan does not have, or that no text can carry."""
        most = _MOST_FRAMES[self.scan]
        if not 1 <= self.rate <= most:
            raise ValueError(f"{self.scan} has 1 to {most} frames per second")
        if self.rate in TRADE_RATES:
            return
        number = rate_text(self.trade_rate)
        if self.width is None or self.scan != "p":
            unit = "fields" if self.scan == "i" else "frames"
            raise ValueError(
                f"{number} {unit} per second are not usual; only a progressive raster may have "
                "any rate"
            )
        if _read_rate(number) != self.rate:
            raise ValueError(f"{self.rate} per second would be read back as {_read_rate(number)}")

    @property
    def trade_rate(self) -> Fraction:
        """Return the rate as the trade counts it: fields per second if interlaced, else frames."""
        return self.rate * 2 if self.scan == "i" else self.rate

    @property
    def trade_name(self) -> str:
        """Return the canonical spelling, which ``parse_format`` reads back as the same format.

        It is "1080i59.94" or "1920x1080@59.94i", with " RBv1" behind it for reduced blanking.
        """
        rate = rate_text(self.trade_rate)
        if self.width is None:
            return f"{self.lines}{self.scan}{rate}{self._blanking_suffix}"
        return f"{self.width}x{self.lines}@{rate}{self._scan_suffix}{self._blanking_suffix}"

    @property
    def display_id(self) -> str:
        """Return the spelling of pages, "1920 x 1080 @ 59.94i"; an unnamed width is the usual."""
        width = USUAL_WIDTHS[self.lines] if self.width is None else self.width
        rate = rate_text(self.trade_rate)
        return f"{width} x {self.lines} @ {rate}{self._scan_suffix}{self._blanking_suffix}"

    @property
    def _scan_suffix(self) -> str:
        return "" if self.scan == "p" else self.scan

    @property
    def _blanking_suffix(self) -> str:
        return "" if self.blanking == "NONE" else f" {self.blanking}"


@lru_cache(maxsize=256)
def parse_format(text: str) -> Format:
    """Read a format in any usual spelling; raise ValueError with what is wrong and an example.

    >>> parse_format("1080i59.94") == parse_format("1080 I / 29.97")
    True
    >>> parse_format("1920 x 1080 @ 60 Hz").trade_name
    '1920x1080@60'
    """
    try:
        return _read(text)
    except ValueError as error:
        example = "1080p59.94, 1080i59.94 or 1920x1080@60"
        raise ValueError(
            f"{_quote(text)} is no video format: {error}; write, for example, {example}"
        ) from None


def raster_format(
    width: int, lines: int, rate: Fraction, scan: Scan, blanking: Blanking = "NONE"
) -> Format:
    """Return the format of a raster, whose rate may count fields or frames; see the module.

    ``parse_format`` reads its ``display_id`` back as the same format. Raises ValueError.

    >>> raster_format(1920, 1080, parse_rate("59.94"), "i").display_id
    '1920 x 1080 @ 59.94i'
    """
    return Format(width, lines, scan, _frames(rate, scan), blanking)


def parse_rate(text: str) -> Fraction:
    """Read a number per second exactly; raise ValueError with what is wrong and an example.

    A decimal that cuts or rounds a rate over 1.001 stands for it: 23.98, 23.976 and 23.97 are all
    24000/1001. Any other is kept as it is written.
    """
    try:
        return _read_rate(text.strip())
    except ValueError as error:
        raise ValueError(
            f"{_quote(text)} is no rate: {error}; write, for example, 59.94 or 60"
        ) from None


def rate_of_json(value: str | float) -> Fraction:
    """Read a rate that was sent as a number or as text, as ``parse_rate`` does."""
    if isinstance(value, str):
        return parse_rate(value)
    return parse_rate(str(value) if abs(value) < _TOO_FAST else f"{_TOO_FAST} or more")


def rate_text(rate: Fraction) -> str:
    """Return a number per second in decimals: two of a rate over 1.001, else up to three.

    >>> rate_text(Fraction(24000, 1001))
    '23.98'
    """
    places = 2 if rate.denominator % 1001 == 0 else _MOST_PLACES
    return f"{float(rate):.{places}f}".rstrip("0").rstrip(".")


def family(rate: Fraction) -> Family | None:
    """Return the family of a rate in frames per second, None for a rate that is in none.

    Rates of one family fit by repeating or dropping whole frames in a fixed pattern. Between
    59.94 and 60 a frame slips about every 16.7 seconds.
    """
    return next((name for name, rates in _FAMILIES.items() if rate in rates), None)


def same_rate(one: Format, other: Format) -> bool:
    """Return whether two formats have exactly as many frames per second, however they scan.

    1080i59.94 has as many as 1080p29.97, and half as many as 1080p59.94.
    """
    return one.rate == other.rate


def _quote(text: str) -> str:
    return f"“{text if len(text) <= _QUOTED else f'{text[:_QUOTED]}…'}”"


def _read(text: str) -> Format:
    if len(text) > LONGEST:
        raise ValueError(f"it has more than {LONGEST} characters")
    match = _FORMAT.fullmatch(" ".join(text.lower().split()))
    if match is None:
        raise ValueError("it is neither lines, scan and rate nor a raster and a rate")
    if match["rate"] is None:
        raise ValueError("it has no rate")
    width, rate = int(match["width"]) if match["width"] else None, _read_rate(match["rate"])
    scan = _scan(match["before"], match["after"], "" if width is None else "p")
    return Format(width, int(match["lines"]), scan, _frames(rate, scan), _blanking(match))


def _frames(rate: Fraction, scan: Scan) -> Fraction:
    """Return the frames per second of a rate that may count fields."""
    return rate / 2 if scan == "i" and rate >= _LEAST_FIELDS else rate


def _scan(before: str | None, after: str | None, default: str) -> Scan:
    """Return the scan, which stands before or after the rate, or is the default of rasters."""
    if before and after:
        raise ValueError("it names its scan twice")
    match before or after or default:
        case "p" | "i" | "psf" as scan:
            return scan
        case _:
            raise ValueError("it says neither p, i nor psf")


def _blanking(match: re.Match[str]) -> Blanking:
    """Return the blanking; "RB" without a version is the first."""
    if match["blanking"] is None:
        return "NONE"
    versions: dict[str | None, Blanking] = {"2": "RBv2", "3": "RBv3"}
    return versions.get(match["version"], "RBv1")


def _read_rate(text: str) -> Fraction:
    if len(text) > LONGEST or not _RATE.fullmatch(text):
        raise ValueError("it is no number below 1000")
    rate = Fraction(text)
    if places := len(text.partition(".")[2].rstrip("0")):
        rate = next((exact for exact in _SLOWER if _stands_for(rate, exact, places)), rate)
    if rate in TRADE_RATES:
        return rate
    if "/" in text or places > _MOST_PLACES:
        raise ValueError(f"{text} is not usual, and has more than {_MOST_PLACES} decimals")
    if rate < 1:
        raise ValueError(f"{text} is less than one per second")
    return rate


def _stands_for(decimal: Fraction, exact: Fraction, places: int) -> bool:
    """Return whether a decimal is a rate, cut or rounded; the first six places decide."""
    scale = 10 ** min(places, 6)
    return floor(decimal * scale) in {floor(exact * scale), round(exact * scale)}


def _check_raster(width: int | None, lines: int) -> None:
    if width is None and lines not in USUAL_WIDTHS:
        raise ValueError(f"{lines} lines name no format, so its width is needed")
    for pixels, side in ((width, "wide"), (lines, "high")):
        if pixels is not None and not 1 <= pixels <= MOST_PIXELS:
            raise ValueError(f"it is {pixels} pixels {side}, which is not 1 to {MOST_PIXELS}")
