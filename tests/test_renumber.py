"""Renumbering: many rows get labels that count on, swapped or not, in one go."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.changelog.log import Actor
from app.model.entity import Row
from app.releases.migrations.alembic_runner import upgrade
from app.releases.migrations.revisions import history, needed
from app.store.delete import delete
from app.store.renumber import Renaming, Renumber, one_holder, renumber
from tests.legacy import quiet
from tests.support.bodies import OLDER, SCOPED, SCOPED_REPRESENTATIVES, minimal, named
from tests.support.holding import after, counted, logged
from tests.support.service import created, service
from tests.test_writer import listening

scoped = pytest.mark.parametrize("entity", SCOPED_REPRESENTATIVES, ids=named)
strict = pytest.mark.parametrize(
    "entity", [e for e in SCOPED if not e.allow_duplicate_labels], ids=named
)
lenient = pytest.mark.parametrize(
    "entity", [e for e in SCOPED if e.allow_duplicate_labels], ids=named
)
Made = dict[str, Any]


def send(
    client: httpx.Client, production: Made, entity: type[Row], **members: Any
) -> httpx.Response:
    path = f"/api/productions/{production['uuid']}/{entity.collection}/renumber"
    return client.post(path, json=members)


def rows(client: httpx.Client, entity: type[Row], production: Made, *labels: str) -> list[Made]:
    return [
        created(client, entity.collection, productionId=production["uuid"],
                **minimal(entity, id=label))
        for label in labels
    ]  # fmt: skip


def labels(client: httpx.Client, entity: type[Row], production: Made) -> list[tuple[str, int]]:
    found = client.get(f"/api/{entity.collection}/production/{production['uuid']}").json()
    return [(row["id"], row["version"]) for row in found]


@scoped
async def test_all_rows_are_numbered_in_the_order_of_the_list(
    client: httpx.Client, production: Made, shared_database: str, entity: type[Row]
) -> None:
    prefix = entity.prefix
    made = rows(client, entity, production, "ROBO 7", f"{prefix} 2", f"{prefix} 1", "X")
    async with listening(shared_database) as heard:
        answer = await asyncio.to_thread(send, client, production, entity, userId="anna")
    uuids = [row["uuid"] for row in made]
    were = [row["id"] for row in made]
    assert answer.raise_for_status().json() == {
        "results": [
            {"uuid": uuid, "from": was, "to": f"{prefix} {n}"}
            for n, (uuid, was) in enumerate(zip(uuids, were, strict=True), 1)
        ],
        "renamed": 3,
    }
    assert labels(client, entity, production) == [
        (f"{prefix} 1", 2), (f"{prefix} 2", 1), (f"{prefix} 3", 2), (f"{prefix} 4", 2),
    ]  # fmt: skip
    log = await logged(shared_database, production["uuid"])
    assert log[5:] == [[5 + n, "UPDATE", f"{prefix} {k}", "anna"] for n, k in ((1, 1), (2, 3),
                       (3, 4))]  # fmt: skip
    ours = [told for told in heard if told.startswith(production["uuid"])]
    name = entity.collection
    assert ours == [f"{production['uuid']} {seq} {name}" for seq in (6, 7, 8)]
    assert send(client, production, entity).json()["renamed"] == 0
    assert await counted(shared_database, production["uuid"]) == 8


@scoped
def test_labels_are_swapped_and_the_log_knows_what_they_were(
    client: httpx.Client, production: Made, entity: type[Row]
) -> None:
    made = rows(client, entity, production, "P 1", "P 2", "P 3", "KEPT")
    order = [made[2]["uuid"], "P 1", "P 2"]
    send(client, production, entity, order=order, prefix="P").raise_for_status()
    assert labels(client, entity, production) == [("P 2", 2), ("P 3", 2), ("P 1", 2), ("KEPT", 1)]
    events = client.get(f"/api/productions/{production['uuid']}/events").json()[:3]
    assert [event["changes"]["id"] for event in reversed(events)] == [
        ["P 3", "P 1"], ["P 1", "P 2"], ["P 2", "P 3"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"prefix": "ROBO", "start": 9}, ["ROBO 9", "ROBO 10"]),
        ({"prefix": "ROBO", "width": 3}, ["ROBO 001", "ROBO 002"]),
        ({"prefix": " ROBO  ", "start": 9_999, "width": 6}, ["ROBO 009999", "ROBO 010000"]),
        ({"prefix": "é 🎥"}, ["é 🎥 1", "é 🎥 2"]),
        ({"prefix": "x" * 57, "width": 6}, [f"{'x' * 57} 000001", f"{'x' * 57} 000002"]),
        ({"prefix": ""}, None), ({"prefix": None, "start": None, "width": None}, None),
        ({"prefix": "  "}, None), ({"order": None}, None),
    ],
    ids=range(9),
)  # fmt: skip
@scoped
def test_labels_are_made_of_prefix_start_and_width(
    client: httpx.Client, production: Made, entity: type[Row], said: Any, expected: Any
) -> None:
    rows(client, entity, production, "A", "B")
    send(client, production, entity, **said).raise_for_status()
    wanted = expected or [f"{entity.prefix} {n}" for n in (1, 2)]
    assert [label for label, _ in labels(client, entity, production)] == wanted


@strict
async def test_a_label_that_another_row_keeps_is_refused_and_nothing_is_written(
    client: httpx.Client, production: Made, shared_database: str, entity: type[Row]
) -> None:
    made = rows(client, entity, production, "A", "B", "P 2")
    answer = send(client, production, entity, order=["A", "B"], prefix="P")
    body = answer.json()
    assert (answer.status_code, body["code"]) == (409, "DUPLICATE_ID")
    assert body["holders"] == [{"uuid": made[2]["uuid"], "id": "P 2"}]
    assert "'P 2'" in body["message"]
    assert body["suggestedId"] == "P 3"
    assert labels(client, entity, production) == [("A", 1), ("B", 1), ("P 2", 1)]
    assert await counted(shared_database, production["uuid"]) == 4
    client.delete(f"/api/{entity.collection}/{made[2]['uuid']}").raise_for_status()
    send(client, production, entity, order=["A", "B"], prefix="P").raise_for_status()


@lenient
def test_where_labels_may_clash_it_is_accepted(
    client: httpx.Client, production: Made, entity: type[Row]
) -> None:
    rows(client, entity, production, "A", "B", "P 2")
    send(client, production, entity, order=["A", "B"], prefix="P").raise_for_status()
    assert [label for label, _ in labels(client, entity, production)] == ["P 1", "P 2", "P 2"]


@scoped
def test_rows_that_share_a_label_are_told_apart(
    client: httpx.Client, production: Made, entity: type[Row]
) -> None:
    made = rows(client, entity, production, "A", "B")
    client.put(f"/api/{entity.collection}/{made[1]['uuid']}", json={"id": "A"}).raise_for_status()
    answer = send(client, production, entity, order=["A"])
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"path": "order.0", "message": "2 rows are called 'A': send the uuid"}
    ]
    send(client, production, entity).raise_for_status()
    wanted = [f"{entity.prefix} {n}" for n in (1, 2)]
    assert [label for label, _ in labels(client, entity, production)] == wanted


@scoped
def test_keys_that_name_nothing_or_a_row_twice_are_told_with_their_place(
    client: httpx.Client, production: Made, entity: type[Row]
) -> None:
    made = rows(client, entity, production, "A", "B")
    other = created(client, "productions", name="Another show")
    [foreign] = rows(client, entity, other, "C")
    client.delete(f"/api/{entity.collection}/{made[1]['uuid']}").raise_for_status()
    order = ["NOBODY", "A", made[0]["uuid"], foreign["uuid"], "C", "B", str(uuid4()), "A"]
    answer = send(client, production, entity, order=order)
    assert answer.status_code == 422
    paths = [error["path"] for error in answer.json()["errors"]]
    assert paths == [f"order.{n}" for n in (0, 2, 3, 4, 5, 6, 7)]
    assert "order.1" in answer.json()["errors"][1]["message"]
    assert labels(client, entity, production) == [("A", 1)]


@pytest.mark.parametrize("first", ["renumber", "another writer"])
@scoped
async def test_another_process_waits_or_is_waited_for(
    client: httpx.Client, production: Made, shared_database: str, entity: type[Row], first: str
) -> None:
    rows(client, entity, production, "A", "B")
    path, body = f"/api/{entity.collection}", minimal(entity, productionId=production["uuid"])

    async def renumber_first(held: Any) -> Any:
        return await held.write(
            "", lambda unit: renumber(unit, entity, production["uuid"], Renumber(), Actor())
        )

    def create() -> Any:
        return client.post(path, json=body).raise_for_status().json()["id"]

    if first == "renumber":
        _, label = await after(shared_database, renumber_first, create)
        assert label == f"{entity.prefix} 3", "the new row counts on from the new labels"
    else:
        late = created(client, entity.collection, **body)
        assert late["id"] == f"{entity.prefix} 1"

        async def delete_first(held: Any) -> Any:
            return await held.write("", lambda unit: delete(unit, entity, late["uuid"], Actor()))

        _, answer = await after(
            shared_database, delete_first, lambda: send(client, production, entity)
        )
        assert answer.json()["renamed"] == 2, "the row that is gone takes no number"
        wanted = [(f"{entity.prefix} {n}", 2) for n in (1, 2)]
        assert labels(client, entity, production) == wanted
    numbers = [entry[0] for entry in await logged(shared_database, production["uuid"])]
    assert numbers == list(range(1, await counted(shared_database, production["uuid"]) + 1))


@pytest.mark.parametrize(
    "body",
    [
        [], None, "text", {"order": []}, {"order": {}}, {"order": "A"}, {"order": [None]},
        {"order": [1]}, {"order": [""]}, {"order": ["a\x00"]}, {"order": [["A"]]},
        {"order": ["x" * 1_001]}, {"order": ["A"] * 1_001}, {"prefix": 1}, {"prefix": "a\n"},
        {"prefix": "a\x00"}, {"prefix": "x" * 58}, {"start": 0}, {"start": -1}, {"start": 10_000},
        {"start": "1"}, {"start": 1.5}, {"start": True}, {"start": 10**100}, {"width": -1},
        {"width": 7}, {"width": "2"}, {"width": True}, {"userId": 1}, {"userName": "a\x00"},
    ],
    ids=range(30),
)  # fmt: skip
def test_a_body_of_another_shape_is_refused(
    client: httpx.Client, production: Made, body: Any
) -> None:
    path = f"/api/productions/{production['uuid']}/{SCOPED[0].collection}/renumber"
    answer = client.post(path, json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"]


def test_more_rows_than_one_request_may_write_must_be_named(
    client: httpx.Client, production: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.renumber.MOST", 2)
    rows(client, SCOPED[0], production, "A", "B", "C")
    answer = send(client, production, SCOPED[0])
    assert answer.json()["errors"] == [
        {"path": "order", "message": "there are 3 rows: name up to 2 at a time"}
    ]
    order = ["A", "C"]
    assert send(client, production, SCOPED[0], order=order).json()["renamed"] == 2


def test_what_is_not_known_is_ignored_and_named(client: httpx.Client, production: Made) -> None:
    answer = send(client, production, SCOPED[0], hint=1)
    assert (answer.status_code, answer.json()) == (200, {"results": [], "renamed": 0})
    assert answer.headers["x-ignored-fields"] == "hint"


def test_a_connection_follows_its_devices_new_label(client: httpx.Client, production: Made) -> None:
    scope = {"productionId": production["uuid"]}
    source = created(client, "sources", name="x", type="LAPTOP", id="A", **scope)
    send_row = created(client, "sends", name="x", type="y", id="B", **scope)
    row = created(client, "connections", sourceId="A", destinationType="SEND",
                  destinationUuid=send_row["uuid"], **scope)  # fmt: skip
    for entity in SCOPED:
        if entity.collection in {"sources", "sends"}:
            send(client, production, entity).raise_for_status()
    after = client.get(f"/api/connections/{row['uuid']}").json()
    assert (after["sourceId"], after["destinationId"]) == ("SRC 1", "SEND 1")
    assert after["sourceUuid"] == source["uuid"]


@pytest.fixture
async def older(empty_database: str) -> str:
    """Return a database where an older service's index still keeps labels unique everywhere."""
    await upgrade(empty_database, needed() or history()[0].name, say=quiet)
    return empty_database


