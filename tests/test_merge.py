"""Merging two edits, as pure rules: nothing is lost and nothing invented.

Where two people changed different things, their order does not matter.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.rules.merge import Base, differing, merge, merged_list, same, touched

VALUES = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "a", "b"])
ROWS = st.fixed_dictionaries(dict.fromkeys("abcd", VALUES))
EDITS = st.dictionaries(st.sampled_from("abcd"), VALUES)
KEYS = st.lists(st.sampled_from("uvwxyz"), unique=True, max_size=5)


def bases(was: dict[str, Any], now: dict[str, Any]) -> dict[str, Base]:
    """Return what the log holds for somebody who saw ``was`` and finds ``now``."""
    return {name: Base(was[name], changed=True) for name in differing(was, now)}


def applied(was: dict[str, Any], now: dict[str, Any], edit: dict[str, Any]) -> dict[str, Any]:
    wanted, conflicts = merge(bases(was, now), now, edit)
    return now | {name: value for name, value in wanted.items() if name not in conflicts}


def identical(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return same(one, other)


@given(ROWS, EDITS, EDITS)
def test_edits_of_different_fields_both_win_in_either_order(
    was: dict[str, Any], one: dict[str, Any], other: dict[str, Any]
) -> None:
    other = {name: value for name, value in other.items() if name not in one}
    both = applied(was, applied(was, was, one), other)
    assert identical(both, applied(was, applied(was, was, other), one))
    assert identical(both, was | one | other)


@given(ROWS, EDITS, EDITS)
def test_a_whole_form_conflicts_only_where_its_client_touched_what_others_did(
    was: dict[str, Any], theirs: dict[str, Any], mine: dict[str, Any]
) -> None:
    now = was | theirs
    wanted, conflicts = merge(bases(was, now), now, was | mine)
    touched_by_both = {
        name
        for name in differing(was, mine)
        if name in differing(was, theirs) and not same(mine[name], theirs[name])
    }
    assert set(conflicts) == touched_by_both
    assert wanted.keys() <= differing(was, mine).keys()


@given(ROWS, EDITS, EDITS)
def test_nothing_is_lost_and_nothing_invented(
    was: dict[str, Any], theirs: dict[str, Any], mine: dict[str, Any]
) -> None:
    now = was | theirs
    wanted, conflicts = merge(bases(was, now), now, mine)
    after = now | {name: value for name, value in wanted.items() if name not in conflicts}
    for name, value in after.items():
        assert any(same(value, source.get(name)) for source in (was, now, mine))
    for name, value in differing(was, theirs).items():
        assert same(after[name], value)
    for name, value in differing(was, mine).items():
        assert name in conflicts or same(after[name], value)


@given(ROWS, EDITS, EDITS)
def test_an_edit_sent_again_changes_nothing_more(
    was: dict[str, Any], theirs: dict[str, Any], mine: dict[str, Any]
) -> None:
    once = applied(was, was | theirs, mine)
    assert identical(applied(was, once, mine), once)


@given(ROWS, EDITS)
def test_equal_values_never_conflict(was: dict[str, Any], both: dict[str, Any]) -> None:
    now = was | both
    assert merge(bases(was, now), now, both) == ({}, [])


@given(ROWS, EDITS)
def test_without_a_base_every_value_is_the_clients_own(
    now: dict[str, Any], mine: dict[str, Any]
) -> None:
    unknown = {name: Base(is_known=False, changed=True) for name in mine}
    assert touched(unknown, mine) == mine
    assert merge(unknown, now, mine)[1] == list(differing(now, mine))


def listed(keys: list[str], value: str) -> list[dict[str, Any]]:
    return [{"id": key, "value": value} for key in keys]


def edited(base: list[dict[str, Any]], keys: list[str], by: str) -> list[dict[str, Any]]:
    """Change the elements with these keys, and add those that are not there."""
    had = {element["id"] for element in base}
    kept = [{**e, "value": by} if e["id"] in keys else e for e in base]
    return kept + listed([key for key in keys if key not in had], by)


@given(KEYS, KEYS, KEYS)
def test_edits_of_different_elements_both_win(
    keys: list[str], theirs: list[str], mine: list[str]
) -> None:
    base = listed(keys, "base")
    mine = [key for key in mine if key not in theirs]
    one, other = edited(base, theirs, "theirs"), edited(base, mine, "mine")
    merged = merged_list(base, one, other)
    assert merged is not None
    found = {element["id"]: element["value"] for element in merged}
    wanted = dict.fromkeys(keys, "base") | dict.fromkeys(theirs, "theirs")
    assert found == wanted | dict.fromkeys(mine, "mine")
    again = merged_list(base, other, one)
    assert again is not None
    assert sorted(again, key=str) == sorted(merged, key=str)
    assert merged_list(other, merged, other) == merged, "sent again it changes nothing"


@given(KEYS, st.data())
def test_one_removes_and_one_adds(keys: list[str], data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.sampled_from(keys))) if keys else set()
    base = listed(keys, "base")
    theirs = [element for element in base if element["id"] not in gone]
    mine = [*base, {"id": "new", "value": "mine"}]
    merged = merged_list(base, theirs, mine)
    assert merged is not None
    assert [element["id"] for element in merged if element["id"] != "new"] == [
        key for key in keys if key not in gone
    ]
    assert {"id": "new", "value": "mine"} in merged


def test_an_element_that_both_changed_is_a_conflict() -> None:
    base = listed(["a", "b"], "base")
    both = [edited(base, ["a"], by) for by in ("theirs", "mine")]
    assert merged_list(base, *both) is None
    assert merged_list(base, both[0], base[1:]) is None, "changed by one, removed by the other"
    assert merged_list(base, both[0], both[0]) == both[0]


def test_two_new_elements_of_one_name_are_a_conflict() -> None:
    def added(uuid: str) -> list[dict[str, Any]]:
        return [{"uuid": uuid, "id": "OUT 9"}]

    assert merged_list([], added("u"), added("v")) is None
    assert merged_list([], added("u"), added("u")) == added("u")


def test_what_was_changed_and_changed_back_is_no_conflict() -> None:
    there_and_back = {"a": Base(False, changed=True)}
    assert merge(there_and_back, {"a": False}, {"a": True}) == ({"a": True}, [])


def test_who_alone_changed_the_order_has_it() -> None:
    base = listed(["a", "b", "c"], "base")
    turned = base[::-1]
    assert merged_list(base, base, turned) == turned
    assert merged_list(base, turned, base) == turned
    assert merged_list(base, turned, turned) == turned
    assert merged_list(base, turned, [base[1], base[0], base[2]]) is None, "both did"


def test_lists_without_ids_are_values() -> None:
    for bad in (["a"], [{"name": "x"}], [{"id": "a"}, {"id": "a"}], [{"id": True}], "text"):
        assert merged_list([], bad, [{"id": "b"}]) is None
        assert merged_list([], [{"id": "b"}], bad) is None
    assert merged_list(None, [{"id": "a"}], [{"id": "b"}]) == [{"id": "b"}, {"id": "a"}]
