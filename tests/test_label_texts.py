"""What people type: kept tidy, and the same label whatever its blanks, characters and case."""

import unicodedata
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.model.entity import Row
from app.rules.labels import Shape, folded, spellings, suggestion, tidy, tidy_label
from tests.support.bodies import ALL, SCOPED, minimal, named

scoped = pytest.mark.parametrize("entity", SCOPED, ids=named)
strict = pytest.mark.parametrize(
    "entity", [e for e in SCOPED if not e.allow_duplicate_labels], ids=named
)
LOOKALIKES = (
    "CAM 1 ", " CAM 1", "CAM\u00a01", "CAM\u200b 1", "CAM 1\u200d", "\ufeffCAM 1", "CAM  1",
    "\u2066CAM 1\u2069", "CA\u00adM 1", "CAM 1\u200d\u2060", "CAM\u200c\u200b 1", "CAM\u034f 1",
    "CAM\u2028 1", "cam 1", "Cam 1", "CAM\u30001",
)  # fmt: skip


@pytest.mark.parametrize("label", LOOKALIKES)
def test_what_looks_the_same_is_taken(make: Any, client: httpx.Client, label: str) -> None:
    first = make("cameras", id="CAM 1", name="A")
    body = {"productionId": first["productionUuid"], "name": "B", "id": label}
    answer = client.post("/api/cameras", json=body)
    assert (answer.status_code, answer.json()["suggestedId"].upper()) == (409, "CAM 2")
    for key in (label, label.lower()):
        found = client.get(f"/api/cameras/{key}", params={"production": first["productionUuid"]})
        assert found.json()["uuid"] == first["uuid"]


@strict
def test_case_makes_no_second_label_of_any_type(
    make: Any, client: httpx.Client, entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity, id="Left Side É 1"))
    body = {"productionId": row["productionUuid"], **minimal(entity, id="LEFT SIDE é 1")}
    assert client.post(f"/api/{entity.collection}", json=body).status_code == 409


def test_nor_of_a_show(client: httpx.Client, production: dict[str, Any]) -> None:
    body = {"name": "x", "id": f" {production['id'].lower()}\u200b"}
    assert client.post("/api/productions", json=body).json()["code"] == "DUPLICATE_ID"
    assert client.get(f"/api/productions/{production['id'].lower()} ").json() == production
    row = {"productionId": production["id"].lower(), "name": "A"}
    assert client.post("/api/cameras", json=row).json()["productionUuid"] == production["uuid"]
    listed = client.get(f"/api/cameras/production/{production['id'].lower()}").json()
    assert len(listed) == 1


@pytest.mark.parametrize("entity", ALL, ids=named)
@pytest.mark.parametrize(
    "blank", [" ", "\u00a0", "\u200b", " \u2060\ufeff ", "\u3164\u2800", "\ufe0f"]
)
def test_a_label_of_blanks_is_refused(
    make: Any, client: httpx.Client, entity: type[Row], blank: str
) -> None:
    row = make(entity.collection, **minimal(entity))
    scope = {"productionId": row["productionUuid"]} if entity in SCOPED else {}
    path = f"/api/{entity.collection}"
    body = {**scope, **minimal(entity, id=blank)}
    assert client.post(path, json=body).json()["errors"][0]["path"] == "id"
    edit = {"id": blank, "version": row["version"]}
    assert client.put(f"{path}/{row['uuid']}", json=edit).status_code == 422
    assert client.get(f"{path}/{row['uuid']}").json() == row


def test_names_are_tidy_and_say_something(make: Any, client: httpx.Client) -> None:
    row = make("cameras", name=" Hand\u200bheld\u00a0", note="\u00a0two\nlines ", model="\u200b ")
    assert (row["name"], row["note"], row["model"]) == ("Handheld", "two\nlines", None)
    path = f"/api/cameras/{row['uuid']}"
    assert client.post("/api/cameras", json={**row, "uuid": None, "id": "", "name": " "}).json()[
        "errors"
    ][0]["path"] == "name"  # fmt: skip
    assert client.put(path, json={"name": "\u00a0", "version": 1}).status_code == 422
    edit = {"name": "e\u0301tage ", "model": " ", "version": 1}
    edited = client.put(path, json=edit).json()
    assert (edited["name"], edited["model"], edited["version"]) == ("\u00e9tage", None, 2)
    echo = {"name": " \u00e9tage", "version": 2}
    assert client.put(path, json=echo).json()["version"] == 2, "nothing differs"


