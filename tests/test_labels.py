"""Labels: assigned, taken, suggested, freed; a label is not a key."""

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.model.entity import Row
from app.rules import labels
from tests.support.bodies import ALL, SCOPED, minimal, named
from tests.support.service import created, service

scoped = pytest.mark.parametrize("entity", SCOPED, ids=named)
strict = pytest.mark.parametrize(
    "entity", [e for e in ALL if not e.allow_duplicate_labels], ids=named
)
lenient = pytest.mark.parametrize("entity", [e for e in ALL if e.allow_duplicate_labels], ids=named)


@scoped
def test_without_a_label_the_next_free_one_is_assigned(make: Any, entity: type[Row]) -> None:
    def assigned(**body: Any) -> str:
        return str(make(entity.collection, **minimal(entity, **body))["id"])

    assert assigned() == f"{entity.prefix} 1"
    assert assigned(id="") == f"{entity.prefix} 2"
    assert assigned(id=f"{entity.prefix} 9") == f"{entity.prefix} 9"
    assert assigned(id=None) == f"{entity.prefix} 10", "numerically, and gaps are not refilled"
    assert assigned(id="SOMETHING ELSE 40") == "SOMETHING ELSE 40"
    assert assigned() == f"{entity.prefix} 11"


@scoped
def test_a_deleted_rows_label_is_free_again(client: httpx.Client, make: Any, entity: Any) -> None:
    rows = [make(entity.collection, **minimal(entity)) for _ in range(3)]
    client.delete(f"/api/{entity.collection}/{rows[-1]['uuid']}")
    assert make(entity.collection, **minimal(entity))["id"] == rows[-1]["id"]


