"""A show goes out as one document over HTTP, comes in as a new show, and is copied."""

import json
import re
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.entities import discovered
from app.shows.copying import moved_to, only, with_new_uuids
from app.shows.references_within import lists_of
from tests.support.bodies import SCOPED, full

UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
COUNTED = {"version", "createdAt", "updatedAt", "created_at", "updated_at", "fieldVersions"}
Json = dict[str, Any]


@pytest.fixture
def show(client: httpx.Client) -> Json:
    """Make a show in which rows refer to each other, and return its document."""
    ccu, source, send = (str(uuid4()) for _ in range(3))
    document = {
        "production": {"showName": "Gala", "loadIn": "2027-03-01", "loadOut": "2027-03-05"},
        "ccus": [{"uuid": ccu, "id": "CCU 1", "name": "LEFT"}],
        "cameras": [{"id": "CAM 1", "name": "LONG", "ccuUuid": ccu}],
        "sources": [{
            "uuid": source, "id": "SRC 1", "type": "LAPTOP", "name": "GFX",
            "outputs": [{"connector": "HDMI", "outputIndex": 1}],
        }],
        "sends": [{"uuid": send, "id": "DST 1", "type": "PROJECTOR", "name": "WALL"}],
        "connections": [{
            "id": "CON 1", "sourceUuid": source, "sourceOutputId": "SRC 1-OUT1",
            "destinationType": "SEND", "destinationUuid": send,
        }],
        "checklistItems": [
            {"title": "Power", "completed": True, "dueDate": "2027-02-15", "daysBeforeShow": 14}
        ],
    }  # fmt: skip
    made = client.post("/api/productions/import", json=document).raise_for_status().json()
    return exported(client, made["uuid"])


def exported(client: httpx.Client, key: str) -> Json:
    answer = client.get(f"/api/productions/{key}/export").raise_for_status()
    assert "attachment" in answer.headers["content-disposition"]
    return dict(answer.json())


