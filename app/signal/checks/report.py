"""All rules over a whole show."""

from collections import Counter
from typing import Any, Final

from app.signal.checks.rule_table import SEVERITIES, FlowProblem, RuleTable
from app.signal.checks.run_checks import run_problems
from app.signal.checks.show_checks import show_problems
from app.signal.checks.wiring_checks import wiring_problems
from app.signal.graph.carried import CarriedFormats
from app.signal.graph.flow_graph import FlowGraph

DEFAULT_RULES: Final = RuleTable()


def check(
    graph: FlowGraph, formats: CarriedFormats, table: RuleTable = DEFAULT_RULES
) -> list[FlowProblem]:
    """Return each rule that a show breaks, the gravest first, then in the order of the rows."""
    problems = [
        *wiring_problems(graph, table),
        *run_problems(graph, formats, table),
        *show_problems(graph, table),
    ]
    return sorted(problems, key=lambda problem: SEVERITIES.index(problem.severity))


def report(problems: list[FlowProblem], seq: int | None) -> dict[str, Any]:
    """Return the answer of the checks; a show without errors is ready."""
    counts = Counter(problem.severity for problem in problems)
    return {
        "seq": seq,
        "ready": not counts["error"],
        "counts": {**{severity: counts[severity] for severity in SEVERITIES}, "waived": 0},
        "problems": [problem.members() for problem in problems],
    }
