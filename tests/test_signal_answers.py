"""What the signal flow answers of small shows: paths, why, impact, free ports and patches."""

from typing import Any

import pytest

from app.signal.answers.free import free_channels, free_ports, propose_patch
from app.signal.graph.elements import GraphDevice
from app.signal.graph.flow_graph import FlowGraph
from tests.support.signal_shows import (
    Members,
    ShowBuilder,
    codes,
    impact_of,
    sample,
    stop,
    thing,
    traced,
    uuid_of,
)

SOUND = "Nothing on the way breaks a rule."


def redundant() -> ShowBuilder:
    """Return a show with a main and a backup machine, each by its own router, into one switcher."""
    show = ShowBuilder().source("SRC 1").source("SRC 2").row("sends", "DST 1").row("sends", "DST 2")
    show.row("ccus", "CCU 1").row("cameras", "CAM 1", ccuUuid=uuid_of("CCU 1"))
    for letter in "AB":
        show.matrix("routers", f"RTR {letter}", 2, 2)
    show.matrix("camSwitchers", "SW 1", 3, 1)
    for number, letter in enumerate("AB", 1):
        show.path(
            f"SRC {number}", stop(f"RTR {letter}", "IN 1", "OUT 1"),
            stop("SW 1", f"IN {number}", "OUT 1"), "DST 1", label=f"CON {letter}",
        )  # fmt: skip
    show.path(stop("CCU 1", "CAMERA", "SDI 1"), stop("RTR A", "IN 2", "OUT 2"), "DST 2")
    return show


def hops(path: Members) -> list[str]:
    return [f"{hop['kind']} {hop['label'] or '-'}" for hop in path["hops"]]


def test_a_trace_says_every_hop() -> None:
    show = ShowBuilder().source("SRC 1").row("cableSnakes", "SNAKE 1", model="50' SDI 16 x 16")
    show.matrix("routers", "RTR 1", 2, 2).row("sends", "DST 1")
    show.connect(
        "SRC 1", "DST 1", between="RTR 1", enters="IN 1", leaves="OUT 2", label="CON 1",
        signalPath=[{"device": "SNAKE 1 CH 3"}, {"device": "RTR 1"}],
    )  # fmt: skip
    answer = traced(show.signal(), "DST 1")
    (path,) = answer.pop("paths")
    assert hops(path) == [
        "device DST 1", "port -", "cable CON 1", "port OUT 2", "device RTR 1", "route CON 1",
        "port IN 1", "cable CON 1", "channel SNAKE 1 channel 3", "cable CON 1", "port SRC 1-OUT1",
        "device SRC 1",
    ]  # fmt: skip
    channel = path["hops"][8]
    assert (channel["number"], channel["length"], channel["lengthUnit"]) == (3, 15.24, "m")
    assert channel["format"] == path["format"] == "1920x1080@59.94"
    assert path["end"] == "source"
    assert answer == {
        "start": {
            "collection": "sends", "uuid": uuid_of("DST 1"), "label": "DST 1", "name": None,
        },
        "direction": "upstream", "seq": 7,
        "why": f"DST 1 shows SRC 1 through SNAKE 1 channel 3, RTR 1 IN 1. {SOUND}",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("label", "direction", "why"),
    [
        ("SRC 1", "downstream", "SRC 1 reaches DST 1."),
        ("CAM 1", "downstream", "CAM 1 reaches DST 2."),
        ("CON A", "upstream", "CON A carries SRC 1 through RTR A IN 1, SW 1 IN 1."),
        ("RTR A", "downstream", "RTR A reaches DST 1, DST 2."),
        ("RTR A INPUT IN 2", "upstream", "RTR A IN 2 shows CAM 1 through CCU 1 CAMERA."),
        ("SRC 1", "upstream", "SRC 1 is a source."),
        ("DST 1", "downstream", "DST 1 is where its signal ends."),
    ],
)
def test_why_in_two_sentences(label: str, direction: Any, why: str) -> None:
    assert traced(redundant().signal(), label, direction)["why"] == f"{why} {SOUND}"


def test_why_a_send_is_black() -> None:
    show = ShowBuilder().row("cableSnakes", "SNAKE 2", model="LC x 12").row("sends", "SCREEN 1A")
    show.row("sends", "DST 9").path({"device": "SNAKE 2", "channel": 7}, "SCREEN 1A")
    assert traced(show.signal(), "SCREEN 1A")["why"] == (
        "SCREEN 1A is black because nothing feeds SNAKE 2 channel 7. "
        "Patch a source to SNAKE 2 channel 7."
    )
    assert traced(show.signal(), "DST 9")["why"] == (
        "DST 9 is black because nothing feeds it. Patch a cable to it."
    )


