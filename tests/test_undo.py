"""Undoing a change by its number: one more edit, which merges and conflicts like any other."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.entities import root
from app.model.entity import Row
from app.model.secret_fields import public
from app.sql.show_reads import members as show_members
from tests.support import databases
from tests.support.bodies import ALL, REPRESENTATIVES, SCOPED, full, minimal, named
from tests.test_restore import content, emptied, entries, path

every = pytest.mark.parametrize("entity", REPRESENTATIVES, ids=named)
all_types = pytest.mark.parametrize("entity", ALL, ids=named)
Made = dict[str, Any]


def changes(client: httpx.Client, show: Made) -> list[Made]:
    answer = client.get(f"/api/productions/{show['uuid']}/changes", params={"limit": 1_000})
    found: list[Made] = answer.raise_for_status().json()["changes"]
    return found


def last(client: httpx.Client, show: Made) -> int:
    return int(changes(client, show)[-1]["seq"])


def undo(client: httpx.Client, show: Made, seq: object, **body: Any) -> httpx.Response:
    return client.post(f"/api/productions/{show['uuid']}/changes/{seq}/undo", json=body)


def undo_request(client: httpx.Client, show: Made, seq: object, **body: Any) -> httpx.Response:
    return client.post(f"/api/productions/{show['uuid']}/changes/{seq}/undo-request", json=body)


def undone(client: httpx.Client, show: Made, seq: object, **body: Any) -> Made:
    row: Made = undo(client, show, seq, **body).raise_for_status().json()
    return row


def put(client: httpx.Client, entity: type[Row], row: Made, **members: Any) -> Made:
    answer = client.put(path(entity, row), json=members)
    changed: Made = answer.raise_for_status().json()
    return changed


def show_of(production: Made, entity: type[Row], row: Made) -> Made:
    """Return the production in whose log a row's changes are."""
    return row if entity is root() else production


def fields(entity: type[Row]) -> tuple[str, str]:
    """Return two members that take any text."""
    return next(iter(minimal(entity))), "note" if entity in SCOPED else "venue"


@all_types
def test_an_update_a_delete_and_a_create_go_back_and_forth(
    client: httpx.Client, make: Any, production: Made, entity: type[Row]
) -> None:
    row = make(entity.collection, **full(entity))
    show = show_of(production, entity, row)
    made = last(client, show)
    other = emptied(client, entity, row)
    changed = last(client, show)
    who = {"userId": "u7", "userName": "Ann", "lastModifiedBy": "Ann's laptop"}
    again = undone(client, show, changed, **who)
    assert content(again) == content(row)
    assert (again["version"], again["lastModifiedBy"]) == (3, "Ann's laptop")
    assert client.get(path(entity, row)).json() == again
    entry, before, *_ = entries(client, entity, row)
    assert (entry["operation"], entry["userName"], entry["blind"]) == ("UPDATE", "Ann", False)
    assert entry["changes"] == {n: pair[::-1] for n, pair in before["changes"].items()}
    assert undone(client, show, changed) == again, "once is enough"
    assert content(undone(client, show, last(client, show))) == content(other)
    assert content(undone(client, show, last(client, show))) == content(row)
    # The row itself: as it was made, deleted, brought back, and gone once more.
    gone = undone(client, show, made)
    assert (gone["isDeleted"], client.get(path(entity, row)).status_code) == (True, 404)
    deleted = last(client, show)
    assert undone(client, show, made) == gone
    back = undone(client, show, deleted)
    assert content(back) == content(row)
    assert client.get(path(entity, row)).json() == back
    assert undone(client, show, deleted) == back
    assert undone(client, show, last(client, show))["isDeleted"]
    assert [entry["operation"] for entry in changes(client, show)][-3:] == [
        "DELETE", "CREATE", "DELETE",
    ]  # fmt: skip
    assert [entry["version"] for entry in entries(client, entity, row)] == [*range(8, 0, -1)]


