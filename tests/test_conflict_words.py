"""What a conflict says, pages show to people: who changed what, and a way out that works."""

from typing import Any

import httpx
import pytest

from app.model.entity import Row
from app.rules.wording import member_words, sentence, value_words
from tests.support.bodies import REPRESENTATIVES, SCOPED, full, named
from tests.support.offline import deleting, send
from tests.test_stale_forms import OldForm, edit, stored, texts

every = pytest.mark.parametrize("entity", REPRESENTATIVES, ids=named)


@pytest.mark.parametrize("kept", ["both", "version"])
@pytest.mark.parametrize("door", ["PUT", "bulk", "sync"])
@pytest.mark.parametrize("way", ["yours", "theirs"])
@every
def test_a_conflict_names_people_and_values_and_leads_out(
    client: httpx.Client, make: Any, entity: type[Row], door: str, kept: str, way: str
) -> None:
    if door == "bulk" and entity not in SCOPED:
        pytest.skip("a production is in no bulk")
    both, mine, theirs = texts(entity)
    row = make(entity.collection, **full(entity, **{both: "Before"}))
    form = OldForm(client, entity, row, kept, door)
    edit(client, entity, row, **{both: "Bob's", theirs: "Bob's other"})
    base = form.base
    refused = form.save(**{both: "Anna's", mine: "Anna's other"})
    assert refused.status_code == 409
    message = refused.json()["message"]
    version = refused.json()["currentVersion"]
    told = f"Bob changed {both} from “Before” to “Bob's” on 20"
    for words in (told, "and you entered “Anna's”", f"it is at version {version}"):
        assert words in message
    if way == "theirs":
        form.base = base  # a page that takes over nothing
        after = form.save(**{both: "Bob's"})
    else:
        after = form.save()
    assert after.status_code == 200
    now = stored(client, entity, row)
    winner = "Bob's" if way == "theirs" else "Anna's"
    assert (now[both], now[theirs], now[mine]) == (winner, "Bob's other", "Anna's other")


def test_a_reference_is_named_by_its_label(client: httpx.Client, make: Any) -> None:
    ccus = [make("ccus", name="x", id=f"CCU {letter}") for letter in "ABC"]
    row = make("cameras", name="x", ccuId="CCU A")
    path = f"/api/cameras/{row['uuid']}"
    client.patch(path, json={"ccuId": "CCU B", "version": 1}).raise_for_status()
    answer = client.patch(path, json={"ccuUuid": ccus[2]["uuid"], "version": 1})
    assert answer.status_code == 409
    told = answer.json()["message"]
    assert "somebody changed ccu from “CCU A” to “CCU B”" in told
    assert "you entered “CCU C”" in told


def test_a_list_that_two_changed_leads_out_too(client: httpx.Client, make: Any) -> None:
    row = make("sources", name="x", type="x", outputs=[{"connector": "HDMI"}])
    [output] = row["outputs"]
    path = f"/api/sources/{row['uuid']}"
    body = {"outputs": [{**output, "connector": "DP"}], "version": 1, "userId": "bob"}
    client.patch(path, json=body).raise_for_status()
    mine = {"outputs": [{**output, "connector": "SDI"}], "name": "x", "version": 1}
    answer = client.put(path, json=mine)
    assert answer.status_code == 409
    assert "bob changed outputs from a list of 1 to a list of 1" in answer.json()["message"]
    assert "To keep theirs" not in answer.json()["message"], "nobody can enter a list by hand"
    answer = client.put(path, json={**mine, "version": answer.json()["currentVersion"]})
    assert answer.raise_for_status().json()["outputs"][0]["connector"] == "SDI"


def test_a_delete_that_conflicts_says_who_changed_what(
    client: httpx.Client, make: Any, production: Any
) -> None:
    entity = next(entity for entity in SCOPED if entity.collection == "cameras")
    row = make("cameras", name="x", note="A")
    edit(client, entity, row, note="B")
    [result] = send(client, production, deleting(entity, row["uuid"], 1)).json()["results"]
    error = result["error"]
    assert "not deleted: Bob changed note from “A” to “B”" in error["message"]
    again = deleting(entity, row["uuid"], error["currentVersion"])
    [result] = send(client, production, again).json()["results"]
    assert result["status"] == "applied"


def test_a_version_that_never_was_leads_out(client: httpx.Client, make: Any) -> None:
    row = make("cameras", name="x")
    path = f"/api/cameras/{row['uuid']}"
    answer = client.put(path, json={"name": "y", "version": 9})
    assert (answer.status_code, "version 9" in answer.json()["message"]) == (409, True)
    again = client.put(path, json={"name": "y", "version": answer.json()["currentVersion"]})
    assert again.json()["name"] == "y"


def test_words_of_members_and_values() -> None:
    members = ("showName", "loadIn", "ccuUuid", "sourceOutputId", "id", "note")
    assert [*map(member_words, members)] == [
        "show name", "load in", "ccu", "source output", "label", "note",
    ]  # fmt: skip
    values = (None, "", True, False, 2.0, 2.5, "x" * 61, [1], {"a": 1}, "2027-03-01T08:30:00.000Z")
    assert [*map(value_words, values)] == [
        "nothing", "nothing", "yes", "no", "2", "2.5", f"“{'x' * 60}…”", "a list of 1",
        "other content", "“2027-03-01 08:30 UTC”",
    ]  # fmt: skip
    assert sentence([*"abcdefg"]) == "a; b; c; d; e; and 2 more"
