"""Each rule of the signal flow: a show that breaks it, and one that hardly does not."""

from collections.abc import Callable

import pytest

from app.signal.checks.report import DEFAULT_RULES, report
from app.signal.checks.rule_table import CABLE_LIMITS, RULES
from tests.support.signal_shows import ShowBuilder, codes, stop, thing, traced, uuid_of

Change = Callable[[ShowBuilder], object]


def good() -> ShowBuilder:
    """Return a show that breaks no rule: a camera and a laptop by a router to two monitors."""
    show = ShowBuilder().source("SRC 1")
    show.row("ccus", "CCU 1", formatMode="1080p59.94", referenceInput="TRI-LEVEL")
    show.port("CCU 1", "CAMERA", "INPUT", ioType="SMPTE 311M", signalFamily="CAMERA")
    show.port("CCU 1", "OUT 1", "OUTPUT")
    show.row("cameras", "CAM 1", ccuUuid=uuid_of("CCU 1"), formatMode="1080p59.94")
    show.matrix("routers", "RTR 1", 3, 3).row("cableSnakes", "SNAKE 1", model="50' SDI 16 x 16")
    for number in (1, 2):
        show.row("sends", f"DST {number}", hRes=1920, vRes=1080, rate=59.94)
    show.connect("SRC 1", "DST 1", between="RTR 1", enters="IN 1", leaves="OUT 1")
    channel = {"device": "SNAKE 1", "channel": 7}
    return show.path(
        stop("CCU 1", "CAMERA", "OUT 1"), channel, stop("RTR 1", "IN 2", "OUT 2"), stop("DST 2")
    )


def rewrite(member: str, label: str, **members: object) -> Change:
    def change(show: ShowBuilder) -> None:
        next(row for row in show.show[member] if row["id"] == label).update(members)

    return change


def gone(member: str, label: str) -> Change:
    def change(show: ShowBuilder) -> None:
        show.show[member] = [row for row in show.show[member] if row["id"] != label]

    return change


def interlaced(show: ShowBuilder) -> None:
    rewrite("ccus", "CCU 1", formatMode="1080i59.94")(show)


BROKEN: dict[str, list[Change]] = {
    "INPUT_IN_USE": [
        lambda show: show.source("SRC 2").path("SRC 2", stop("RTR 1", "IN 1")),
        lambda show: show.row("cameras", "CAM 2", ccuUuid=uuid_of("CCU 1")),
    ],
    "OUTPUT_IN_USE": [lambda show: show.path(stop("RTR 1", "IN 1", "OUT 1"), "DST 2")],
    "CHANNEL_IN_USE": [
        lambda show: show.source("SRC 2").path(
            "SRC 2", "SNAKE 1 CH 7", stop("RTR 1", "IN 3", "OUT 3")
        )
    ],
    "CHANNEL_OUT_OF_RANGE": [rewrite("cableSnakes", "SNAKE 1", model="SDI x 6")],
    "DELETED_DEVICE": [gone("routers", "RTR 1"), gone("sources", "SRC 1"), gone("sends", "DST 1")],
    "SAME_DIRECTION": [rewrite("connections", "CON 1", intermediateInput="OUT 3")],
    "SELF_LOOP": [lambda show: show.path(stop("RTR 1", "IN 1", "OUT 3"), stop("RTR 1", "IN 3"))],
    "CYCLE": [
        lambda show: show.matrix("camSwitchers", "SW 1", 1, 1).path(
            stop("SW 1", "IN 1", "OUT 1"), stop("RTR 1", "IN 3", "OUT 3"), stop("SW 1", "IN 1")
        )
    ],
    "LINK_TOO_SLOW": [
        rewrite("devicePorts", "RTR 1 INPUT IN 1", linkClass="1.5G"),
        rewrite("devicePorts", "CCU 1 OUTPUT OUT 1", linkClass=None, ioType="1.5G-SDI"),
    ],
    "FORMAT_MISMATCH": [
        rewrite("sends", "DST 1", rate=60), rewrite("sends", "DST 1", rate=50),
        rewrite("sends", "DST 1", hRes=None, rate=60), interlaced,
        rewrite("sources", "SRC 1", blanking="RBv1"),
    ],
    "CONNECTOR_MISMATCH": [
        rewrite("devicePorts", "RTR 1 INPUT IN 1", signalFamily="HDMI"),
        rewrite("devicePorts", "CCU 1 OUTPUT OUT 1", signalFamily="DP"),
    ],
    "CABLE_TOO_LONG": [
        rewrite("cameras", "CAM 1", smpteCableLength=7_000),
        rewrite("cableSnakes", "SNAKE 1", model="300' SDI 16 x 16"),
        rewrite("cableSnakes", "SNAKE 1", model="79 m SDI 16 x 16"),
    ],
    "NO_REFERENCE": [rewrite("ccus", "CCU 1", referenceInput=None)],
    "CAMERA_WITHOUT_CCU": [lambda show: show.row("cameras", "CAM 2", model="HDC-3500")],
    "DUPLICATE_LABEL": [
        lambda show: show.show["sends"].append({"uuid": uuid_of("other"), "id": "dst 1"})
    ],
    "UNUSED_SOURCE": [lambda show: show.source("SRC 2")],
    "DARK_SEND": [lambda show: show.row("sends", "DST 3")],
}  # fmt: skip


def test_each_rule_has_a_show_that_breaks_it() -> None:
    assert BROKEN.keys() == RULES.keys()
    assert all(rule.source and rule.asks for rule in RULES.values())
    assert all(limit.source and limit.metres for limit in CABLE_LIMITS.values())