@pytest.mark.parametrize("turned", [False, True], ids=["undo first", "edit first"])
@every
def test_an_edit_of_another_field_and_an_undo_both_win(
    client: httpx.Client, make: Any, production: Made, entity: type[Row], turned: bool
) -> None:
    name, other = fields(entity)
    row = make(entity.collection, **minimal(entity))
    show = show_of(production, entity, row)
    put(client, entity, row, **{name: "Wrong", "version": 1})
    seq = last(client, show)
    steps: list[Callable[[], Made]] = [
        lambda: undone(client, show, seq),
        lambda: put(client, entity, row, **{other: "Mine", "version": 2}),
    ]
    after = [step() for step in (steps[::-1] if turned else steps)][-1]
    assert (after[name], after[other], after["version"]) == (row[name], "Mine", 4)


@every
def test_what_somebody_changed_since_conflicts_and_loses_nothing(
    client: httpx.Client, make: Any, production: Made, entity: type[Row]
) -> None:
    name, other = fields(entity)
    row = make(entity.collection, **minimal(entity))
    show = show_of(production, entity, row)
    made = last(client, show)
    put(client, entity, row, **{name: "First", other: "First", "version": 1})
    seq = last(client, show)
    theirs = put(client, entity, row, **{name: "Theirs", "version": 2})
    answer = undo(client, show, seq)
    assert (answer.status_code, answer.json()["code"]) == (409, "VERSION_CONFLICT")
    assert answer.json()["error"] == entity.conflict_error
    assert answer.json()["serverData"] == public(entity, theirs)
    [conflict] = answer.json()["conflicts"]
    found = [conflict[word] for word in ("baseValue", "clientValue", "serverValue")]
    assert (conflict["fieldName"], found) == (name, ["First", row[name], "Theirs"])
    # Nor is a row deleted on which somebody has worked since it was made.
    answer = undo(client, show, made)
    assert (answer.status_code, answer.json()["code"]) == (409, "VERSION_CONFLICT")
    assert {c["fieldName"] for c in answer.json()["conflicts"]} == {name, other}
    assert client.get(path(entity, row)).json() == theirs
    # Who takes the later change back first can take back the earlier one.
    undone(client, show, last(client, show))
    assert content(undone(client, show, seq)) == content(row)
    assert undone(client, show, made)["isDeleted"]


@every
def test_what_went_back_once_stays_so_whatever_came_after(
    client: httpx.Client, make: Any, production: Made, entity: type[Row]
) -> None:
    name, _ = fields(entity)
    row = make(entity.collection, **minimal(entity))
    show = show_of(production, entity, row)
    for version, value in enumerate(("B", "C"), 1):
        put(client, entity, row, **{name: value, "version": version})
    seq = last(client, show)
    undone(client, show, seq)
    now = undone(client, show, seq - 1)
    assert (now[name], now["version"]) == (row[name], 5)
    assert undone(client, show, seq) == undone(client, show, seq - 1) == now
    typed = put(client, entity, row, **{name: "D", "version": 5})
    assert undone(client, show, seq) == undone(client, show, seq - 1) == typed
    # There and back again, and both taken back: the first one counts anew.
    for version, value in enumerate(("E", "D"), 6):
        put(client, entity, row, **{name: value, "version": version})
    there = last(client, show) - 1
    assert undone(client, show, there + 1)[name] == "E"
    assert undone(client, show, there)[name] == "D"


@every
def test_a_change_of_a_deleted_row_waits_for_the_row(
    client: httpx.Client, make: Any, production: Made, entity: type[Row]
) -> None:
    name, _ = fields(entity)
    row = make(entity.collection, **minimal(entity))
    show = show_of(production, entity, row)
    put(client, entity, row, **{name: "Wrong", "version": 1})
    seq = last(client, show)
    client.delete(path(entity, row)).raise_for_status()
    answer = undo(client, show, seq)
    assert (answer.status_code, answer.json()["reason"]) == (409, "deleted")
    assert answer.json()["serverData"]["isDeleted"]
    client.post(answer.json()["restore"]).raise_for_status()
    assert undone(client, show, seq)[name] == row[name]
    if entity is not root():
        back = last(client, show)
        client.delete(path(root(), production)).raise_for_status()
        for number in (seq, back):
            answer = undo(client, show, number)
            assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")
            assert production["uuid"] in answer.json()["message"]


