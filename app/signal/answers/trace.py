"""A trace: every hop of each way of a signal, what is wrong on it, and why in two sentences."""

from collections.abc import Iterator
from typing import Any, Literal

from app.signal.answers.show_signal import ShowSignal
from app.signal.answers.things import SignalThing
from app.signal.answers.walks import Walk, walks
from app.signal.answers.why import why
from app.signal.checks.rule_table import FlowProblem
from app.signal.graph.elements import CableRun, GraphEdge, GraphNode, Ref
from app.signal.graph.snakes import length_in_metres

TraceDirection = Literal["upstream", "downstream"]
Hop = dict[str, Any]


def trace(signal: ShowSignal, thing: SignalThing, direction: TraceDirection) -> dict[str, Any]:
    """Return the ways that a signal comes to a thing, or goes from it."""
    upstream = direction == "upstream"
    ways = walks(signal.graph, thing, upstream=upstream)
    problems = [_problems(signal, walk, upstream=upstream) for walk in ways]
    return {
        "start": thing.ref.members(),
        "direction": direction,
        "seq": signal.seq,
        "paths": [
            {
                "hops": list(_hops(signal, walk)),
                "end": walk.end,
                "format": _format(signal, walk.nodes[0 if upstream else -1]),
                "problems": [problem.members() for problem in broken],
            }
            for walk, broken in zip(ways, problems, strict=True)
        ],
        "why": why(thing, list(zip(ways, problems, strict=True)), upstream=upstream),
    }


def _problems(signal: ShowSignal, walk: Walk, *, upstream: bool) -> list[FlowProblem]:
    """Return the problems on a way, those next to the source first."""
    places: list[GraphNode | CableRun] = [walk.nodes[0]]
    for node, step in zip(walk.nodes[1:], walk.steps, strict=True):
        places += [step.run, node] if step and step.run else [node]
    ordered = reversed(places) if upstream else iter(places)
    broken = (problem for place in ordered for problem in signal.problems_at.get(place, ()))
    return list(dict.fromkeys(broken))


def _hops(signal: ShowSignal, walk: Walk) -> Iterator[Hop]:
    first, *others = walk.nodes
    if first.direction == "CHANNEL":
        yield _channel_hop(signal, first)
    else:
        yield _hop("device", first.device.ref)
        yield _port_hop(signal, first)
    for node, step in zip(others, walk.steps, strict=True):
        if step is not None and step.run is not None:
            yield _cable_hop(step, step.run)
        if node.direction == "CHANNEL":
            yield _channel_hop(signal, node)
        elif step is not None and step.run is not None:
            yield _port_hop(signal, node)
            yield _hop("device", node.device.ref)
        else:
            if step is not None:
                yield _hop("route", step.statements[0], ports=[step.start.label, step.end.label])
            yield _port_hop(signal, node)


def _hop(kind: str, ref: Ref, **more: Any) -> Hop:
    return {"kind": kind, **ref.members(), **more}


def _port_hop(signal: ShowSignal, node: GraphNode) -> Hop:
    label = node.label or None
    where = node.ref.members()
    return {
        "kind": "port", **where, "label": label, "direction": node.direction,
        "format": _format(signal, node),
    }  # fmt: skip


def _channel_hop(signal: ShowSignal, node: GraphNode) -> Hop:
    length = length_in_metres(node.device)
    ref = node.ref._replace(label=node.words, name=node.device.ref.label)
    return _hop(
        "channel", ref, number=int(node.label) if node.label else None, length=_rounded(length),
        lengthUnit="m", format=_format(signal, node),
    )  # fmt: skip


def _cable_hop(step: GraphEdge, run: CableRun) -> Hop:
    """Return a cable. The length of a run that rides channels is that of the whole run."""
    return _hop(
        "cable", step.statements[0], length=_rounded(run.metres), lengthUnit="m",
        statedBy=[ref.members() for ref in run.statements],
    )  # fmt: skip


def _rounded(metres: float | None) -> float | None:
    return None if metres is None else round(metres, 2)


def _format(signal: ShowSignal, node: GraphNode) -> str | None:
    stated = signal.formats.at(node)
    return stated.words if stated else None