def test_a_show_that_two_may_be_is_neither(client: httpx.Client, make: Any) -> None:
    """Each has its own spelling; a third one names both, in a list as in a row."""
    first, second = (make("productions", name="x") for _ in range(2))
    spelled = f"Twin {first['uuid'][-6:]}x"
    for show, label in ((first, spelled), (second, spelled.upper())):
        edit = {"id": label, "version": 1}
        client.put(f"/api/productions/{show['uuid']}", json=edit).raise_for_status()
        assert client.get(f"/api/cameras/production/{label}").json() == []
    for path in ("cameras/production", "productions"):
        answer = client.get(f"/api/{path}/{spelled.lower()}")
        assert (answer.status_code, answer.json()["code"]) == (409, "AMBIGUOUS_ID"), path


def test_a_reference_is_found_by_what_was_typed(make: Any) -> None:
    ccu = make("ccus", name="CCU", id="CCU 1")
    for label in ("ccu 1", "CCU 1 ", "CCU\u00a01"):
        assert make("cameras", name="A", ccuId=label)["ccuUuid"] == ccu["uuid"]


def test_exactly_the_label_comes_first(make: Any, client: httpx.Client) -> None:
    first, second = (
        make("sends", type="LED", name="A", id="Out 1"),
        make("sends", type="LED", name="B", id="OUT 1"),
    )
    narrow = {"production": first["productionId"]}
    assert client.get("/api/sends/Out 1", params=narrow).json() == first
    assert client.get("/api/sends/OUT 1", params=narrow).json() == second
    answer = client.get("/api/sends/out 1", params=narrow)
    assert (answer.status_code, answer.json()["code"]) == (409, "AMBIGUOUS_ID")


@pytest.mark.parametrize(
    ("label", "others", "suggested"),
    [
        ("FIBER SNAKE 01", (), "FIBER SNAKE 02"), ("E2 IN 1.1", (), "E2 IN 1.2"),
        ("DSM-1", (), "DSM-2"), ("SRC7", (), "SRC8"), ("SCREEN 1A", (), "SCREEN 2A"),
        ("SCREEN 1A", ("SCREEN 1B", "SCREEN 2A"), "SCREEN 3A"),
        ("STAGE 01", ("STAGE 02",), "STAGE 03"), ("STAGE 1", ("STAGE 01",), "STAGE 02"),
        ("STAGE 1", (), "STAGE 2"), ("STAGE 09", (), "STAGE 10"), ("STAGE 99", (), "STAGE 100"),
        ("E2 ID.0 IN 1.4", ("E2 ID.0 IN 1.5",), "E2 ID.0 IN 1.6"), ("R05 OUT 1", (), "R05 OUT 2"),
        ("MEDIA B9", (), "MEDIA B10"), ("SNK_2-07", (), "SNK_2-08"), ("7", (), "8"),
        ("CAM 1 (SPARE)", (), "CAM 2 (SPARE)"), ("src 1", ("SRC 2",), "src 3"),
        ("ENG SNAKE", (), "ENG SNAKE 1"), ("ENG SNAKE", ("ENG SNAKE 1",), "ENG SNAKE 2"),
    ],
)  # fmt: skip
def test_numbering_follows_the_trade(label: str, others: tuple[str, ...], suggested: str) -> None:
    assert suggestion(label, [label, *others]) == suggested


def test_a_new_row_counts_with_its_neighbours_zeros(make: Any) -> None:
    make("cable-snakes", name="x", id="SNAKE 07")
    assert make("cable-snakes", name="x")["id"] == "SNAKE 08"


# Of what is hidden, of what combines, and of what is neither.
HIDDEN = "\u200b\u200c\u200d\u2060\ufeff\u202e\u00ad\u034f\u3164\u2800\u0301\u00a0\u2028 Aé漢1👩"


@given(st.one_of(st.text(max_size=70), st.text(HIDDEN, max_size=12)))
def test_tidy_is_stable(text: str) -> None:
    for kept in (tidy(text), tidy_label(text)):
        assert (tidy(kept), kept.strip()) == (kept, kept)
        assert unicodedata.is_normalized("NFC", kept)
    assert tidy_label(tidy_label(text)) == tidy_label(text)


@pytest.mark.parametrize("text", ["👩\u200d🎤 LEAD", "می\u200cخواهم", "Ⓜ\ufe0f"])
def test_joiners_that_join_stay(text: str) -> None:
    assert tidy(text) == text


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=12))
def test_every_spelling_is_the_same_label(label: str) -> None:
    assert {folded(one) for one in spellings(label)} == {folded(label)}


@given(st.from_regex(r"[A-Z ]{0,8}[0-9]{1,6}[A-Z]{0,2}", fullmatch=True))
def test_a_shape_says_what_was_read(label: str) -> None:
    assert str(Shape.of(label)) == label
