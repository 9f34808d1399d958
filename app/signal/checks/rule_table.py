"""The rules of signal flow: codes, severities and numbers, and where these are from.

A show may set another severity or another length: ``RuleTable.changed`` returns such a table.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from app.signal.graph.elements import CableRun, GraphNode, Ref

Severity = Literal["error", "warning", "info"]
SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "info")


class FlowRule(NamedTuple):
    """A rule: how grave it is to break it, what it asks for, and who says so."""

    severity: Severity
    asks: str
    source: str


_PHYSICS: Final = "one cable carries one signal to one input"
RULES: Final[Mapping[str, FlowRule]] = {
    "INPUT_IN_USE": FlowRule("error", "An input takes exactly one live signal.", _PHYSICS),
    "OUTPUT_IN_USE": FlowRule(
        "error", "An output feeds one cable, unless it is of a network.", _PHYSICS
    ),
    "CHANNEL_IN_USE": FlowRule("error", "A channel of a snake carries one signal.", _PHYSICS),
    "CHANNEL_OUT_OF_RANGE": FlowRule(
        "error", "A snake has the channels that its model counts.", "the snake's model"
    ),
    "DELETED_DEVICE": FlowRule("error", "What a connection names is there.", "the show's rows"),
    "SAME_DIRECTION": FlowRule(
        "error", "A cable leads from an output to an input.", "the show's ports"
    ),
    "SELF_LOOP": FlowRule("error", "A cable leads to another device.", "the show's rows"),
    "CYCLE": FlowRule("error", "No signal comes back to where it was.", "the show's rows"),
    "LINK_TOO_SLOW": FlowRule(
        "error", "Both ends carry a link as fast as the format needs.",
        "SMPTE ST 259, 292, 424, 2081, 2082; HDMI 1.4 and 2.0",
    ),
    "FORMAT_MISMATCH": FlowRule(
        "error", "What arrives has the rate and the scan that is expected.",
        "60 less 60000/1001 is one frame in 16.7 seconds",
    ),
    "CONNECTOR_MISMATCH": FlowRule(
        "error", "Both ends of a cable are of one family of signal.",
        "dual-mode DisplayPort and DVI take passive adapters; all else needs a converter",
    ),
    "CABLE_TOO_LONG": FlowRule(
        "warning", "A run is no longer than its cable carries the signal.", "the table of lengths"
    ),
    "NO_REFERENCE": FlowRule(
        "warning", "What can be locked to a reference has one.", "practice of live production"
    ),
    "CAMERA_WITHOUT_CCU": FlowRule(
        "info", "A system camera has a control unit.", "practice of live production"
    ),
    "DUPLICATE_LABEL": FlowRule(
        "warning", "A label names one row of a collection.", "people call things by their labels"
    ),
    "UNUSED_SOURCE": FlowRule("info", "A source is cabled to something.", "the show's rows"),
    "DARK_SEND": FlowRule("info", "A send gets the signal of a source.", "the show's rows"),
}  # fmt: skip
"""Every rule, by the stable code that its problems have."""


class CableLimit(NamedTuple):
    """How far a cable carries a signal, and who says so. Limits of several sources disagree."""

    metres: float
    source: str


_BELDEN: Final = "Belden's recommended distances for 1694A"
_PASSIVE: Final = "practice: passive copper that is certain to work; HDMI names no length"
CABLE_LIMITS: Final[Mapping[str, CableLimit]] = {
    "SDI 270M": CableLimit(113, f"{_BELDEN}, those of 1.5G: none is shorter"),
    "SDI 1.5G": CableLimit(113, _BELDEN),
    "SDI 3G": CableLimit(78, _BELDEN),
    "SDI 6G": CableLimit(78, f"{_BELDEN}, those of 3G: 6G carries 50 to 80 m"),
    "SDI 12G": CableLimit(80, "makers of 12G equipment name 50 to 80 m of 1694A"),
    "SDI 24G": CableLimit(80, "as 12G"),
    "HDMI 1080p": CableLimit(15, _PASSIVE),
    "HDMI 4K30": CableLimit(5, _PASSIVE),
    "HDMI 4K60": CableLimit(3, _PASSIVE),
    "DP": CableLimit(3, "VESA: passive cables are certified up to 3 m at most rates"),
    "HDBASET": CableLimit(100, "HDBaseT Alliance: 100 m of Cat6A; 4K on Cat5e and 6 only 70 m"),
    "FIBRE": CableLimit(10_000, "singlemode; OM3 and OM4 carry 300 to 400 m"),
    "CAMERA": CableLimit(2_000, "SMPTE 311M at the makers' limit, which the camera's power sets"),
}
"""Metres, by the family of the signal and, where it matters, by link or raster."""


@dataclass(frozen=True)
class FlowProblem:
    """A rule that a show breaks. ``at`` are the nodes and runs that it is about."""

    code: str
    severity: Severity
    where: tuple[Ref, ...]
    why: str
    todo: str
    at: frozenset[GraphNode | CableRun] = frozenset()

    def members(self) -> dict[str, Any]:
        """Return the members that answers have."""
        where = [ref.members() for ref in self.where]
        return {
            "code": self.code, "severity": self.severity, "where": where, "why": self.why,
            "todo": self.todo,
        }  # fmt: skip


@dataclass(frozen=True)
class RuleTable:
    """The severities and lengths that a show is checked with."""

    severities: Mapping[str, Severity | Literal["off"]] = field(
        default_factory=lambda: {code: rule.severity for code, rule in RULES.items()}
    )
    limits: Mapping[str, CableLimit] = field(default_factory=lambda: CABLE_LIMITS)

    def changed(
        self, severities: Mapping[str, Severity | Literal["off"]] | None = None,
        metres: Mapping[str, float] | None = None,
    ) -> "RuleTable":  # fmt: skip
        """Return a table with other values of a show. Raises KeyError for no rule and no cable."""
        for unknown in {*(severities or {})} - RULES.keys() | {
            *(metres or {})
        } - CABLE_LIMITS.keys():
            raise KeyError(unknown)
        lengths = {name: CableLimit(value, "this show") for name, value in (metres or {}).items()}
        return RuleTable({**self.severities, **(severities or {})}, {**self.limits, **lengths})

    def problems(
        self, code: str, where: Iterable[Ref], why: str, todo: str,
        at: Iterable[GraphNode | CableRun] = (), severity: Severity | None = None,
    ) -> list[FlowProblem]:  # fmt: skip
        """Return the problem of a rule in a list; an empty one where the show has it off.

        ``severity`` is for a case that is less grave than its rule.
        """
        stated = self.severities[code]
        if stated == "off":
            return []
        effective = stated if severity is None else max(stated, severity, key=SEVERITIES.index)
        places = tuple(dict.fromkeys(where))
        return [FlowProblem(code, effective, places, f"{why}.", f"{todo}.", frozenset(at))]
