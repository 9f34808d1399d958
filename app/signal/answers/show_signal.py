"""A show's graph with what is found out about it once: formats, problems, lit devices."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from app.signal.checks.report import DEFAULT_RULES, check
from app.signal.checks.rule_table import FlowProblem, RuleTable
from app.signal.checks.show_checks import lit_devices
from app.signal.graph.build import build
from app.signal.graph.carried import CarriedFormats
from app.signal.graph.elements import CableRun, GraphDevice, GraphNode, ShowKind


class ShowSignal:
    """One state of a show, numbered ``seq``, that may be asked for its whole life."""

    def __init__(
        self, show: Mapping[str, Any], kinds: Iterable[ShowKind], seq: int | None = None,
        table: RuleTable = DEFAULT_RULES,
    ) -> None:  # fmt: skip
        self.seq = seq
        self.graph = build(show, kinds)
        self.formats = CarriedFormats(self.graph)
        self._table = table

    @cached_property
    def problems(self) -> list[FlowProblem]:
        """Every rule that the show breaks."""
        return check(self.graph, self.formats, self._table)

    @cached_property
    def problems_at(self) -> Mapping[GraphNode | CableRun, list[FlowProblem]]:
        """The problems by the nodes and runs that they are about."""
        places: defaultdict[GraphNode | CableRun, list[FlowProblem]] = defaultdict(list)
        for problem in self.problems:
            for place in problem.at:
                places[place].append(problem)
        return places

    @cached_property
    def lit(self) -> set[GraphDevice]:
        """The devices that the signal of a source comes to."""
        return lit_devices(self.graph)