def test_a_deleted_show_comes_back_by_the_number_of_its_delete(
    client: httpx.Client, make: Any, production: Made
) -> None:
    row = make("cameras", name="x")
    answer = undo(client, production, 1)
    assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")
    client.delete(path(root(), production)).raise_for_status()
    assert content(undone(client, production, last(client, production))) == content(production)
    assert client.get(f"/api/cameras/{row['uuid']}").json() == row


@every
async def test_numbers_that_are_not_there_say_so(
    client: httpx.Client, make: Any, production: Made, shared_database: str, entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity))
    show = show_of(production, entity, row)
    put(client, entity, row, **{fields(entity)[1]: "x", "version": 1})
    latest = last(client, show)
    for seq, status in ((latest + 1, 404), (2**63 - 1, 404), (0, 422), (-1, 422), ("x", 422)):
        assert undo(client, show, seq).status_code == status, seq
        assert undo_request(client, show, seq).status_code == status, seq
    for nowhere in ("NOWHERE", str(uuid4())):
        answer = undo(client, {"uuid": nowhere}, 1)
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
    sql = "DELETE FROM changes WHERE production_uuid = $1 AND seq < $2"
    await databases.execute(shared_database, sql, show["uuid"], latest)
    for answer in (undo(client, show, latest - 1), undo_request(client, show, latest - 1)):
        assert (answer.status_code, answer.json()["code"]) == (410, "LOG_TRIMMED")
        assert (answer.json()["oldest"], answer.json()["latest"]) == (latest, latest)
    # Whether that request wrote more than what is left of it, nobody knows.
    assert undo_request(client, show, latest).status_code == 410
    assert undone(client, show, latest)[fields(entity)[1]] == row[fields(entity)[1]]
    await databases.execute(shared_database, sql, show["uuid"], latest + 2)
    assert undo(client, show, latest).status_code == 410


def test_a_number_counts_in_its_own_show_alone(
    client: httpx.Client, make: Any, production: Made
) -> None:
    row = make("cameras", name="x")
    for n in range(3):
        put(client, ENTITIES["cameras"], row, name=f"x{n}")
    other = client.post("/api/productions", json={"name": "Other"}).raise_for_status().json()
    assert undo(client, other, last(client, production)).status_code == 404
    assert client.get(f"/api/cameras/{row['uuid']}").json()["name"] == "x2"


def test_a_label_of_two_shows_undoes_in_neither(client: httpx.Client, production: Made) -> None:
    other = client.post("/api/productions", json={"name": "Other"}).raise_for_status().json()
    for n, show in enumerate((production, other)):
        renamed = {"id": f"TWICE {production['uuid']}", "venue": f"{n}", "version": 1}
        put(client, root(), show, **renamed)
    answer = undo(client, {"uuid": f"TWICE {production['uuid']}"}, 2)
    assert (answer.status_code, answer.json()["code"]) == (409, "AMBIGUOUS_ID")
    assert undone(client, production, 2)["id"] == production["id"]


ENTITIES = {entity.collection: entity for entity in ALL}


# What a row names


def test_a_reference_goes_back_where_its_end_still_lives(
    client: httpx.Client, make: Any, production: Made
) -> None:
    one, other = (make("ccus", name=f"CCU {n}") for n in range(2))
    row = make("cameras", name="x", ccuId=one["id"])
    put(client, ENTITIES["cameras"], row, ccuId=other["id"])
    seq = last(client, production)
    put(client, ENTITIES["ccus"], one, id="RENAMED")
    renamed = last(client, production)
    again = undone(client, production, seq)
    assert (again["ccuUuid"], again["ccuId"]) == (one["uuid"], "RENAMED")
    # What reads differently since a renaming has no number of its own: undo the renaming.
    undone(client, production, renamed)
    assert client.get(f"/api/cameras/{row['uuid']}").json()["ccuId"] == one["id"]
    undone(client, production, last(client, production) - 1)
    client.delete(f"/api/ccus/{one['uuid']}").raise_for_status()
    answer = undo(client, production, seq)
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "ccuUuid")


