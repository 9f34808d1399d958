"""What answers about the signal flow look like."""

from typing import Literal

from app.api.openapi import AnswerModel
from app.signal.answers.trace import TraceDirection
from app.signal.answers.walks import WalkEnd
from app.signal.checks.rule_table import Severity


class SignalRef(AnswerModel):
    """A thing of the show. What is only typed by hand has no uuid."""

    collection: str
    """The collection of its row; empty where it has none."""
    uuid: str | None
    """The uuid of its row."""
    label: str
    """What people call it: "CAM 3", "SNAKE 2 channel 7"."""
    name: str | None
    """What it is, or of a port the device that has it."""


class BrokenRule(AnswerModel):
    """A rule of the signal flow that the show breaks."""

    code: str
    """The stable code of the rule: "INPUT_IN_USE"."""
    severity: Severity
    """How grave it is. A show with an error is not ready."""
    where: list[SignalRef]
    """What it is about: ports, devices and connections."""
    why: str
    """What is wrong, in one sentence."""
    todo: str
    """What to do about it."""


class SignalHop(AnswerModel):
    """One thing on the way of a signal."""

    kind: Literal["device", "port", "cable", "channel", "route"]
    """What it is. A route is a way inside a device."""
    collection: str
    """The collection of the row that is it, or that states it."""
    uuid: str | None
    """The uuid of that row."""
    label: str | None
    """What people call it; null for a port that nobody named."""
    name: str | None
    """What it is, or of a port the device that has it."""
    direction: str | None = None
    """Of a port: INPUT or OUTPUT."""
    format: str | None = None
    """Of a port or a channel: the format of the signal there, where rows say it."""
    number: int | None = None
    """Of a channel: its number; null where nobody says it."""
    length: float | None = None
    """Of a cable or a channel: its length; null where nobody says it."""
    lengthUnit: Literal["m"] | None = None
    """The unit of the length: metres."""
    statedBy: list[SignalRef] | None = None
    """Of a cable: all rows that state it."""
    ports: list[str] | None = None
    """Of a route: the labels of the port where it begins, and of the one where it ends."""


class SignalPath(AnswerModel):
    """One way of a signal, in the order in which it was asked for."""

    hops: list[SignalHop]
    """Each thing on the way."""
    end: WalkEnd
    """Whether it ends at a source or a send, at nothing, or at a port that it met before."""
    format: str | None
    """The format that arrives, where rows say it."""
    problems: list[BrokenRule]
    """The rules that are broken on the way, those next to the source first."""


class SignalTrace(AnswerModel):
    """The ways of a signal to a thing or from it, at most 200: one for each way that it splits."""

    start: SignalRef
    """What was asked about."""
    direction: TraceDirection
    """Whether the ways lead to the sources or to the sends."""
    seq: int | None
    """The change number of the show that it is about; null while it has none."""
    paths: list[SignalPath]
    """The ways."""
    why: str
    """The answer in two sentences."""


class SignalImpact(AnswerModel):
    """What happens to sends when things are unplugged."""

    of: list[SignalRef]
    """What is unplugged."""
    dark: list[SignalRef]
    """The sends that lose every signal."""
    secondPath: list[SignalRef]
    """The sends that lose a signal and have another one."""
    cameras: list[SignalRef]
    """The cameras whose signal goes by what is unplugged."""
    assumed: list[str]
    """What the answer takes for granted."""
    seq: int | None
    """The change number of the show that it is about; null while it has none."""


class RuleCounts(AnswerModel):
    """How many rules are broken, by how grave that is."""

    error: int
    """How many errors."""
    warning: int
    """How many warnings."""
    info: int
    """How many remarks."""
    waived: int
    """How many are waived."""


class SignalChecks(AnswerModel):
    """All rules of the signal flow over a whole show."""

    seq: int | None
    """The change number of the show that it is about; null while it has none."""
    ready: bool
    """Whether there is no error."""
    counts: RuleCounts
    """How many rules are broken in the whole show, whatever the filter."""
    problems: list[BrokenRule]
    """The broken rules, the gravest first."""
