"""What holds of the signal flow of any show: random ones are built and asked."""

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from app.shows.signal_reading import show_kinds
from app.signal.answers.free import free_channels, propose_patch
from app.signal.answers.impact import impact
from app.signal.answers.show_signal import ShowSignal
from app.signal.answers.walks import MOST_WALKS
from app.signal.graph.elements import GraphDevice, GraphNode
from app.signal.graph.flow_graph import FlowGraph
from tests.support.signal_shows import ShowBuilder, random_shows, thing, traced

FEW = settings(max_examples=30, deadline=None)
ORIGINS = {"ORIGIN", "CAMERA"}


def labels(paths: Iterable[dict], end: str) -> set[str]:  # type: ignore[type-arg]  # JSON
    return {
        next(hop["label"] for hop in reversed(path["hops"]) if hop["kind"] == "device")
        for path in paths
        if path["end"] == end
    }


def of_role(signal: ShowSignal, *roles: str) -> list[GraphDevice]:
    return [device for device in signal.graph.devices.all if device.role in roles]


@FEW
@given(random_shows())
def test_upstream_and_downstream_agree_and_every_trace_ends(builder: ShowBuilder) -> None:
    signal = builder.signal()
    up = {one.ref.label: traced(signal, one.ref.label) for one in of_role(signal, "SINK")}
    down = {
        one.ref.label: traced(signal, one.ref.label, "downstream")
        for one in of_role(signal, "ORIGIN")
    }
    answers = [*up.values(), *down.values()]
    assert all(len(answer["paths"]) <= MOST_WALKS for answer in answers)
    assert {path["end"] for answer in answers for path in answer["paths"]} <= {
        "source", "send", "open", "loop",
    }  # fmt: skip
    if all(len(answer["paths"]) < MOST_WALKS for answer in answers):
        came = {(src, dst) for dst, one in up.items() for src in labels(one["paths"], "source")}
        went = {(src, dst) for src, one in down.items() for dst in labels(one["paths"], "send")}
        assert came == went


def lit_without(graph: FlowGraph, gone: set[GraphNode]) -> set[str]:
    """Return the labels of the sends that a source comes to, by the simplest search there is."""
    lit = {n for n in graph.nodes() if n.device.role in ORIGINS and n not in gone}
    while True:
        more = {e.end for e in graph.edges if e.start in lit and e.end not in gone} - lit
        if not more:
            return {node.device.ref.label for node in lit if node.device.role == "SINK"}
        lit |= more


@FEW
@given(random_shows(), st.data())
def test_the_impact_of_devices_is_to_remove_and_compare(
    builder: ShowBuilder, data: st.DataObject
) -> None:
    signal = builder.signal()
    names = st.sampled_from([one.ref.label for one in signal.graph.devices.all])
    things = [thing(signal, name) for name in data.draw(st.lists(names, min_size=1, unique=True))]
    answer = impact(signal, things)
    before = lit_without(signal.graph, set())
    after = lit_without(signal.graph, {node for one in things for node in one.nodes})
    assert {ref["label"] for ref in answer["dark"]} == before - after
    assert {ref["label"] for ref in answer["secondPath"]} <= after


@FEW
@given(random_shows(), st.data())
def test_the_impact_of_a_cable_is_that_of_its_row(
    builder: ShowBuilder, data: st.DataObject
) -> None:
    signal = builder.signal()
    rows = builder.show["connections"]
    if not rows:
        return
    row = data.draw(st.sampled_from(rows))
    rest = {**builder.show, "connections": [one for one in rows if one is not row]}
    after = lit_without(ShowSignal(rest, show_kinds()).graph, set())
    answer = impact(signal, [thing(signal, row["id"])])
    assert {ref["label"] for ref in answer["dark"]} == lit_without(signal.graph, set()) - after


@FEW
@given(random_shows())
def test_a_snake_never_has_more_free_channels_than_it_has(builder: ShowBuilder) -> None:
    graph = builder.signal().graph
    snake = next(device for device in graph.devices.all if device.role == "TRUNK")
    ridden = {
        int(channel.label) for run in graph.runs for channel in (*run.channels, run.start, run.end)
        if channel.direction == "CHANNEL" and channel.label
    }  # fmt: skip
    assert set(free_channels(graph, snake)) == {1, 2, 3} - ridden


@FEW
@given(random_shows(), st.data())
def test_a_proposed_patch_breaks_no_rule(builder: ShowBuilder, data: st.DataObject) -> None:
    signal = builder.signal()
    starts = [one.ref.label for one in of_role(signal, "ORIGIN", "PASSING")]
    ends = [one.ref.label for one in of_role(signal, "SINK", "PASSING")]
    start, end = data.draw(st.sampled_from(starts)), data.draw(st.sampled_from(ends))
    snake = data.draw(st.sampled_from([None, *of_role(signal, "TRUNK")]))
    proposal = propose_patch(signal, thing(signal, start), thing(signal, end), snake)
    if proposal is None:
        return
    grave = [p for p in signal.problems if p.severity != "info"]
    builder.path(*proposal.signal_path, label="PATCH")
    after = builder.signal()
    assert len([p for p in after.problems if p.severity != "info"]) <= len(grave)
    assert after.graph.paths[-1].nodes[-1].device.ref.label == end


@FEW
@given(st.recursive(st.none() | st.text() | st.integers(), st.lists), st.text(), st.text())
def test_what_people_type_is_read_without_an_error(
    path: object, source: str, destination: str
) -> None:
    builder = ShowBuilder().source("SRC 1").row("cableSnakes", "SNAKE 1")
    builder.row("connections", "CON 1", signalPath=path, sourceId=source, destinationId=destination)
    assert builder.signal().problems is not None
