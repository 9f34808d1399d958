"""A diagram shows every device, port and cable once, escapes what people typed, and is pinned."""

import json
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given

from app.errors import Unavailable
from app.shows.diagram_layout import lay_out
from app.shows.signal_reading import show_kinds
from app.signal.answers.show_signal import ShowSignal
from app.signal.diagram.bundles import bundles
from app.signal.diagram.diagram_elements import DiagramChange
from app.signal.diagram.dot_text import dot_text
from app.signal.diagram.json_graph import json_graph
from app.signal.diagram.mermaid_text import mermaid_text
from app.signal.diagram.texts import LONGEST, one_line
from app.signal.graph.elements import CableRun
from tests.support.drawing import SVG, diagram_of, parsed, picture_of, stage, uuids
from tests.support.signal_shows import ShowBuilder, random_shows, sample, stop, thing, uuid_of

GOLDEN: Final = Path(__file__).with_name("diagrams")
HOSTILE: Final = [
    '<script>alert("1")</script>', "A & B &amp; &#60;", "'\"`\\n\\\"", "two\nlines\r\n", "]]>-->",
    "\u202egnp.exe\u2066", "\u05e9\u05dc\u05d5\u05dd", "\x00\x07\x1b[31m\ufffe", "x" * 4_000,
    "end\nsubgraph s", '"];evil [label="', "click d1 href javascript:alert(1)", "%%{init: {}}%%",
    "\u200b", "\U0001f3a5 \u5de6\u5074\u306e\u58c1",
]  # fmt: skip


def golden(name: str) -> str:
    return (GOLDEN / name).read_text()


def test_the_texts_of_a_show_are_pinned() -> None:
    diagram = diagram_of(stage().signal())
    assert dot_text(diagram) == golden("stage.dot")
    assert mermaid_text(diagram) == golden("stage.mmd")
    assert json_graph(diagram) == json.loads(golden("stage.json"))


@pytest.mark.parametrize("whole", ["stage", "sample"])
async def test_each_device_port_and_connection_is_drawn_once(whole: str) -> None:
    signal = stage().signal() if whole == "stage" else ShowSignal(sample(), show_kinds(), 7)
    root = parsed(await picture_of(diagram_of(signal)))
    devices = signal.graph.devices
    assert sorted(uuids(root, "device")) == sorted(d.ref.uuid or "" for d in devices.all)
    listed = [node for device in devices.all for node in devices.ports[device]]
    channels = [node for device in devices.all for node in devices.channels(device).values()]
    ports = [node.uuid for node in (*listed, *channels) if node.uuid]
    assert sorted(uuids(root, "port")) == sorted(ports)
    paths = {ref.uuid for path in signal.graph.paths for ref in [path.ref]}
    drawn = uuids(root, "path")
    assert len(drawn) == len(set(drawn))
    stated = {ref.uuid for run in signal.graph.runs for ref in run.statements}
    assert set(drawn) == paths & stated
    cables = [group for group in root.iter(f"{SVG}g") if group.get("class") == "cable"]
    assert len(cables) == len(signal.graph.runs)
    assert {u for c in cables for u in c.attrib["data-stated-by"].split()} == stated


async def test_sources_stand_left_of_what_they_feed_and_sends_right() -> None:
    places = await lay_out_of(stage())
    order = ["CAM 1", "CCU 1", "SNAKE 1", "RTR 1", "DST 1"]
    assert [places[label] for label in order] == sorted(places[label] for label in order)
    assert places["SRC 1"] == places["CAM 1"]


async def lay_out_of(show: ShowBuilder) -> dict[str, float]:
    """Return where the first box of each device begins."""
    root = parsed(await picture_of(diagram_of(show.signal())))
    boxes = [group for group in root.iter(f"{SVG}g") if group.get("class") == "box"]
    places: dict[str, float] = {}
    for box in boxes:
        label = next(text.text or "" for text in box.iter(f"{SVG}text"))
        body = next(box.iter(f"{SVG}rect"))
        places.setdefault(label, float(body.attrib["x"]))
    return places


async def test_a_problem_has_a_colour_a_shape_and_its_code() -> None:
    picture = await picture_of(diagram_of(stage().signal()))
    cables = {
        group.attrib["id"]: group for group in parsed(picture).iter(f"{SVG}g")
        if group.get("class") == "cable"
    }  # fmt: skip
    broken = cables["c2"]
    assert "CONNECTOR_MISMATCH" in [text.text for text in broken.iter(f"{SVG}text")]
    assert [use.attrib["href"] for use in broken.iter(f"{SVG}use")] == ["#error"]
    assert any("w-error" in line.get("class", "") for line in broken.iter(f"{SVG}path"))
    assert not list(cables["c1"].iter(f"{SVG}use"))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_what_people_type_stays_text(text: str) -> None:
    show = ShowBuilder().source("SRC 1", name=text).row("sends", "DST 1", name=text)
    show.matrix("routers", "RTR 1", 1, 1)
    show.show["routers"][0]["id"] = text
    show.show["devicePorts"][0]["portLabel"] = text
    show.row("connections", text, sourceUuid=uuid_of("SRC 1"), destinationUuid=uuid_of("DST 1"),
             intermediateUuid=uuid_of("RTR 1"), intermediateInput=text)  # fmt: skip
    diagram = diagram_of(show.signal(), show=text)
    root = parsed(await picture_of(diagram))
    assert {e.tag.removeprefix(SVG) for e in root.iter()} <= {
        "svg", "title", "style", "defs", "symbol", "path", "circle", "rect", "g", "a", "text",
        "use",
    }  # fmt: skip
    names = {name for element in root.iter() for name in list(element.attrib)}
    assert not [name for name in names if name.startswith("on")]
    links = [link.attrib["href"] for link in root.iter(f"{SVG}a")]
    assert all(link.startswith("?trace=") for link in links)
    cut = one_line(text)
    assert len(cut) <= LONGEST
    assert one_line(cut) == cut
    assert not set(cut) & set("\n\r\x00\u202e\u2066\u200b")
    lines = mermaid_text(diagram).splitlines()
    assert not [
        line for line in lines if "<script" in line or "subgraph" in line.split(' ["')[0][:12]
    ]
    plain = diagram_of(show_with_plain_words().signal(), show="plain")
    assert len(lines) == len(mermaid_text(plain).splitlines())
    assert len(dot_text(diagram).splitlines()) == len(dot_text(plain).splitlines())
    answer = await lay_out(dot_text(diagram))
    assert len(answer["objects"]) == len(diagram.boxes)