def test_an_end_goes_back_to_its_device_whatever_that_is_called_today(
    client: httpx.Client, make: Any, production: Made
) -> None:
    one, other = (make("sends", name="x", type="y") for _ in range(2))
    row = make("connections", destinationType="SEND", destinationId=one["id"])
    put(client, ENTITIES["connections"], row, destinationId=other["id"], note="moved")
    seq = last(client, production)
    put(client, ENTITIES["sends"], one, id="RENAMED")
    put(client, ENTITIES["sends"], other, id=one["id"])
    again = undone(client, production, seq)
    assert (again["destinationUuid"], again["destinationId"]) == (one["uuid"], "RENAMED")
    assert again["note"] == row["note"]


@pytest.mark.parametrize("turned", [False, True], ids=["undo first", "edit first"])
def test_a_list_goes_back_by_element(
    client: httpx.Client, make: Any, production: Made, turned: bool
) -> None:
    outputs = [{"connector": name, "hRes": 1920} for name in ("HDMI", "SDI")]
    row = make("sources", name="x", type="y", outputs=outputs)
    hdmi, sdi = row["outputs"]
    source = ENTITIES["sources"]
    # Ann drops HDMI and adds DP; Bob changes SDI. Ann's change is undone, Bob's stands.
    after = put(client, source, row, outputs=[sdi, {"connector": "DP"}], version=1)
    seq, bobs = last(client, production), {**sdi, "rate": 50}
    seen = after["outputs"]
    steps: list[Callable[[], Made]] = [
        lambda: undone(client, production, seq),
        lambda: put(client, source, row, outputs=[bobs, seen[1]], version=2),
    ]
    after = [step() for step in (steps[::-1] if turned else steps)][-1]
    assert after["outputs"] == [hdmi, bobs]
    assert client.get(path(source, row)).json() == after


# One request


@pytest.mark.parametrize("collection", ["sources", "sends"])
def test_a_bulk_goes_back_as_it_came(
    client: httpx.Client, make: Any, production: Made, collection: str
) -> None:
    entity = ENTITIES[collection]
    rows = [make(collection, **full(entity, id=f"ROW {n}")) for n in range(4)]
    bulk = [
        {"op": "create", "data": minimal(entity, id="NEW")},
        {"op": "update", "key": "NEW", "data": {"note": "a"}},
        {"op": "update", "key": rows[0]["uuid"], "data": {"note": "b", "id": "FIRST"}},
        {"op": "update", "key": rows[0]["uuid"], "data": {"note": "c"}},
        *({"op": "delete", "key": row["uuid"]} for row in rows[:3]),
    ]
    url = f"/api/productions/{production['uuid']}/{collection}"
    before = client.get(f"/api/{collection}/production/{production['uuid']}").json()
    client.post(f"{url}/bulk", json={"operations": bulk}).raise_for_status()
    seq = last(client, production)
    # A neighbour's change is another request's, whatever lies beside it.
    put(client, entity, rows[3], note="later")
    answer = undo_request(client, production, seq - 3, userId="u7").raise_for_status()
    results = answer.json()["results"]
    assert [result["seq"] for result in results] == [*range(seq, seq - 7, -1)]
    assert {result["status"] for result in results} == {"undone"}
    now = client.get(f"/api/{collection}/production/{production['uuid']}").json()
    assert [content(row) for row in now[:3]] == [content(row) for row in before[:3]]
    assert [row["note"] for row in now[3:]] == ["later"]
    twice = undo_request(client, production, seq).raise_for_status().json()["results"]
    assert {result["status"] for result in twice} == {"unchanged"}


