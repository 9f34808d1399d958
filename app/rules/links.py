"""What connectors carry and how fast: the tables that the catalogue is checked by. Pure.

Link classes of SDI are those of SMPTE ST 259 (270M), 292 (1.5G), 424 (3G), 2081 (6G) and 2082 (12G,
and 24G in ST 2083). HDMI 1.4 has a pixel clock of up to 340 MHz, 2.0 of up to 600 MHz.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from app.rules.formats import USUAL_WIDTHS, Format

_COAX: Final = ("SDI", "REFERENCE", "COMPOSITE")
CARRIES: Final[Mapping[str, Sequence[str]]] = {
    "BNC": _COAX, "MINI_BNC": _COAX, "DIN": _COAX,
    "HDMI": ("HDMI",), "MINI_HDMI": ("HDMI",), "MICRO_HDMI": ("HDMI",),
    "DP": ("DP",), "MINI_DP": ("DP",), "USB_C": ("DP", "HDMI", "IP"),
    "DVI": ("DVI",), "VGA": ("VGA",),
    "SFP": ("SDI", "IP", "FIBRE", "LED", "HDMI"), "QSFP": ("IP", "FIBRE", "LED"),
    "RJ45": ("IP", "HDBASET", "LED", "REFERENCE"), "ETHERCON": ("IP", "HDBASET", "LED"),
    "LC": ("FIBRE", "IP", "SDI", "LED", "CAMERA"), "OPTICALCON": ("FIBRE", "IP", "LED", "CAMERA"),
    "SMPTE_304": ("CAMERA",), "TRIAX": ("CAMERA",), "MULTICORE_26": ("CAMERA",),
}  # fmt: skip
"""The families of signal that a connector is used for."""

_NETWORK: Final = ("1G", "2.5G", "5G", "10G", "25G", "100G")
LINKS: Final[Mapping[str, Sequence[str]]] = {
    "SDI": ("270M", "1.5G", "3G", "6G", "12G", "24G"), "HDMI": ("1.3", "1.4", "2.0", "2.1"),
    "DP": ("1.1", "1.2", "1.3", "1.4", "2.0"), "IP": _NETWORK, "LED": _NETWORK,
}  # fmt: skip
"""The links of a family, the slowest first; a family without any has one speed."""

FASTEST: Final[Mapping[tuple[str, str], str]] = {
    ("BNC", "SDI"): "12G", ("MINI_BNC", "SDI"): "12G", ("DIN", "SDI"): "12G",
    ("RJ45", "IP"): "10G", ("ETHERCON", "IP"): "10G", ("RJ45", "LED"): "10G",
    ("ETHERCON", "LED"): "10G", ("SFP", "IP"): "25G", ("SFP", "SDI"): "12G",
}  # fmt: skip
"""The fastest link that a connector carries. One socket of 24G SDI is not built."""


def link_for(family: str, most: Format) -> str | None:
    """Return the slowest link of a family that carries a format; None where none is known."""
    if family == "SDI":
        return _sdi(most.lines, float(most.rate), is_progressive=most.scan == "p")
    if family == "HDMI":
        return _hdmi(most.width or USUAL_WIDTHS[most.lines], most.lines, float(most.rate))
    return None


def _sdi(lines: int, rate: float, *, is_progressive: bool) -> str:
    """Return the class: a picture of more whole frames than usual needs the next one."""
    if lines <= 576:
        return "270M"
    if lines <= 720:
        return "3G" if rate > 60 else "1.5G"
    is_doubled = is_progressive and rate > 30
    if lines <= 1200:
        return "3G" if is_doubled else "1.5G"
    if lines <= 2160:
        return "12G" if is_doubled else "6G"
    return "24G"


def _hdmi(width: int, lines: int, rate: float) -> str:
    """Return the version whose pixel clock is fast enough, with a tenth for reduced blanking."""
    clock = width * lines * rate * 1.1 / 1e6
    if clock <= 340:
        return "1.3" if lines <= 1600 else "1.4"
    return "2.0" if clock <= 600 else "2.1"