async def test_while_labels_are_unique_everywhere_they_are_swapped_all_the_same(
    older: str,
) -> None:
    with service(older) as client:
        show, other = (created(client, "productions", name=name) for name in "ab")
        for entity in OLDER:
            made = rows(client, entity, show, "P 1", "P 2", "P 3", "A")
            order = [made[n]["uuid"] for n in (2, 0, 1, 3)]
            answer = send(client, show, entity, order=order, prefix="P")
            assert answer.raise_for_status().json()["renamed"] == 4
            now = [label for label, _ in labels(client, entity, show)]
            assert now == ["P 2", "P 3", "P 1", "P 4"]
            [theirs] = rows(client, entity, other, "THEIRS")
            for key, taken in ((theirs["uuid"], "P 1"), (made[3]["uuid"], "P 4")):
                client.delete(f"/api/{entity.collection}/{key}").raise_for_status()
                [mine] = rows(client, entity, other, "MINE" if key == theirs["uuid"] else "OWN")
                start = int(taken[-1])
                refused = send(client, other, entity, order=[mine["uuid"]], prefix="P", start=start)
                assert (refused.status_code, refused.json()["code"]) == (409, "DUPLICATE_ID")
                assert "older service" in refused.json()["message"]
                assert refused.json()["suggestedId"] == "P 5"
        for production in (show, other):
            numbers = [entry[0] for entry in await logged(older, production["uuid"])]
            assert numbers == list(range(1, await counted(older, production["uuid"]) + 1))