def copied(client: httpx.Client, key: str, **body: Any) -> Json:
    answer = client.post(f"/api/productions/{key}/copy", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["etag"]
    return exported(client, answer.json()["uuid"])


def contents(document: Json) -> Any:
    """Return what a show holds, its uuids numbered as they come, its own names left out."""
    numbers: dict[str, str] = {}
    text = UUID.sub(lambda m: numbers.setdefault(m[0], f"#{len(numbers)}"), json.dumps(document))

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {n: plain(v) for n, v in value.items() if n not in COUNTED | {"productionId"}}
        return [plain(each) for each in value] if isinstance(value, list) else value

    read = plain(json.loads(text))
    del read["production"]["id"]
    return read


def test_what_goes_out_comes_in_beside_it(client: httpx.Client, show: Json) -> None:
    made = client.post("/api/productions/import?uuids=new", json=show)
    assert made.status_code == 201, made.text
    assert "x-ignored-fields" not in made.headers
    again = exported(client, made.json()["uuid"])
    assert contents(again) == contents(show)
    assert not set(UUID.findall(json.dumps(again))) & set(UUID.findall(json.dumps(show)))


@pytest.mark.parametrize("without", ["uuid", "id"])
def test_the_same_show_comes_in_once(client: httpx.Client, show: Json, without: str) -> None:
    del show["production"][without]
    answer = client.post("/api/productions/import", json=show)
    assert answer.status_code == 409, answer.text
    assert answer.json()["code"] in {"DUPLICATE_ID", "DUPLICATE_UUID"}


def test_it_comes_back_as_it_was_after_its_rows_are_gone(client: httpx.Client, show: Json) -> None:
    """With a key of its own each row is where references expect it."""
    moved = with_new_uuids(show)
    made = client.post("/api/productions/import", json=moved).raise_for_status().json()
    there = exported(client, made["uuid"])
    for name in lists_of():
        assert [row["uuid"] for row in there[name]] == [row["uuid"] for row in moved[name]]


@pytest.mark.parametrize(("change", "path"), [
    ({"cameras": [{"name": "x", "ccuId": "CCU 9"}]}, "cameras.0.ccuId"),
    ({"cameras": [{"name": "x"}, {"maxZoom": "long"}]}, "cameras.1.name"),
    ({"cameras": ["x"]}, "cameras.0"),
    ({"cameras": {}}, "cameras"),
    ({"production": {}}, "production.showName"),
    ({"format": 2}, "format"),
])  # fmt: skip
def test_a_row_that_is_refused_leaves_nothing(
    client: httpx.Client, change: Json, path: str
) -> None:
    name = f"Refused {uuid4()}"
    document = {"production": {"showName": name}, "ccus": [{"name": "made first"}], **change}
    answer = client.post("/api/productions/import", json=document)
    assert answer.status_code == 422, answer.text
    assert path in [fault["path"] for fault in answer.json()["errors"]]
    assert name not in client.get("/api/productions").text


def test_it_is_made_once_for_a_key(client: httpx.Client, show: Json) -> None:
    key = {"idempotency-key": str(uuid4())}
    first, second = (
        client.post("/api/productions/import?uuids=new", json=show, headers=key) for _ in range(2)
    )
    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"


def test_who_copies_is_in_the_history(client: httpx.Client, show: Json) -> None:
    copy = copied(client, show["production"]["uuid"], userName="Anna")
    path = f"/api/productions/{copy['production']['uuid']}/changes?since=0"
    changes = client.get(path).json()["changes"]
    assert len(changes) == 1 + sum(len(copy[name]) for name in lists_of())
    assert {change["userName"] for change in changes} == {"Anna"}


def test_a_copy_is_the_show_but_for_its_ticks(client: httpx.Client, show: Json) -> None:
    copy = copied(client, show["production"]["uuid"])
    (item,) = copy["checklistItems"]
    assert (item["completed"], item["completedAt"]) == (False, None)
    kept = copied(client, show["production"]["uuid"], keepTicks=True)
    assert contents(kept) == contents(show)


def test_a_copy_has_its_own_names_and_dates(client: httpx.Client, show: Json) -> None:
    label = f"NEXT {uuid4().hex[:8]}"
    copy = copied(
        client, show["production"]["uuid"], id=label, showName="Gala 2028", loadIn="2028-03-01"
    )
    own = copy["production"]
    assert (own["id"], own["showName"]) == (label, "Gala 2028")
    assert (own["loadIn"][:10], own["loadOut"][:10]) == ("2028-03-01", "2028-03-05")
    # Fourteen days before the load-in, as in the show: that February has 29.
    assert copy["checklistItems"][0]["dueDate"][:10] == "2028-02-16"


def test_a_copy_of_some_lists_refers_to_nothing_else(client: httpx.Client, show: Json) -> None:
    key = show["production"]["uuid"]
    copy = copied(client, key, collections=["cameras", "connections", "sends"])
    assert [name for name in lists_of() if copy[name]] == ["cameras", "connections", "sends"]
    (camera,), (connection,) = copy["cameras"], copy["connections"]
    assert (camera["ccuUuid"], camera["ccuId"]) == (None, None)
    assert (connection["sourceUuid"], connection["sourceOutputUuid"]) == (None, None)
    assert connection["destinationUuid"] == copy["sends"][0]["uuid"]
    refused = client.post(f"/api/productions/{key}/copy", json={"collections": ["monitors"]})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["path"] == "collections.0"


def test_what_is_not_there_is_not_copied(client: httpx.Client) -> None:
    for path in ("copy", "export"):
        method = "POST" if path == "copy" else "GET"
        answer = client.request(method, f"/api/productions/{uuid4()}/{path}")
        assert answer.status_code == 404, answer.text


def imported(client: httpx.Client, document: Json, **query: str) -> httpx.Response:
    answer = client.post("/api/productions/import", json=document, params=query)
    assert answer.status_code == 201, answer.text
    return answer


def test_a_label_that_reads_as_another_shows_key_leads_nowhere(
    client: httpx.Client, show: Json
) -> None:
    """The rows go into the new show, whatever its label says."""
    label = show["production"]["uuid"]
    rows = [{"id": "CAM EVIL", "name": "x"}]
    document = {"production": {"id": label, "showName": "T"}, "cameras": rows}
    made = imported(client, document).json()
    listed = client.get(f"/api/cameras/production/{made['uuid']}").json()
    assert [row["id"] for row in listed] == ["CAM EVIL"]
    assert "CAM EVIL" not in json.dumps(exported(client, show["production"]["uuid"]))


def test_a_label_that_another_show_gave_up_may_be_taken(client: httpx.Client, show: Json) -> None:
    key, label = show["production"]["uuid"], show["production"]["id"]
    renamed = {"id": f"NEW {uuid4().hex[:8]}", "version": show["production"]["version"]}
    client.patch(f"/api/productions/{key}", json=renamed).raise_for_status()
    assert copied(client, key, id=label)["cameras"]


def test_what_leads_nowhere_any_more_is_emptied(client: httpx.Client, show: Json) -> None:
    """A deleted source stays named in its show; a copy has nothing that it could name."""
    key = show["production"]["uuid"]
    client.delete(f"/api/sources/{show['sources'][0]['uuid']}").raise_for_status()
    assert exported(client, key)["connections"][0]["sourceUuid"]
    answer = client.post(f"/api/productions/{key}/copy", json={})
    assert answer.status_code == 201, answer.text
    assert "connections.0.sourceUuid" in answer.headers["x-ignored-fields"]
    (connection,) = exported(client, answer.json()["uuid"])["connections"]
    assert (connection["sourceUuid"], connection["sourceId"]) == (None, None)


def test_two_rows_of_one_label_are_copied_apart(client: httpx.Client, show: Json) -> None:
    key = show["production"]["uuid"]
    new = {"productionId": key, "name": "other"}
    other = client.post("/api/cameras", json=new).raise_for_status().json()
    client.patch(f"/api/cameras/{other['uuid']}", json={"id": "CAM 1"}).raise_for_status()
    answer = client.post(f"/api/productions/{key}/copy", json={})
    assert answer.headers["x-ignored-fields"] == "cameras.1.id"
    rows = exported(client, answer.json()["uuid"])["cameras"]
    assert sorted(row["id"] for row in rows) == ["CAM 1", "CAM 2"]


def test_a_device_that_is_only_text_is_left_out_where_its_type_is_ours(
    client: httpx.Client,
) -> None:
    text = {"destinationType": "CAMERA", "destinationId": "CAM 44"}
    document: Json = {"production": {"showName": "T"}, "connections": [text]}
    typed = client.post("/api/productions/import", json=document)
    assert typed.status_code == 422, "a typing mistake"
    document["connections"] = [{**text, "unresolved": ["destination"]}]
    answer = imported(client, document)
    assert "connections.0.destinationId" in answer.headers["x-ignored-fields"]


@pytest.mark.parametrize(("dates", "load_in"), [
    ({"loadIn": "2024-01-01", "loadOut": "9999-12-31"}, "2025-01-01"),
    ({"loadIn": "9999-12-30", "loadOut": "0001-01-02"}, "0001-01-01"),
])  # fmt: skip
def test_dates_that_would_leave_the_calendar_are_refused(
    client: httpx.Client, dates: Json, load_in: str
) -> None:
    made = imported(client, {"production": {"showName": "T", **dates}}).json()
    answer = client.post(f"/api/productions/{made['uuid']}/copy", json={"loadIn": load_in})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["path"] == "loadIn"


def test_a_member_that_no_row_has_is_named(client: httpx.Client) -> None:
    document = {"production": {"showName": "T", "nmae": 1}, "ccus": [{"name": "x", "lable": 1}]}
    answer = imported(client, document)
    assert answer.headers["x-ignored-fields"] == "production.nmae, ccus.0.lable"


def test_one_key_for_two_rows_is_refused_where_it_stands(client: httpx.Client) -> None:
    uuid = str(uuid4())
    rows = [{"uuid": uuid, "name": "x"}, {"uuid": uuid, "name": "y"}]
    document = {"production": {"showName": "T"}, "ccus": rows}
    answer = client.post("/api/productions/import", json=document)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["path"] == "ccus.1.uuid"


def test_only_keys_are_replaced(client: httpx.Client) -> None:
    """A text that stands where a uuid should is no key, and free JSON has none of its own."""
    document = {
        "production": {"showName": "Opening"},
        "connections": [{"destinationType": "PATCHBAY", "signalPath": [{"uuid": "Opening"}]}],
    }
    made = imported(client, document, uuids="new").json()
    assert made["showName"] == "Opening"
    assert exported(client, made["uuid"])["connections"][0]["signalPath"] == [{"uuid": "Opening"}]


def test_a_copy_is_made_once_for_a_key_whatever_happens_then(
    client: httpx.Client, show: Json
) -> None:
    path, key = f"/api/productions/{show['production']['uuid']}", {"idempotency-key": str(uuid4())}
    first = client.post(f"{path}/copy", json={}, headers=key)
    assert first.status_code == 201, first.text
    client.delete(path).raise_for_status()
    assert client.post(f"{path}/copy", json={}, headers=key).json() == first.json()


def test_what_was_done_stays_when_it_was(client: httpx.Client, show: Json) -> None:
    key = show["production"]["uuid"]
    item = show["checklistItems"][0]
    done = {"completionDate": "2027-02-10"}
    client.patch(f"/api/checklist-items/{item['uuid']}", json=done).raise_for_status()
    copy = copied(client, key, keepTicks=True, loadIn="2028-03-01")
    assert copy["checklistItems"][0]["completionDate"][:10] == "2027-02-10"


def test_a_show_of_too_many_rows_is_told_the_other_way(client: httpx.Client) -> None:
    document = {"production": {"showName": "T"}, "sends": [{"type": "x", "name": "x"}] * 1_001}
    answer = client.post("/api/productions/import", json=document)
    assert answer.status_code == 422, answer.text
    assert "python -m app load" in answer.json()["message"]


documents = st.fixed_dictionaries({
    name: st.lists(
        st.fixed_dictionaries({"note": st.text(st.characters(codec="utf-8", exclude_categories=(
            "Cs", "Cc", "Cf", "Zs", "Zl", "Zp")), max_size=8)}), max_size=3)
    for name in lists_of()
})  # fmt: skip


@given(rows=documents)
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_export_import_and_copy_change_nothing(client: httpx.Client, rows: Json) -> None:
    document: Json = {"production": {"showName": "Any"}}
    for name, entity in lists_of().items():
        document[name] = [
            {**full(entity), **row, "id": f"{entity.prefix} {number}"}
            for number, row in enumerate(rows[name])
        ]
    made = client.post("/api/productions/import", json=document)
    assert made.status_code == 201, made.text
    first = exported(client, made.json()["uuid"])
    second = copied(client, made.json()["uuid"], keepTicks=True)
    assert contents(second) == contents(first)


BOUNDS = datetime(2000, 1, 1), datetime(2100, 1, 1)  # noqa: DTZ001  # as hypothesis takes them
days = st.datetimes(*BOUNDS, timezones=st.just(UTC))


@given(days, days, days)
def test_moved_there_and_back_is_where_it_was(
    here: datetime, due: datetime, there: datetime
) -> None:
    here, due, there = (each.replace(microsecond=0) for each in (here, due, there))
    document = {
        "production": {"loadIn": here.isoformat()},
        "checklistItems": [{"dueDate": due.isoformat()}],
    }
    moved = moved_to(document, there)
    shifted = datetime.fromisoformat(moved["checklistItems"][0]["dueDate"])
    assert shifted - due == there - here
    back = moved_to(moved, here)
    assert datetime.fromisoformat(back["checklistItems"][0]["dueDate"]) == due


def test_a_show_without_a_load_in_keeps_its_other_dates() -> None:
    document = {"production": {}, "checklistItems": [{"dueDate": "2027-02-15"}]}
    moved = moved_to(document, datetime(2028, 1, 1, tzinfo=UTC))
    assert moved["production"]["loadIn"] == "2028-01-01T00:00:00.000Z"
    assert moved["checklistItems"][0]["dueDate"][:10] == "2027-02-15"


def test_all_lists_are_all_there_is(show: Json) -> None:
    assert only(show, [*lists_of()]) == show
    assert len(lists_of()) == len(discovered()) - 1 == len(SCOPED)