def test_a_renumbering_and_what_a_delete_cleared_go_back_together(
    client: httpx.Client, make: Any, production: Made
) -> None:
    ccu = make("ccus", name="C")
    rows = [make("cameras", name="x", ccuId=ccu["id"]) for _ in range(3)]
    url = f"/api/productions/{production['uuid']}/cameras/renumber"
    order = {"order": [row["uuid"] for row in rows[::-1]]}
    client.post(url, json={"prefix": "CAM", **order}).raise_for_status()
    renumbered = last(client, production)
    client.delete(f"/api/ccus/{ccu['uuid']}").raise_for_status()
    undo_request(client, production, last(client, production)).raise_for_status()
    undo_request(client, production, renumbered).raise_for_status()
    now = client.get(f"/api/cameras/production/{production['uuid']}").json()
    assert [(row["id"], row["ccuUuid"]) for row in now] == [
        (row["id"], ccu["uuid"]) for row in rows
    ]


def test_one_that_cannot_go_back_keeps_its_request_whole(
    client: httpx.Client, make: Any, production: Made
) -> None:
    rows = [make("sends", name="x", type="y") for _ in range(3)]
    url = f"/api/productions/{production['uuid']}/sends/bulk"
    bulk = [{"op": "update", "key": row["uuid"], "data": {"note": "a"}} for row in rows]
    client.post(url, json={"operations": bulk}).raise_for_status()
    seq = last(client, production)
    put(client, ENTITIES["sends"], rows[1], note="theirs")
    answer = undo_request(client, production, seq)
    assert (answer.status_code, answer.json()["code"]) == (409, "BULK_FAILED")
    [failed] = answer.json()["results"]
    assert (failed["seq"], failed["error"]) == (seq - 1, undo(client, production, seq - 1).json())
    assert last(client, production) == seq + 1
    assert undone(client, production, seq)["note"] is None


# As on every POST


def test_a_key_undoes_once_and_unknown_members_are_named(
    client: httpx.Client, make: Any, production: Made
) -> None:
    row = make("cameras", name="x")
    put(client, ENTITIES["cameras"], row, name="y")
    seq = last(client, production)
    url = f"/api/productions/{production['id']}/changes/{seq}/undo"
    headers = {"Idempotency-Key": str(uuid4())}
    first = client.post(url, json={"mood": "calm"}, headers=headers).raise_for_status()
    assert first.headers["x-ignored-fields"] == "mood"
    put(client, ENTITIES["cameras"], row, name="y")
    again = client.post(url, json={"mood": "calm"}, headers=headers)
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    assert client.get(path(ENTITIES["cameras"], row)).json()["name"] == "y"
    url = f"/api/productions/{production['id']}/changes/{last(client, production)}/undo"
    assert client.post(url).raise_for_status().json()["name"] == "x", "without a body, too"


def test_an_undo_is_told_like_any_edit(client: httpx.Client, make: Any, production: Made) -> None:
    row = make("cameras", name="x", note="a")
    put(client, ENTITIES["cameras"], row, note="b")
    seq = last(client, production)
    again = undone(client, production, seq, userId="u7", userName="Ann")
    [entry] = changes(client, production)[seq:]
    assert (entry["seq"], entry["userName"], entry["entityData"]) == (seq + 1, "Ann", again)
    url = f"/api/productions/{production['uuid']}/sync"
    pulled = client.post(url, json={"mutations": [], "since": seq}).raise_for_status().json()
    assert pulled["changes"] == [entry]
    # An offline edit from before the undo merges with it, by its base.
    mutation = {"mutationId": "m", "op": "update", "collection": "cameras", "uuid": row["uuid"]}
    offline = {**mutation, "version": 2, "data": {"note": "b", "name": "Mine"}}
    answer = client.post(url, json={"mutations": [offline]}).raise_for_status().json()
    assert (answer["results"][0]["status"], answer["results"][0]["entity"]["note"]) == (
        "merged",
        "a",
    )