def test_why_a_deleted_device_makes_a_send_black() -> None:
    show = ShowBuilder().source("SRC 1").row("sends", "DST 1")
    show.connect("SRC 1", "DST 1", between="RTR 9", intermediateId="RTR 9", enters="IN 1")
    assert traced(show.signal(), "DST 1")["why"] == (
        "DST 1 is black because nothing feeds RTR 9. CON 1 names RTR 9, which is deleted."
    )


def test_a_loop_ends_at_the_port_that_is_met_twice() -> None:
    show = ShowBuilder().row("sends", "DST 1").matrix("routers", "RTR 1", 1, 1)
    show.matrix("routers", "RTR 2", 1, 1)
    show.path(
        stop("RTR 1", "IN 1", "OUT 1"), stop("RTR 2", "IN 1", "OUT 1"), stop("RTR 1", "IN 1")
    ).path(stop("RTR 2", "IN 1", "OUT 1"), "DST 1")
    answer = traced(show.signal(), "DST 1")
    (path,) = answer["paths"]
    assert path["end"] == "loop"
    ports = [hop for hop in path["hops"] if hop["kind"] == "port"]
    assert ports[-1] in ports[:-1]
    assert answer["why"].startswith("DST 1 is black because its signal runs in a circle at RTR 2")
    assert "A signal runs in a circle" in answer["why"]


def test_what_dies_and_what_has_a_second_path() -> None:
    signal = redundant().signal()
    assert impact_of(signal, "RTR A") == {
        "dark": ["DST 2"], "secondPath": ["DST 1"], "cameras": ["CAM 1"],
    }  # fmt: skip
    assert impact_of(signal, "RTR A", "SRC 2")["dark"] == ["DST 1", "DST 2"]
    assert impact_of(signal, "CON A") == {"dark": [], "secondPath": ["DST 1"], "cameras": []}
    assert impact_of(signal, "CON A", "CON B")["dark"] == ["DST 1"]
    assert impact_of(signal, "SW 1 OUTPUT OUT 1")["dark"] == ["DST 1"]
    assert impact_of(signal, "DST 2")["dark"] == ["DST 2"]
    assert impact_of(signal, "CAM 1") == {"dark": ["DST 2"], "secondPath": [], "cameras": ["CAM 1"]}


def test_a_cable_that_two_connections_state_stays_with_one_of_them() -> None:
    show = ShowBuilder().source("SRC 1").matrix("routers", "RTR 1", 1, 2)
    show.row("sends", "DST 1").row("sends", "DST 2")
    for number in (1, 2):
        show.connect("SRC 1", f"DST {number}", between="RTR 1", enters="IN 1",
                     leaves=f"OUT {number}", label=f"CON {number}")  # fmt: skip
    assert impact_of(show.signal(), "CON 1")["dark"] == ["DST 1"]
    assert not codes(show.signal())


def test_devices_without_ports_still_trace() -> None:
    """A connection that ends at such a device goes on in each that begins there, and no other."""
    show = ShowBuilder().source("SRC 1").source("SRC 2").row("routers", "RTR 1")
    show.row("sends", "DST 1").row("sends", "DST 2")
    show.connect("SRC 1", "RTR 1").path("RTR 1", "DST 1").connect("SRC 2", "DST 2", between="RTR 1")
    signal = show.signal()
    assert traced(signal, "DST 1")["why"].startswith("DST 1 shows SRC 1 through RTR 1.")
    assert traced(signal, "DST 2")["why"].startswith("DST 2 shows SRC 2 through RTR 1.")
    assert [path["end"] for path in traced(signal, "DST 2")["paths"]] == ["source"]


def test_what_is_typed_by_hand_passes_a_signal() -> None:
    show = ShowBuilder().source("SRC 1").row("sends", "DST 1")
    show.connect("SRC 1", "DST 1", intermediateType="PATCH PANEL", intermediateId="PANEL 3")
    assert traced(show.signal(), "DST 1")["why"].startswith("DST 1 shows SRC 1 through PANEL 3.")


def test_a_source_is_cabled_to_the_device_that_its_row_names() -> None:
    show = ShowBuilder().source("SRC 1", secondaryDevice="SW 1", secondaryDevicePort="IN 2")
    show.matrix("visionSwitchers", "SW 1", 2, 1).row("sends", "DST 1")
    show.path(stop("SW 1", "IN 2", "OUT 1"), "DST 1")
    assert traced(show.signal(), "DST 1")["why"].startswith("DST 1 shows SRC 1 through SW 1 IN 2.")