@given(st.data())
def test_in_the_order_of_one_holder_no_label_is_ever_held_twice(data: st.DataObject) -> None:
    before = data.draw(st.lists(st.integers(0, 12), unique=True, max_size=8))
    new = data.draw(
        st.lists(st.integers(0, 12), unique=True, min_size=len(before), max_size=len(before))
    )
    pairs = [(b, a) for b, a in zip(before, new, strict=True) if b != a]
    # A row that keeps its label would be in the way of all: the caller refuses that first.
    still = set(before) - {b for b, _ in pairs}
    pairs = [(b, a) for b, a in pairs if a not in still]
    told = [Renaming(UUID(int=n), str(b), str(a), 1) for n, (b, a) in enumerate(pairs)]
    afters = {row.after for row in told}
    holding = {row.uuid: row.before for row in told}
    versions = dict.fromkeys(holding, 1)
    for row, label in one_holder(told):
        assert label not in holding.values()
        assert (holding[row.uuid], versions[row.uuid]) == (row.before, row.version)
        holding[row.uuid], versions[row.uuid] = label, row.version + 1
    assert set(holding.values()) == afters
    assert all(holding[row.uuid] == row.after for row in told)
    spare = sum(versions.values()) - 2 * len(told)
    assert spare <= len(told) // 2, "one more step for a ring"
