"""What stands on a diagram: boxes with ports, and cables between them."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from app.rules.signal_roles import SignalRole
from app.signal.checks.rule_table import SEVERITIES, FlowProblem
from app.signal.graph.elements import Direction, Ref

ChangeMark = Literal["", "new", "changed"]


@dataclass(slots=True, eq=False)
class DiagramPort:
    """A port or a channel. One that nobody named has the label ""."""

    uuid: str | None
    collection: str
    label: str
    direction: Direction
    family: str
    format: str
    is_spare: bool
    problems: list[FlowProblem]
    change: ChangeMark = ""


@dataclass(slots=True, eq=False)
class DiagramBox:
    """A device; of a snake the channels that run the same way. ``part`` counts these from 1."""

    id: str
    ref: Ref
    role: SignalRole
    ports: list[DiagramPort]
    problems: list[FlowProblem]
    change: ChangeMark = ""
    part: int = 1
    routes: list[tuple[DiagramPort, DiagramPort]] = field(default_factory=list)

    def side(self, direction: Direction) -> list[DiagramPort]:
        """Return the ports of one side that cables use; of a snake both sides have its channels."""
        return [
            port for port in self.ports
            if not port.is_spare and port.direction in {direction, "CHANNEL"}
        ]  # fmt: skip

    @property
    def spare(self) -> list[DiagramPort]:
        """The ports that nothing is plugged into."""
        return [port for port in self.ports if port.is_spare]


class CablePart(NamedTuple):
    """A piece of a cable, from a port of one box to a port of another."""

    start_box: DiagramBox
    start: DiagramPort
    end_box: DiagramBox
    end: DiagramPort


@dataclass(slots=True, eq=False)
class DiagramCable:
    """A run in one piece, or in several where it rides channels. ``rows`` state it."""

    id: str
    rows: list[Ref]
    parts: list[CablePart]
    family: str
    format: str
    metres: float | None
    problems: list[FlowProblem]
    change: ChangeMark = ""
    is_stated_by_path: bool = False

    @property
    def label(self) -> str:
        """Return what the connections are called that state it; "" where none does."""
        return ", ".join(ref.label for ref in self.rows) if self.is_stated_by_path else ""


class DiagramTitle(NamedTuple):
    """What the paper is: the show, its change number and date, and what of it is drawn."""

    show: str
    seq: int | None
    date: str
    about: str = ""


class DiagramChange(NamedTuple):
    """What became of a row since an earlier change number."""

    collection: str
    label: str
    is_new: bool
    is_deleted: bool


@dataclass(slots=True)
class ShowDiagram:
    """All that stands on one paper. ``counts`` are the problems of what is drawn."""

    title: DiagramTitle
    boxes: list[DiagramBox]
    cables: list[DiagramCable]
    problems: list[FlowProblem]
    deleted: list[DiagramChange]

    @property
    def counts(self) -> dict[str, int]:
        """Return how many problems there are, by severity."""
        severities = [problem.severity for problem in self.problems]
        return {severity: severities.count(severity) for severity in SEVERITIES}


def gravest(problems: list[FlowProblem]) -> str:
    """Return the gravest severity of some problems; "" of none."""
    severities = {problem.severity for problem in problems}
    return next((severity for severity in SEVERITIES if severity in severities), "")


def codes(problems: list[FlowProblem]) -> list[tuple[str, str]]:
    """Return the codes of some problems, each once and the gravest first, with its severity."""
    ordered = sorted(problems, key=lambda problem: SEVERITIES.index(problem.severity))
    return list({problem.code: (problem.code, problem.severity) for problem in ordered}.values())