def test_two_who_undo_a_change_at_once_undo_it_once(
    client: httpx.Client, make: Any, production: Made
) -> None:
    row = make("sources", **full(ENTITIES["sources"]))
    emptied(client, ENTITIES["sources"], row)
    seq = last(client, production)
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(undo, client, production, seq) for _ in range(4)]
    answers = [done.result() for done in asked]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert last(client, production) == seq + 1


@pytest.mark.parametrize("seed", range(2))
def test_a_day_of_work_goes_back_step_by_step(
    client: httpx.Client, production: Made, seed: int
) -> None:
    """Each request is undone, the last one first: after each the show is as it was before it."""
    day = Day(client, production, Random(seed))  # noqa: S311  # no secret
    before: list[tuple[int, int, dict[str, Made]]] = []
    while len(before) < 25:
        seq, show = last(client, production), day.look()
        day.work()
        if last(client, production) > seq:
            before.append((seq + 1, last(client, production), show))
    assert len(day.look()) > 2
    for first, end, show in before[::-1]:
        number, way = day.random.randint(first, end), undo if first == end else undo_request
        answer = way(client, production, number)
        assert answer.status_code == 200, answer.text
        assert day.look() == show, (first, end)


class Day:
    """What people do to a show: rows that name each other are made, changed, called and deleted."""

    def __init__(self, client: httpx.Client, production: Made, random: Random) -> None:
        self.client, self.random = client, random
        self.url = f"/api/productions/{production['uuid']}"
        self.rows: dict[str, dict[str, Made]] = {}

    def look(self) -> dict[str, Made]:
        """Return all rows by uuid, without what every write gives anew."""
        show = self.client.get(f"{self.url}/show").raise_for_status().json()
        self.rows = {
            entity.collection: {row["uuid"]: row for row in show[member]}
            for member, entity in show_members().items()
            if entity in SCOPED
        }
        return {uuid: content(row) for rows in self.rows.values() for uuid, row in rows.items()}

    def work(self) -> None:
        """Do one thing; one that is refused does nothing."""
        collection = self.random.choice(["ccus", "cameras", "sources", "sends", "connections"])
        rows = [*self.rows[collection]]
        few = self.random.sample(rows, min(len(rows), self.random.randint(1, 3)))
        ways: list[Made] = [{"op": "create", "data": self._members(collection)}]
        ways += [{"op": "update", "key": key, "data": self._members(collection)} for key in few]
        # What a connection names in vain cannot be named again: that is another test.
        ends = [(r["sourceUuid"], r["destinationUuid"]) for r in self.rows["connections"].values()]
        ways += [{"op": "delete", "key": k} for k in few[:1] if not any(k in end for end in ends)]
        if self.random.random() < 0.2 and rows:
            order = {"order": few, "start": self.random.randint(1, 9), "prefix": "X"}
            self.client.post(f"{self.url}/{collection}/renumber", json=order)
            return
        operations = self.random.sample(ways, self.random.randint(1, len(ways)))
        body = {"operations": operations, "atomic": False}
        self.client.post(f"{self.url}/{collection}/bulk", json=body).raise_for_status()

    def _members(self, collection: str) -> Made:
        members: Made = {"note": self.random.choice(["a", "b", None])}
        if collection != "connections":
            members["name"] = self.random.choice(["N", "M"])
        if collection in {"sources", "sends"}:
            members["type"] = "T"
        if collection == "sources":
            names = self.random.sample(["HDMI", "SDI", "DP"], self.random.randint(0, 3))
            members["outputs"] = [{"id": name, "connector": name} for name in names]
        if collection == "cameras":
            members["ccuUuid"] = self._any("ccus")
        if collection == "connections":
            kind, devices = self.random.choice([("SEND", "sends"), ("CAMERA", "cameras")])
            members["sourceUuid"] = self._any("sources")
            members |= {"destinationType": kind, "destinationUuid": self._any(devices)}
        return members

    def _any(self, collection: str) -> str | None:
        return self.random.choice([None, *self.rows[collection]])