def test_the_good_show_is_ready() -> None:
    answer = report(good().signal().problems, 7)
    assert answer == {
        "seq": 7, "ready": True, "counts": {"error": 0, "warning": 0, "info": 0, "waived": 0},
        "problems": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("code", "change"), [(code, change) for code, changes in BROKEN.items() for change in changes]
)
def test_a_rule_is_broken(code: str, change: Change) -> None:
    show = good()
    change(show)
    problem = next(one for one in show.signal().problems if one.code == code)
    assert problem.where
    assert problem.why.endswith(".")
    assert problem.todo.endswith(".")


@pytest.mark.parametrize(
    "change",
    [
        # An encoder's outputs are of a network: many may take them.
        lambda show: [
            rewrite("devicePorts", "RTR 1 OUTPUT OUT 1", signalFamily="IP")(show),
            show.path(stop("RTR 1", "IN 1", "OUT 1"), "DST 2"),
        ],
        rewrite("cableSnakes", "SNAKE 1", model="LC x 7"),
        rewrite("cableSnakes", "SNAKE 1", model="250' SDI 16 x 16"),
        rewrite("devicePorts", "RTR 1 INPUT IN 1", linkClass="1.5G", ioType="QUAD 3G-SDI"),
        rewrite("sends", "DST 1", rate=29.97),
        rewrite("cameras", "CAM 1", smpteCableLength=6_500),
        lambda show: show.row("cableSnakes", "SNAKE 3", model="SMPTE 311M x 4"),
        lambda show: show.port("CCU 1", "REF", "INPUT", signalFamily="REFERENCE"),
    ],
)
def test_what_a_rule_lets_pass(change: Change) -> None:
    show = good()
    change(show)
    assert not codes(show.signal())


def test_a_passive_adapter_is_a_warning_and_a_converter_an_error() -> None:
    show = good()
    show.source("SRC 2", "DP").matrix("visionSwitchers", "SW 1", 1, 1)
    rewrite("devicePorts", "SW 1 INPUT IN 1", signalFamily="HDMI", linkClass="2.0")(show)
    show.path("SRC 2", stop("SW 1", "IN 1"))
    found = {problem.severity for problem in show.signal().problems}
    assert found == {"warning"}
    rewrite("devicePorts", "SW 1 INPUT IN 1", signalFamily="SDI", linkClass="3G")(show)
    assert {problem.severity for problem in show.signal().problems} == {"error"}


def test_converters_stand_at_the_ends_of_a_fibre_snake() -> None:
    show = good()
    rewrite("cableSnakes", "SNAKE 1", model="LC x 12")(show)
    rewrite("devicePorts", "CCU 1 OUTPUT OUT 1", signalFamily="HDMI", linkClass="2.0")(show)
    assert not codes(show.signal())


def test_a_loop_is_spelled_out() -> None:
    show = good()
    BROKEN["CYCLE"][0](show)
    problem = next(one for one in show.signal().problems if one.code == "CYCLE")
    assert problem.why == (
        "A signal runs in a circle: SW 1 IN 1, SW 1 OUT 1, RTR 1 IN 3, RTR 1 OUT 3, SW 1 IN 1."
    )
    assert [ref.label for ref in problem.where] == ["SW 1", "RTR 1"]


def test_a_show_may_set_other_severities_and_lengths() -> None:
    show = good()
    rewrite("sends", "DST 1", rate=60)(show)
    BROKEN["DARK_SEND"][0](show)
    table = DEFAULT_RULES.changed({"FORMAT_MISMATCH": "warning", "DARK_SEND": "off"}, {"SDI 3G": 9})
    answer = report(show.signal(table).problems, 7)
    assert [one["code"] for one in answer["problems"]] == ["FORMAT_MISMATCH", "CABLE_TOO_LONG"]
    assert answer["ready"]
    assert answer["counts"] == {"error": 0, "warning": 2, "info": 0, "waived": 0}
    for unknown in ({"NO_SUCH": "off"}, None), (None, {"ROPE": 1.0}):
        with pytest.raises(KeyError):
            DEFAULT_RULES.changed(*unknown)


def test_a_slip_is_told_with_both_rates() -> None:
    show = good()
    rewrite("sends", "DST 2", rate=60)(show)
    assert traced(show.signal(), "DST 2")["why"] == (
        "DST 2 shows CAM 1 through CCU 1 CAMERA, SNAKE 1 channel 7, RTR 1 IN 2. "
        "DST 2 may slip: CCU 1 is 59.94, DST 2 expects 60."
    )


def test_the_answer_names_the_things_by_their_rows() -> None:
    show = good()
    BROKEN["CHANNEL_OUT_OF_RANGE"][0](show)
    (problem,) = report(show.signal().problems, 7)["problems"]
    assert problem == {
        "code": "CHANNEL_OUT_OF_RANGE",
        "severity": "error",
        "where": [
            {"collection": "cable-snakes", "uuid": uuid_of("SNAKE 1"),
             "label": "SNAKE 1 channel 7", "name": None},
            {"collection": "connections", "uuid": uuid_of("CON 2"), "label": "CON 2", "name": None},
        ],
        "why": "SNAKE 1 has 6 channels, and 7 is none of them.",
        "todo": "Use a free channel from 1 to 6.",
    }  # fmt: skip
    assert thing(show.signal(), "SNAKE 1").nodes