def show_with_plain_words() -> ShowBuilder:
    show = ShowBuilder().source("SRC 1", name="plain").row("sends", "DST 1", name="plain")
    show.matrix("routers", "RTR 1", 1, 1)
    show.show["routers"][0]["id"] = show.show["devicePorts"][0]["portLabel"] = "plain"
    return show.row(
        "connections", "plain", sourceUuid=uuid_of("SRC 1"), destinationUuid=uuid_of("DST 1"),
        intermediateUuid=uuid_of("RTR 1"), intermediateInput="plain",
    )  # fmt: skip


async def test_a_trace_has_the_ways_through_one_thing_alone() -> None:
    signal = stage().signal()
    wall = diagram_of(signal, thing(signal, "DST 1"), "upstream")
    assert {box.ref.label for box in wall.boxes} == {"CAM 1", "CCU 1", "SNAKE 1", "RTR 1", "DST 1"}
    assert not wall.counts["error"]
    both = diagram_of(signal, thing(signal, "RTR 1"))
    assert {"SRC 1", "CAM 1", "DST 1"} < {box.ref.label for box in both.boxes}
    after = diagram_of(signal, thing(signal, "RTR 1"), "downstream")
    assert {box.ref.label for box in after.boxes} == {"RTR 1", "SNAKE 1", "DST 1"}
    alone = diagram_of(signal, thing(signal, "DST 2"))
    assert [box.ref.label for box in alone.boxes] == ["DST 2"]
    assert "DST 2" in await picture_of(alone)


async def test_what_changed_is_marked_and_what_was_deleted_is_named() -> None:
    signal = stage().signal()
    changes = {
        uuid_of("DST 1"): DiagramChange("sends", "DST 1", is_new=True, is_deleted=False),
        uuid_of("CON 2"): DiagramChange("connections", "CON 2", is_new=False, is_deleted=False),
        uuid_of("CAM 9"): DiagramChange("cameras", "CAM 9", is_new=False, is_deleted=True),
    }
    diagram = diagram_of(signal, changes=changes)
    assert [box.ref.label for box in diagram.boxes if box.change == "new"] == ["DST 1"]
    assert [cable.label for cable in diagram.cables if cable.change] == ["CON 2"]
    words = [text.text for text in parsed(await picture_of(diagram)).iter(f"{SVG}text")]
    assert {"NEW", "CAM 9"} <= set(words)


@given(show=random_shows())
def test_channels_of_a_bundle_are_passed_at_one_time(show: ShowBuilder) -> None:
    """No bundle leads into itself by other devices, unless the signal itself runs in a circle."""
    signal = show.signal()
    numbers = bundles(signal.graph.runs)
    if any(problem.code in {"CYCLE", "SELF_LOOP"} for problem in signal.problems):
        return
    ridden = [run for run in signal.graph.runs if run.channels]
    for run in ridden:
        for other in ridden:
            if _follows(signal, run, other):
                one, next_ = run.channels[-1], other.channels[0]
                same = one.device is next_.device and one is not next_
                assert not (same and numbers[one] == numbers[next_])


def _follows(signal: ShowSignal, run: CableRun, other: CableRun) -> bool:
    """Return whether a device leads the signal of one run on into another."""
    return run is not other and other.start in signal.graph.reach([run.end], upstream=False)


@given(show=random_shows())
def test_every_show_can_be_drawn(show: ShowBuilder) -> None:
    diagram = diagram_of(show.signal())
    assert len(diagram.cables) == len(show.signal().graph.runs)
    for cable in diagram.cables:
        for part in cable.parts:
            assert part.start in part.start_box.ports
            assert part.end in part.end_box.ports
    json.dumps(json_graph(diagram))


async def test_a_layout_that_takes_too_long_is_stopped() -> None:
    with pytest.raises(Unavailable, match="within 0 seconds"):
        await lay_out("digraph { a -> b }", longest=0.001)


async def test_a_layout_that_fails_says_what_to_do() -> None:
    with pytest.raises(Unavailable, match=r"ask for diagram\.dot"):
        await lay_out("this is no graph {")


def test_a_stop_without_ports_is_one_node() -> None:
    show = ShowBuilder().source("SRC 1").row("sends", "DST 1")
    show.path("SRC 1", stop("AN OLD BOX"), "DST 1")
    diagram = diagram_of(show.signal())
    assert sorted(box.ref.label for box in diagram.boxes) == ["AN OLD BOX", "DST 1", "SRC 1"]
