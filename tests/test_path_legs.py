"""Older members and legs show one path: each is read from the other, and nothing else changes."""

from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st
from pydantic.alias_generators import to_camel

from app.rules.path_legs import LegStop, PathLegs, PathWords
from app.shows.signal_reading import show_kinds
from app.signal.graph.path_reading import read_path
from app.signal.graph.show_devices import ShowDevices

_WORDS: Final = PathWords("source", "cableSnake")
_TEXT: Final = st.sampled_from(["IN 1", "OUT 2", None])
_UUID: Final = st.uuids().map(str)
_CABLE: Final = st.fixed_dictionaries({
    "uuid": _UUID, "cableLabel": _TEXT, "length": st.none() | st.floats(0, 1e4),
    "snakeUuid": st.none() | _UUID, "channel": st.none() | st.integers(1, 16),
})  # fmt: skip
_DEVICE: Final = st.tuples(st.sampled_from(["router", "camera", "PATCH BAY"]), st.none(), _UUID)
_TYPED: Final = st.tuples(st.just("PATCH BAY"), st.sampled_from(["BAY", "DA"]), st.none())
_PORT: Final = st.tuples(_TEXT, st.none())
_STOP: Final = st.builds(LegStop, _DEVICE | _TYPED, _PORT, _PORT)
_SOURCE: Final = st.builds(
    LegStop, st.tuples(st.just("source"), st.none(), _UUID), st.just((None, None)), _PORT
)
_OLDER: Final = st.fixed_dictionaries({
    "source_uuid": _UUID, "source_output_id": _TEXT, "source_output_uuid": st.none(),
    "intermediate_type": st.just("router"), "intermediate_id": st.none(),
    "intermediate_uuid": _UUID, "intermediate_input": _TEXT, "intermediate_output": _TEXT,
    "destination_type": st.just("send"), "destination_id": st.none(), "destination_uuid": _UUID,
})  # fmt: skip
GROUPS: Final = ("source", "intermediate", "destination")


@st.composite
def paths(draw: st.DrawFn) -> PathLegs:
    """Draw a path of one to four cables, which may begin at a source."""
    cables = draw(st.lists(_CABLE, min_size=1, max_size=4))
    stops = [draw(_STOP) for _ in range(len(cables) + 1)]
    stops[0] = draw(_SOURCE | st.just(stops[0]))
    stops[0].enters = stops[-1].leaves = (None, None)
    return PathLegs(stops, [dict(cable) for cable in cables], _WORDS)


@given(paths())
def test_legs_say_the_path_they_were_made_of(path: PathLegs) -> None:
    assert PathLegs.of(path.legs(), _WORDS) == path


@given(paths(), _OLDER)
def test_what_an_older_client_writes_it_reads_back(path: PathLegs, older: dict[str, Any]) -> None:
    path.change(path.older_members(), older)
    assert PathLegs.of(path.legs(), _WORDS).older_members() == older


@given(paths(), _OLDER, st.sampled_from(GROUPS))
def test_what_it_does_not_name_stays(path: PathLegs, older: dict[str, Any], group: str) -> None:
    before, cables = path.older_members(), [dict(cable) for cable in path.cables]
    own = {name: value for name, value in older.items() if name.startswith(group)}
    path.change(before, before | own)
    after = path.older_members()
    if group == "destination":
        names = {name for name in before if not name.startswith(group)}
        assert {n: after[n] for n in names} == {n: before[n] for n in names}
    lengths = {cable["uuid"]: cable["length"] for cable in path.cables if cable}
    assert lengths == {cable["uuid"]: cable["length"] for cable in cables}


@given(_OLDER, st.integers(1, 16))
def test_older_members_and_the_legs_of_them_are_one_path(older: dict[str, Any], n: int) -> None:
    path = PathLegs([LegStop(), LegStop()], [{"uuid": "L"}], _WORDS)
    path.change({}, older)
    assert path.older_members() == older
    show = {
        "sources": [{"uuid": older["source_uuid"], "id": f"SRC {n}"}],
        "routers": [{"uuid": older["intermediate_uuid"], "id": "R"}],
        "sends": [{"uuid": older["destination_uuid"], "id": "DST 1"}],
    }
    devices = ShowDevices(show, show_kinds())
    row = {to_camel(name): value for name, value in older.items()}
    assert read_path({**row, "legs": path.legs()}, devices) == read_path(row, devices)


@given(paths())
def test_what_repeats_the_members_changes_nothing(path: PathLegs) -> None:
    before = path.legs()
    path.change(path.older_members(), path.older_members())
    assert path.legs() == before