@strict
def test_a_taken_label_is_refused_with_the_next_free_one(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    made = make(entity.collection, **minimal(entity))
    scope = {"productionId": made["productionId"]} if entity in SCOPED else {}
    answer = client.post(
        f"/api/{entity.collection}", json={**scope, **minimal(entity, id=made["id"])}
    )
    body = answer.json()
    assert (answer.status_code, body["code"]) == (409, "DUPLICATE_ID")
    assert body["error"]
    assert body["suggestedId"] in body["message"]
    assert (
        make(entity.collection, **minimal(entity, id=body["suggestedId"]))["id"]
        == body["suggestedId"]
    )


@lenient
def test_a_taken_label_is_accepted_where_the_frontend_cannot_ask(make: Any, entity: Any) -> None:
    uuids = {make(entity.collection, **minimal(entity, id="M 1"))["uuid"] for _ in range(2)}
    assert len(uuids) == 2


@scoped
def test_a_clash_on_update_is_accepted(client: httpx.Client, make: Any, entity: type[Row]) -> None:
    first, second = (make(entity.collection, **minimal(entity)) for _ in range(2))
    answer = client.put(f"/api/{entity.collection}/{second['uuid']}", json={"id": first["id"]})
    assert (answer.status_code, answer.json()["id"]) == (200, first["id"])


@scoped
def test_a_row_is_found_by_its_label_while_one_live_row_holds_it(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    path = f"/api/{entity.collection}"
    label = f"RÖBO 1 / {make('productions', name='x')['uuid']}"
    row = make(entity.collection, **minimal(entity, id=label[:64]))
    quoted = httpx.URL(path + "/").join(label[:64].replace("/", "%2F"))
    found = client.get(str(quoted))
    assert found.status_code in {200, 404}  # a slash cannot be part of one path segment
    plain = label.replace("/", "-")[:64]
    client.put(f"{path}/{row['uuid']}", json={"id": plain}).raise_for_status()
    assert client.get(f"{path}/{plain}").json()["uuid"] == row["uuid"]
    other = make(entity.collection, **minimal(entity))
    client.put(f"{path}/{other['uuid']}", json={"id": plain}).raise_for_status()
    for answer in (
        client.get(f"{path}/{plain}"),
        client.put(f"{path}/{plain}", json={"name": "x"}),
        client.delete(f"{path}/{plain}"),
    ):
        body = answer.json()
        assert (answer.status_code, body["code"]) == (409, "AMBIGUOUS_ID")
        assert {c["uuid"] for c in body["candidates"]} == {row["uuid"], other["uuid"]}


@scoped
def test_a_label_that_looks_like_a_uuid_is_still_a_label(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    label = make("productions", name="x")["uuid"]
    row = make(entity.collection, **minimal(entity, id=label))
    assert client.get(f"/api/{entity.collection}/{label}").json() == row
    twin = make(entity.collection, **minimal(entity, uuid=label))
    assert client.get(f"/api/{entity.collection}/{label}").json() == twin, "the uuid comes first"


def test_productions_are_labelled_across_all(client: httpx.Client, make: Any) -> None:
    one, two = make("productions", name="x"), make("productions", name="x")
    assert labels.parse(one["id"])[0] == labels.parse(two["id"])[0] == "SHOW"
    assert one["id"] != two["id"]
    clash = client.put(f"/api/productions/{two['uuid']}", json={"id": one["id"], "version": 1})
    assert clash.status_code == 200
    for path in (f"/api/cameras/production/{one['id']}", f"/api/productions/{one['id']}"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (409, "AMBIGUOUS_ID")


@scoped
def test_a_number_beyond_counting_is_a_name_of_its_own(make: Any, entity: type[Row]) -> None:
    for label in (f"{entity.prefix} 999999999999999999", f"{entity.prefix} {'9' * 50}"):
        make(entity.collection, **minimal(entity, id=label))
    assigned = [make(entity.collection, **minimal(entity))["id"] for _ in range(3)]
    assert assigned == [f"{entity.prefix} {n}" for n in (1, 2, 3)]


@given(st.text(max_size=70), st.lists(st.text(max_size=70)))
def test_the_next_free_label_is_free(prefix: str, taken: list[str]) -> None:
    assert labels.next_free(prefix, taken) not in taken


@given(st.text(min_size=1, max_size=64), st.lists(st.text(max_size=64)))
def test_a_suggestion_is_free_and_short_enough(label: str, taken: list[str]) -> None:
    suggested = labels.suggestion(label, [*taken, label])
    assert suggested not in {*taken, label}
    assert len(suggested) <= 64


@pytest.mark.parametrize(
    ("label", "parsed"),
    [("CAM 10", ("CAM", 10)), ("SRC7", ("SRC", 7)), ("FIBER SNAKE 01", ("FIBER SNAKE", 1)),
     ("ENG SNAKE", ("ENG SNAKE", None)), ("7", ("", 7)), ("CAM ٣", ("CAM ٣", None))],
)  # fmt: skip
def test_labels_are_read_as_people_do(label: str, parsed: tuple[str, int | None]) -> None:
    assert labels.parse(label) == parsed


def test_a_production_cannot_have_a_label_below_the_highest_twice(client: httpx.Client) -> None:
    """Only the highest label of a prefix is read where there may be thousands of shows."""
    for label in ("ZED 5", "ZED 9", "PLAIN"):
        client.post("/api/productions", json={"id": label, "name": "x"}).raise_for_status()
    for taken, suggested in (("ZED 5", "ZED 10"), ("ZED 9", "ZED 10"), ("PLAIN", "PLAIN 1")):
        answer = client.post("/api/productions", json={"id": taken, "name": "x"})
        told = answer.json()
        assert (answer.status_code, told["code"]) == (409, "DUPLICATE_ID")
        assert told["suggestedId"] == suggested


def test_the_next_show_comes_after_the_highest_ever_however_it_is_written(
    client: httpx.Client,
) -> None:
    def made(label: str) -> dict[str, Any]:
        answer = client.post("/api/productions", json={"id": label, "name": "x"})
        return dict(answer.raise_for_status().json())

    first = client.post("/api/productions", json={"name": "x"}).json()
    number = int(first["id"].split()[1])
    gone = made(f"SHOW  0{number + 20}")
    client.delete(f"/api/productions/{gone['uuid']}").raise_for_status()
    for other in (f"SHOW-{number + 500}", f"XSHOW {number + 500}", f"SHOW {10**12}", "SHOW"):
        made(other)
    after = client.post("/api/productions", json={"name": "x"}).json()
    client.delete("/api/productions/SHOW").raise_for_status()
    assert after["id"] == f"SHOW {number + 21}"


def test_no_label_is_given_or_suggested_that_a_show_has(client: httpx.Client) -> None:
    """Not even where numbers end, or where a suggestion has another beginning."""

    def posted(label: str) -> httpx.Response:
        return client.post("/api/productions", json={"id": label, "name": "x"})

    for label in ("Q 999999999", "Q 1000000000", "a" * 64):
        assert posted(label).status_code == 201
    for label in ("Q 999999999", "a" * 64, "a" * 64):
        suggested = posted(label).json()["suggestedId"]
        assert posted(suggested).status_code == 201


async def test_shows_beyond_the_highest_number_get_labels_of_their_own(own_database: str) -> None:
    with service(own_database) as client:
        for label in ("SHOW 999999999", "SHOW 1000000000"):
            created(client, "productions", id=label, name="x")
        given = [created(client, "productions", name="x")["id"] for _ in range(3)]
    assert given == [f"SHOW {10**9 + n}" for n in (1, 2, 3)]
