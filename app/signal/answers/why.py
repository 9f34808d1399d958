"""The answer to "why is this screen black?", in two sentences that a stagehand understands."""

from collections.abc import Sequence
from typing import Final

from app.signal.answers.things import SignalThing
from app.signal.answers.walks import MOST_WALKS, Walk
from app.signal.checks.rule_table import FlowProblem
from app.signal.graph.elements import GraphNode

_MOST_NAMES: Final = 5
_STOPPING: Final = frozenset({"DELETED_DEVICE", "SAME_DIRECTION", "SELF_LOOP", "CYCLE"})
"""Codes of what lets no signal through."""


Finding = tuple[Walk, list[FlowProblem]]


def why(thing: SignalThing, findings: Sequence[Finding], *, upstream: bool) -> str:
    """Return what the ways say, with the first cause only."""
    label = thing.words
    if not findings:
        words = "is black because nothing feeds it" if upstream else "reaches nothing"
        return f"{label} {words}. Patch a cable to it."
    arriving = "source" if upstream else "send"
    walk, problems = next((one for one in findings if one[0].end == arriving), findings[0])
    sentence = _upstream(thing, walk) if upstream else _downstream(label, walk, findings)
    cause = next((problem for problem in problems if _is_cause(problem, walk, arriving)), None)
    if cause is not None:
        return f"{sentence} {cause.why}"
    if walk.end != arriving:
        return f"{sentence} {_todo(walk, upstream=upstream)}"
    if len(findings) == MOST_WALKS:
        return f"{sentence} There are more ways than the first {MOST_WALKS}."
    return f"{sentence} Nothing on the way breaks a rule."


def _is_cause(problem: FlowProblem, walk: Walk, arriving: str) -> bool:
    """Return whether a problem says why: where no signal is, only what stops one."""
    return problem.severity != "info" and (walk.end == arriving or problem.code in _STOPPING)


def _upstream(thing: SignalThing, walk: Walk) -> str:
    label, shows = thing.words, "carries" if thing.is_path else "shows"
    origin = walk.nodes[-1].device.ref.label
    if walk.end == "source":
        if origin == label:
            return f"{label} is a source."
        through = _through(walk.nodes[1:], {label, origin})
        return f"{label} {shows} {origin}{f' through {through}' if through else ''}."
    words = walk.nodes[-1].words
    if walk.end == "loop":
        return f"{label} is black because its signal runs in a circle at {words}."
    return f"{label} is black because nothing feeds {words}."


def _downstream(label: str, walk: Walk, findings: Sequence[Finding]) -> str:
    ends = [each.nodes[-1].device.ref.label for each, _ in findings if each.end == "send"]
    sends = list(dict.fromkeys(ends))
    if sends == [label]:
        return f"{label} is where its signal ends."
    if sends:
        more = f" and {len(sends) - _MOST_NAMES} more" if len(sends) > _MOST_NAMES else ""
        return f"{label} reaches {', '.join(sends[:_MOST_NAMES])}{more}."
    words = walk.nodes[-1].words
    if walk.end == "loop":
        return f"{label} reaches no send: its signal runs in a circle at {words}."
    return f"{label} reaches no send: its signal stops at {words}."


def _through(nodes: Sequence[GraphNode], ends: set[str]) -> str:
    """Return what is between, from the source on: channels, and the inputs of devices."""
    between = [
        node.words for node in reversed(nodes)
        if node.direction != "OUTPUT" and node.device.ref.label not in ends
    ]  # fmt: skip
    return ", ".join(dict.fromkeys(between[:_MOST_NAMES]))


def _todo(walk: Walk, *, upstream: bool) -> str:
    words = walk.nodes[-1].words
    if walk.end == "loop":
        return "Take one cable of the circle out."
    return f"Patch a source to {words}." if upstream else f"Patch {words} to a send."
