"""Equipment: the devices that everybody can choose, in the tables of the older service."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from app.database.database import DatabaseConnection
from app.installation.announcements import CHANNEL, RENDERERS
from app.installation.categories import NEAREST, columns_of
from app.installation.equipment_sql import UPDATE
from app.installation.tables import OLDER_CATEGORIES
from app.releases.connection.open_connection import open_connection
from app.releases.product import grants, required_statements
from tests.support.databases import execute, until_blocked
from tests.support.gates import rows
from tests.support.service import PlainClient, service
from tests.support.sockets import posted, several, tab

Row = dict[str, Any]
PATH = "/api/equipment"
PORT = {"uuid", "id", "port_type", "io_type", "label", "format", "port_index"}
DEVICE = {
    "uuid", "id", "category", "manufacturer", "model", "io_architecture", "card_slots",
    "format_by_io", "is_secondary_device", "device_formats", "specs", "version", "is_deleted",
    "created_at", "updated_at", "synced_at", "last_modified_by", "equipment_io_ports",
    "equipment_cards",
}  # fmt: skip
BOX: Row = {
    "category": "converter", "manufacturer": "Example", "model": "HD Cross",
    "ioArchitecture": "direct",
    "inputs": [{"id": "in-1", "type": "SDI", "label": "SDI IN", "format": "1080p50"}],
    "outputs": [{"id": "out-1", "type": "HDMI", "label": "HDMI 1"},
                {"id": "out-2", "type": "HDMI", "label": "HDMI 2", "format": ""}],
    "formatByIO": False, "isSecondaryDevice": True, "deviceFormats": ["1080p50"],
}  # fmt: skip
FRAME: Row = {
    "category": "ROUTER", "manufacturer": "Example", "model": "Frame", "cardSlots": 4,
    "ioArchitecture": "card-based", "cards": [
        {"id": "c1", "slotNumber": 1, "inputs": [{"type": "SDI", "label": "A"}], "outputs": []},
        {"id": "c2", "slotNumber": 3, "inputs": [], "outputs": [{"type": "SDI", "label": "B"}]},
    ],
}  # fmt: skip


@pytest.fixture
def add(client: httpx.Client) -> Callable[..., Row]:
    def added(**members: Any) -> Row:
        answer = client.post(PATH, json={**BOX, **members})
        assert answer.status_code == 201, answer.text
        row: Row = answer.json()
        assert row == client.get(f"{PATH}/{row['uuid']}").json()
        return row

    return added


@pytest.fixture
def change(client: httpx.Client) -> Callable[..., Row]:
    def changed(row: Row, **members: Any) -> Row:
        answer = client.put(f"{PATH}/{row['uuid']}", json=members)
        assert answer.status_code == 200, answer.text
        after: Row = answer.json()
        return after

    return changed


def labels(row: Row) -> list[tuple[str, str, int]]:
    return [(p["port_type"], p["label"], p["port_index"]) for p in row["equipment_io_ports"]]


def uuids(row: Row) -> dict[str, str]:
    return {port["label"]: port["uuid"] for port in row["equipment_io_ports"]}


def test_a_device_has_the_members_that_pages_read(add: Any) -> None:
    row = add()
    assert row.keys() == DEVICE
    own = {name: row[name] for name in ("category", "io_architecture", "specs", "version")}
    assert own == {"category": "CONVERTER", "io_architecture": "direct", "specs": {}, "version": 1}
    assert (row["format_by_io"], row["is_secondary_device"]) == (False, True)
    assert (row["device_formats"], row["equipment_cards"]) == (["1080p50"], [])
    assert [port.keys() for port in row["equipment_io_ports"]] == [PORT] * 3
    assert labels(row) == [("INPUT", "SDI IN", 1), ("OUTPUT", "HDMI 1", 1), ("OUTPUT", "HDMI 2", 2)]
    assert [port["format"] for port in row["equipment_io_ports"]] == ["1080p50", None, None]
    assert (row["id"], row["is_deleted"], row["last_modified_by"]) == (row["uuid"], False, None)


def test_the_least_that_a_page_sends_is_enough(client: httpx.Client) -> None:
    answer = client.post(PATH, json={
        "category": "Led Tile", "manufacturer": "Example", "model": "T", "cards": "", "specs": None,
        "inputs": None, "deviceFormats": "", "formatByIO": "", "cardSlots": "", "id": "mine",
    })  # fmt: skip
    row = answer.json()
    assert answer.status_code == 201, row
    assert answer.headers["x-ignored-fields"] == "id"
    assert (row["category"], row["format_by_io"], row["card_slots"]) == ("LED_TILE", True, None)
    assert row["equipment_io_ports"] == row["equipment_cards"] == row["device_formats"] == []


def test_cards_stand_in_their_slots(add: Any, change: Any) -> None:
    row = add(**FRAME, inputs=[], outputs=[])
    first, second = row["equipment_cards"]
    assert first.keys() == {"id", "slot_number", "equipment_card_io"}
    assert (first["slot_number"], second["slot_number"]) == (1, 3)
    (port,) = second["equipment_card_io"]
    assert (port.keys(), port["port_type"], port["label"]) == (PORT, "OUTPUT", "B")
    moved = [
        {"slotNumber": 2, "outputs": [{"uuid": port["uuid"], "label": "B", "type": "SDI"}]},
        {"slotNumber": 1},
    ]
    after = change(row, cards=moved)
    assert [card["slot_number"] for card in after["equipment_cards"]] == [1, 2]
    assert after["equipment_cards"][0] == first
    assert after["equipment_cards"][1]["equipment_card_io"] == [{**port, "port_index": 1}]
    assert change(after, cards=[])["equipment_cards"] == []


def test_a_port_goes_to_a_card_whose_own_stay(add: Any, change: Any) -> None:
    row = add(**FRAME, inputs=[], outputs=[])
    (port,) = row["equipment_cards"][1]["equipment_card_io"]
    cards = [{"slotNumber": 1, "outputs": [{"id": port["id"]}]}, {"slotNumber": 3}]
    first, second = change(row, cards=cards)["equipment_cards"]
    assert [each["label"] for each in first["equipment_card_io"]] == ["A", "B"]
    assert second["equipment_card_io"] == []


def test_a_port_keeps_its_uuid_by_key_and_by_label(add: Any, change: Any) -> None:
    row = add()
    before = uuids(row)
    one, two = row["equipment_io_ports"][1:]
    after = change(row, outputs=[
        {"id": "page's own", "type": "HDMI", "label": "HDMI 2"},
        {"uuid": one["uuid"].upper(), "type": "DP", "label": "DP 1"},
        {"type": "HDMI", "label": "HDMI 3"},
    ])  # fmt: skip
    assert labels(after)[1:] == [("OUTPUT", "HDMI 2", 1), ("OUTPUT", "DP 1", 2),
                                 ("OUTPUT", "HDMI 3", 3)]  # fmt: skip
    now = uuids(after)
    assert (now["SDI IN"], now["HDMI 2"], now["DP 1"]) == (
        before["SDI IN"], two["uuid"], one["uuid"]
    )  # fmt: skip
    assert now["HDMI 3"] not in before.values()


def test_one_key_is_one_port(add: Any, change: Any) -> None:
    row = add()
    one = row["equipment_io_ports"][1]
    twice = [{"id": one["id"], "label": "X"}, {"uuid": one["uuid"], "label": "X"}]
    after = change(row, inputs=twice, outputs=[{"id": one["id"], "label": "X"}])
    assert len(after["equipment_io_ports"]) == len({p["uuid"] for p in after["equipment_io_ports"]})
    assert labels(after) == [("INPUT", "X", 1), ("INPUT", "X", 2), ("OUTPUT", "X", 1)]


def test_what_a_page_does_not_know_of_a_port_stays(add: Any, change: Any) -> None:
    row = add(inputs=[{"type": "SDI", "label": "IN", "connector": "BNC", "link": "12G"}])
    again = [{"id": p["id"], "type": p["io_type"], "label": p["label"], "format": "1080i50"}
             for p in row["equipment_io_ports"] if p["port_type"] == "INPUT"]  # fmt: skip
    after = change(row, inputs=again)["equipment_io_ports"][0]
    assert (after["connector"], after["link"], after["format"]) == ("BNC", "12G", "1080i50")
    gone = change(row, inputs=[{**again[0], "link": None}])["equipment_io_ports"][0]
    assert "link" not in gone


def test_a_device_is_changed_in_part(add: Any, change: Any, client: httpx.Client) -> None:
    row = add(lastModifiedBy="anna")
    after = change(row, model="HD Cross 2", version=1, userId="bob")
    changed = {"model": "HD Cross 2", "version": 2, "last_modified_by": "bob"}
    assert after == {**row, **changed, "updated_at": after["updated_at"]}
    assert change(after, model="HD Cross 2", version=1) == after, "nothing is written again"
    assert (
        change(after, category="CONVERTER", inputs=BOX["inputs"], outputs=BOX["outputs"]) == after
    )
    echo = client.put(f"{PATH}/{row['uuid']}", json=after)
    assert (echo.status_code, echo.json()) == (200, after)
    assert "equipment_io_ports" in echo.headers["x-ignored-fields"]


def test_two_who_edit_one_device(add: Any, change: Any, client: httpx.Client) -> None:
    row = add()
    now = change(row, model="Theirs", version=1)
    for version in (1, 7):
        answer = client.put(f"{PATH}/{row['uuid']}", json={"model": "Mine", "version": version})
        body = answer.json()
        assert (answer.status_code, body["error"]) == (409, "Version conflict")
        assert (body["currentVersion"], body["clientVersion"]) == (2, version)
        assert (body["serverData"], body["conflicts"]) == (now, [])
    tag = client.get(f"{PATH}/{row['uuid']}").headers["etag"]
    for if_match, status in ((f'"{tag[1:-1]}"', 200), ('"other"', 412)):
        headers = {"if-match": if_match}
        answer = client.put(f"{PATH}/{row['uuid']}", json={"model": if_match}, headers=headers)
        assert answer.status_code == status


def test_an_archived_device_can_come_back(add: Any, change: Any, client: httpx.Client) -> None:
    row = add(model="Archived")
    path = f"{PATH}/{row['uuid']}"
    for _ in range(2):
        answer = client.request("DELETE", path, json={"userId": "anna"})
        assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert row["uuid"] not in [each["uuid"] for each in client.get(PATH).json()]
    archived = client.get(PATH, params={"archived": "true"}).json()
    assert all(each["is_deleted"] for each in archived)
    (listed,) = [each for each in archived if each["uuid"] == row["uuid"]]
    assert (listed["version"], listed["last_modified_by"]) == (2, "anna")
    refused = client.put(path, json={"model": "Edited"})
    assert (refused.status_code, refused.json()["reason"]) == (409, "deleted")
    back = change(row, isDeleted=False, version=2)
    assert (back["is_deleted"], back["version"]) == (False, 3)
    assert back["equipment_io_ports"] == row["equipment_io_ports"]
    assert change(back, isDeleted=True)["is_deleted"]


def test_a_device_is_found_by_its_words(add: Any, client: httpx.Client) -> None:
    maker = f"Maker {uuid4()}"
    tile = add(category="led_tile", manufacturer=maker, model="Ruby 1.5")
    box = add(category="frame-sync", manufacturer=maker, model="Box")

    def found(**asked: str) -> list[str]:
        answer = client.get(PATH, params=asked)
        assert answer.status_code == 200, answer.text
        return [each["uuid"] for each in answer.json()]

    assert found(manufacturer=maker.upper()) == [box["uuid"], tile["uuid"]]
    assert found(q=f"{maker} ruby LED tile") == [tile["uuid"]]
    assert found(q=f"box {maker} FRAME_SYNC") == [box["uuid"]]
    assert found(manufacturer=maker, category="Led Tile") == [tile["uuid"]]
    assert found(manufacturer=maker, archived="true") == found(q="no such thing 7") == []


def test_the_list_is_in_order_and_asked_for_by_its_tag(add: Any, client: httpx.Client) -> None:
    maker = f"Maker {uuid4()}"
    for category, model in (("PTZ", "b"), ("PTZ", "A"), ("CAMERA", "z")):
        add(category=category, manufacturer=maker, model=model)
    asked = {"manufacturer": maker}
    answer = client.get(PATH, params=asked)
    assert [each["model"] for each in answer.json()] == ["z", "A", "b"]
    headers = {"if-none-match": answer.headers["etag"]}
    assert client.get(PATH, params=asked, headers=headers).status_code == 304
    add(manufacturer=maker)
    assert client.get(PATH, params=asked, headers=headers).status_code == 200


def test_the_key_is_a_uuid_or_a_text_id(client: httpx.Client, shared_database: str) -> None:
    text_id = f"clx{uuid4().hex}"
    asyncio.run(older_row(shared_database, text_id))
    row = client.get(f"{PATH}/{text_id}").json()
    assert (row["id"], row["category"], row["io_architecture"]) == (text_id, "CAMERA", "direct")
    assert (row["device_formats"], row["specs"], row["equipment_io_ports"]) == ([], {}, [])
    assert client.get(f"{PATH}/{row['uuid']}").json() == row
    assert client.put(f"{PATH}/{text_id}", json={"model": "New"}).json()["model"] == "New"
    for key in ("nobody", str(uuid4()), "a%00b", "%F0%9F%8E%A5"):
        for method in ("GET", "PUT", "DELETE"):
            answer = client.request(method, f"{PATH}/{key}", json={"model": "x"})
            assert (answer.status_code, answer.json()["error"]) == (404, "Equipment not found")


async def older_row(url: str, key: str) -> None:
    """Add a device as the older service does."""
    await execute(
        url,
        "INSERT INTO equipment_specs (id, category, manufacturer, model, io_architecture, "
        "updated_at) SELECT $1, 'CAMERA', 'Older', 'Cam', 'DIRECT', now()",
        key,
    )  # fmt: skip


HOSTILE: list[tuple[dict[str, Any], str]] = [
    ({"category": None}, "category"), ({"category": ""}, "category"),
    ({"category": "Ä"}, "category"),
    ({"manufacturer": ""}, "manufacturer"), ({"model": "\x00"}, "model"), ({"model": 7}, "model"),
    ({"model": "x" * 1_001}, "model"), ({"ioArchitecture": "cards"}, "ioArchitecture"),
    ({"inputs": {}}, "inputs"), ({"inputs": [7]}, "inputs.0"), ({"inputs": [None]}, "inputs.0"),
    ({"outputs": [{"type": 7}]}, "outputs.0.type"),
    ({"outputs": [{"label": "a\x00"}]}, "outputs.0.label"),
    ({"outputs": [{"direction": "in"}]}, "outputs.0.direction"),
    ({"inputs": [{}] * 1_201}, "inputs"), ({"cardSlots": -1}, "cardSlots"),
    ({"cardSlots": 2**40}, "cardSlots"), ({"cards": [{}]}, "cards.0.slotNumber"),
    ({"cards": [{"slotNumber": 1}] * 2}, "cards"),
    ({"cards": [{"slotNumber": 2**33}]}, "cards.0.slotNumber"),
    ({"cards": [{"slotNumber": 1, "inputs": [{}] * 201}]}, "cards.0.inputs"),
    ({"specs": []}, "specs"), ({"specs": {"a": "\x00"}}, "specs"),
    ({"specs": {"a": [1e308]}}, "specs.a.0"),
    ({"deviceFormats": "x"}, "deviceFormats"),
    ({"deviceFormats": [0] * 1_001}, "deviceFormats"), ({"formatByIO": "yes"}, "formatByIO"),
    ({"isSecondaryDevice": 1}, "isSecondaryDevice"),
]  # fmt: skip


@pytest.mark.parametrize(("members", "path"), HOSTILE, ids=lambda value: str(value)[:40])
def test_what_cannot_be_is_refused_by_its_path(
    client: httpx.Client, add: Any, members: Row, path: str
) -> None:
    row = add()
    requests = (("POST", PATH, {**BOX, **members}), ("PUT", f"{PATH}/{row['uuid']}", members))
    for method, where, body in requests:
        answer = client.request(method, where, json=body)
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["path"].startswith(path), answer.text


@pytest.mark.parametrize("body", [
    {"uuid": 7, "id": [], "version": None, "created_at": "never", "specs": {"a": {"b": [1e30]}}},
    {"inputs": [{"id": "the same", "port_type": "OUTPUT", "io_type": "SDI"}] * 3},
    {"inputs": [{"uuid": "x" * 1_000, "label": "💡\u202e"}]},
    {"specs": {"shipped": {"version": []}}},
    {"specs": {"shipped": 7}, "deviceFormats": [None, {}, []]},
    {"cards": [{"slotNumber": 0, "id": "same"}, {"slotNumber": 200, "id": "same"}]},
])  # fmt: skip
def test_what_is_odd_is_taken(client: httpx.Client, add: Any, body: Row) -> None:
    row = add()
    answer = client.put(f"{PATH}/{row['uuid']}", json=body)
    assert answer.status_code == 200, answer.text
    assert client.get(f"{PATH}/{row['uuid']}").json() == answer.json()


def test_a_ports_key_of_another_device_is_none_of_ours(add: Any, change: Any) -> None:
    one, other = add(), add()
    theirs = one["equipment_io_ports"][0]
    sent = {"uuid": theirs["uuid"], "id": theirs["id"], "label": "mine"}
    (mine, *_) = change(other, inputs=[sent])["equipment_io_ports"]
    assert mine["uuid"] != theirs["uuid"]
    assert change(one, model="Same")["equipment_io_ports"] == one["equipment_io_ports"]


def test_a_repeated_create_makes_one(client: httpx.Client) -> None:
    maker, headers = f"Maker {uuid4()}", {"idempotency-key": str(uuid4())}
    first, again = (
        client.post(PATH, json={**BOX, "manufacturer": maker}, headers=headers) for _ in range(2)
    )
    assert (first.status_code, again.json()) == (201, first.json())
    assert len(client.get(PATH, params={"manufacturer": maker}).json()) == 1


@pytest.mark.parametrize("category", [*NEAREST, "SOMETHING_ELSE", *OLDER_CATEGORIES])
def test_the_older_service_sees_the_nearest_category(
    add: Any, shared_database: str, category: str
) -> None:
    row = add(category=category.lower())
    assert row["category"] == category
    sql = "SELECT category::text, kind FROM equipment_specs WHERE id = $1"
    (stored,) = asyncio.run(rows(shared_database, sql, row["id"]))
    older = category in OLDER_CATEGORIES
    assert stored["kind"] == (None if older else category)
    assert stored["category"] == (category if older else columns_of(category)["category"])
    assert stored["category"] in OLDER_CATEGORIES


def test_a_category_that_the_older_service_sets_counts(add: Any, client: httpx.Client,
                                                       shared_database: str) -> None:  # fmt: skip
    row = add(category="FRAME_SYNC")
    sql = "UPDATE equipment_specs SET {} WHERE id = $1"
    asyncio.run(
        execute(shared_database, sql.format("model = 'Same', category = 'CONVERTER'"), row["id"])
    )
    assert client.get(f"{PATH}/{row['uuid']}").json()["category"] == "FRAME_SYNC"
    asyncio.run(execute(shared_database, sql.format("category = 'RECORDER'"), row["id"]))
    assert client.get(f"{PATH}/{row['uuid']}").json()["category"] == "RECORDER"


def test_our_own_category_survives_another_nearest_one(
    add: Any, change: Any, shared_database: str
) -> None:
    """A later version may find another one nearer, and the trigger takes it for the older one."""
    row = add(category="FRAME_SYNC")
    for columns in ("category = 'ROUTER', kind = 'X'", "kind = 'FRAME_SYNC'"):
        sql = f"UPDATE equipment_specs SET {columns} WHERE id = $1"
        asyncio.run(execute(shared_database, sql, row["id"]))
    assert change(row, model="Other")["category"] == "FRAME_SYNC"


def test_the_service_needs_the_rights_to_write_it() -> None:
    given = grants(required_statements(), "role")
    for table in ("equipment_io_ports", "equipment_card_io"):
        assert f"GRANT DELETE, INSERT, SELECT, UPDATE ON public.{table} TO role" in given
    assert "GRANT DELETE, INSERT, SELECT ON public.equipment_cards TO role" in given
    assert "GRANT INSERT, SELECT, UPDATE ON public.equipment_specs TO role" in given
    assert UPDATE in required_statements()["installation"]


def test_a_table_that_is_missing_makes_the_service_unhealthy(own_database: str) -> None:
    asyncio.run(execute(own_database, "DROP TABLE equipment_card_io"))
    with service(own_database) as client:
        answer = client.get("/health")
        assert answer.status_code == 503
        assert "equipment_card_io" in answer.json()["resources"]["installation"]


@pytest.fixture
def roots(own_database: str) -> Iterator[list[str]]:
    with several(own_database, 2) as addresses:
        yield addresses


async def test_everybody_is_told_in_every_process(roots: list[str]) -> None:
    shows = [await posted(roots[0], "productions", name="A show") for _ in range(2)]
    async with tab(roots[0]) as one, tab(roots[1]) as other, tab(roots[1]) as nowhere:
        await one.join(shows[0]["id"])
        await other.join(shows[1]["id"])
        row = await posted(roots[0], "equipment", **BOX)
        with PlainClient(base_url=roots[1], timeout=30) as client:
            path = f"{PATH}/{row['uuid']}"

            async def put(**members: Any) -> Row:
                answer = await asyncio.to_thread(client.put, path, json=members)
                body: Row = answer.raise_for_status().json()
                return body

            for each in (one, other, nowhere):
                assert await each.one("equipment:updated", action="created") == {
                    "action": "created", "equipment": row,
                }  # fmt: skip
            changed = await put(model="New")
            assert await one.one("equipment:updated", action="updated") == {
                "action": "updated", "equipment": changed,
            }  # fmt: skip
            await asyncio.to_thread(client.delete, path)
            assert await one.one("equipment:updated", action="deleted") == {
                "action": "deleted", "equipmentUuid": row["uuid"],
            }  # fmt: skip
            back = await put(isDeleted=False)
            for each in (one, other, nowhere):
                told = await each.one("equipment:updated", action="restored")
                assert told["equipment"] == back
                actions = [event["action"] for event in each.of("equipment:updated")]
                assert actions == ["created", "updated", "deleted", "restored"]


async def test_any_module_can_tell_everybody(
    roots: list[str], own_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def render(_: DatabaseConnection, key: str) -> Any:
        if not key:
            raise ValueError("cannot be read")
        return None if key == "gone" else [key, "b"]

    monkeypatch.setitem(RENDERERS, "test:list-updated", render)
    async with tab(roots[0]) as one, tab(roots[1]) as other:
        for text in ("newer:event x", "test:list-updated ", "test:list-updated gone",
                     "test:list-updated a"):  # fmt: skip
            await execute(own_database, "SELECT pg_notify($1, $2)", CHANNEL, text)
        for each in (one, other):
            await each.until(partial(each.of, "test:list-updated"))
            assert each.told == [("test:list-updated", ["a", "b"])]


async def test_an_edit_waits_for_one_that_began_earlier(
    roots: list[str], own_database: str
) -> None:
    row = await posted(roots[0], "equipment", **BOX)
    async with open_connection(own_database) as earlier:
        transaction = earlier.transaction()
        await transaction.start()
        edit = "UPDATE equipment_specs SET model = 'Theirs', version = 2 WHERE id = $1"
        await earlier.execute(edit, row["id"])
        with PlainClient(base_url=roots[0], timeout=30) as client:
            mine = {"model": "Mine", "version": 1}
            path = f"{PATH}/{row['uuid']}"
            later = asyncio.create_task(asyncio.to_thread(client.put, path, json=mine))
            await until_blocked(own_database)
            await transaction.commit()
            answer = await later
    assert answer.status_code == 409
    assert answer.json()["serverData"]["model"] == "Theirs"


def test_uuids_are_uuids(add: Any) -> None:
    row = add()
    assert {str(UUID(port["uuid"])) for port in row["equipment_io_ports"]} == {*uuids(row).values()}
