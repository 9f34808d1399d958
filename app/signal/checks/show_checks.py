"""Rules about devices rather than cables: references, labels, sources and sends left alone."""

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from app.rules.labels import folded
from app.signal.checks.rule_table import FlowProblem, RuleTable
from app.signal.graph.elements import GraphDevice, Ref
from app.signal.graph.flow_graph import FlowGraph
from app.signal.graph.show_devices import is_reference

ORIGINS: Final = frozenset({"ORIGIN", "CAMERA"})
_WITHOUT_UNIT: Final = re.compile(r"\b(?:PTZ|ENG|WIRELESS|RF|ROBO|POV)", re.IGNORECASE)
"""Cameras that have no control unit."""
_TEXTS: Final = ("id", "name", "manufacturer", "model", "lensType", "note")


def show_problems(graph: FlowGraph, table: RuleTable) -> Iterator[FlowProblem]:
    """Yield what is wrong with devices."""
    yield from _labels(graph, table)
    lit = lit_devices(graph)
    for device in graph.devices.all:
        yield from _reference(graph, device, table)
        match device.role:
            case "ORIGIN" | "CAMERA":
                yield from _source(graph, device, table)
            case "SINK" if device not in lit:
                yield from table.problems(
                    "DARK_SEND", [device.ref], f"No source reaches {device.ref.label}",
                    f"Ask for its trace, and patch a source to {device.ref.label}",
                    graph.nodes_of(device),
                )  # fmt: skip


def lit_devices(graph: FlowGraph) -> set[GraphDevice]:
    """Return the devices that the signal of a source comes to."""
    starts = (
        node
        for device in graph.devices.all
        if device.role in ORIGINS
        for node in graph.nodes_of(device)
    )
    return {node.device for node in graph.reach(starts, upstream=False)}


def _labels(graph: FlowGraph, table: RuleTable) -> Iterator[FlowProblem]:
    refs: defaultdict[tuple[str, str], list[Ref]] = defaultdict(list)
    for ref in (*(one.ref for one in graph.devices.all), *(path.ref for path in graph.paths)):
        refs[ref.collection, folded(ref.label)].append(ref)
    for (collection, _), same in refs.items():
        if len(same) > 1:
            yield from table.problems(
                "DUPLICATE_LABEL", same,
                f"{len(same)} rows of {collection} are labelled {same[0].label}",
                "Give all but one of them another label",
            )  # fmt: skip


def _reference(graph: FlowGraph, device: GraphDevice, table: RuleTable) -> Iterator[FlowProblem]:
    ports = [
        port for port in graph.devices.ports[device]
        if port.direction == "INPUT" and is_reference(port)
    ]  # fmt: skip
    is_fed = any(graph.edges_before(port) for port in ports)
    can_lock = bool(ports) or device.role == "CONTROL_UNIT"
    if can_lock and not is_fed and not device.row.get("referenceInput"):
        yield from table.problems(
            "NO_REFERENCE", [device.ref], f"{device.ref.label} has no reference",
            f"Cable sync to {device.ref.label}, or say in it what it locks to", ports,
        )  # fmt: skip


def _source(graph: FlowGraph, device: GraphDevice, table: RuleTable) -> Iterator[FlowProblem]:
    label = device.ref.label
    if not any(graph.edges_after(node) for node in graph.nodes_of(device)):
        yield from table.problems(
            "UNUSED_SOURCE", [device.ref], f"{label} is cabled to nothing",
            f"Patch {label} to an input, or take it off the show",
        )  # fmt: skip
    has_unit = device.row.get("ccuUuid") or device.row.get("ccuId")
    words = " ".join(str(device.row.get(member) or "") for member in _TEXTS)
    if device.role == "CAMERA" and not has_unit and not _WITHOUT_UNIT.search(words):
        yield from table.problems(
            "CAMERA_WITHOUT_CCU", [device.ref], f"{label} has no CCU",
            f"Choose the CCU of {label}, or say in its model that it needs none",
        )  # fmt: skip