def test_a_loop_through_passes_what_enters() -> None:
    show = ShowBuilder().source("SRC 1").row("sends", "DST 1").row("sends", "DST 2")
    show.port("DST 1", "IN", "INPUT")
    show.port("DST 1", "LOOP", "OUTPUT", loopUuid=uuid_of("DST 1 INPUT IN"))
    show.connect("SRC 1", "DST 1").path(stop("DST 1", None, "LOOP"), "DST 2")
    assert impact_of(show.signal(), "SRC 1")["dark"] == ["DST 1", "DST 2"]


def test_the_sample_show() -> None:
    show = ShowBuilder()
    show.show = sample()
    signal = show.signal()

    def why(member: str, label: str, direction: Any) -> str:
        return str(traced(signal, f"{member} {label}", direction)["why"])

    assert why("sends", "DST 4", "upstream") == (
        f"DST 4 shows SRC 10 through HDMI to SDI converter, ROUTER IN 10. {SOUND}"
    )
    assert why("cameras", "CAM 1", "downstream") == (
        "CAM 1 reaches no send: its signal stops at CAM SWITCHER. Patch CAM SWITCHER to a send."
    )
    assert impact_of(signal, "cableSnakes SNAKE 3")["cameras"] == ["CAM 1"]
    assert impact_of(signal, "routers ROUTER")["dark"] == ["DST 4", "DST 5", "DST 6", "DST 10"]
    assert codes(signal) == ["CONNECTOR_MISMATCH", "OUTPUT_IN_USE"]


def device(graph: FlowGraph, label: str) -> GraphDevice:
    return graph.devices.by_uuid[uuid_of(label)]


def test_free_ports_and_channels() -> None:
    signal = redundant().row("cableSnakes", "SNAKE 1", model="SDI x 3").path(
        stop("RTR B", "IN 2", "OUT 2"), "SNAKE 1 CH 2", "DST 2"
    ).signal()  # fmt: skip
    graph = signal.graph
    assert [port.label for port in free_ports(graph, device(graph, "SW 1"), "INPUT")] == ["IN 3"]
    assert not free_ports(graph, device(graph, "SW 1"), "OUTPUT")
    assert free_channels(graph, device(graph, "SNAKE 1")) == [1, 3]


def test_a_patch_takes_what_is_free_and_fits() -> None:
    show = redundant().source("SRC 3").source("SRC 4", "HDMI")
    show.row("cableSnakes", "SNAKE 1", model="SDI x 3").matrix("routers", "RTR C", 1, 1)
    signal = show.signal()
    start, end = thing(signal, "SRC 3"), thing(signal, "SW 1")
    proposal = propose_patch(signal, start, end, device(signal.graph, "SNAKE 1"))
    assert proposal is not None
    assert [list(item.values())[1:] for item in proposal.signal_path] == [
        ["SRC 3", uuid_of("SRC 3-OUT1")], ["SNAKE 1", 1], ["SW 1", uuid_of("SW 1 INPUT IN 3")],
    ]  # fmt: skip
    assert propose_patch(signal, thing(signal, "SRC 4"), end) is None
    assert propose_patch(signal, thing(signal, "SRC 1"), end) is None


def test_a_patch_goes_by_a_device_that_converts() -> None:
    show = ShowBuilder().source("SRC 1", "HDMI").row("sends", "MON 1")
    show.port("MON 1", "SDI IN", "INPUT").row("visionSwitchers", "SW 1")
    hdmi = {"ioType": "HDMI", "signalFamily": "HDMI", "linkClass": "2.0"}
    show.port("SW 1", "IN 1", "INPUT").port("SW 1", "IN 2", "INPUT", **hdmi)
    show.port("SW 1", "OUT 1", "OUTPUT")
    signal = show.signal()
    proposal = propose_patch(signal, thing(signal, "SRC 1"), thing(signal, "MON 1"))
    assert proposal is not None
    show.path(*proposal.signal_path)
    assert traced(show.signal(), "MON 1")["why"].startswith(
        "MON 1 shows SRC 1 through SW 1 IN 2. Nothing"
    )
    assert not codes(show.signal())


def test_a_patch_closes_no_circle() -> None:
    """The output gets what would enter by the input that is asked for."""
    show = ShowBuilder().matrix("routers", "RTR 1", 1, 1).matrix("routers", "RTR 2", 1, 1)
    show.path(stop("RTR 1", "IN 1", "OUT 1"), stop("RTR 2", "IN 1", "OUT 1"))
    signal = show.signal()
    assert propose_patch(signal, thing(signal, "RTR 2"), thing(signal, "RTR 1")) is None
    show.source("SRC 1")
    signal = show.signal()
    assert propose_patch(signal, thing(signal, "SRC 1"), thing(signal, "RTR 1")) is not None
