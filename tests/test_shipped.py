"""What ships is loaded by the release, again and again, and never over what people have made."""

import asyncio
from collections.abc import Mapping
from typing import Any

import asyncpg
import pytest

from app.equipment.device_catalogue import read_catalogue
from app.installation import shipped_devices
from app.installation.shipped import load_shipped
from app.installation.shipped_devices import OURS, device_uuid
from app.releases import product
from app.releases.connection.open_connection import open_connection
from app.releases.gate.run import Applied, Ended
from app.releases.gate.stages import load_contents
from app.releases.ledger.ledger import Ledger
from tests.support.databases import execute, until_blocked
from tests.support.gates import OLDER, order, ran, rows
from tests.support.service import service

Row = dict[str, Any]
CATALOGUE = {
    (device.manufacturer, device.model): (page.category, device)
    for page in read_catalogue()
    for device in page.devices
}
MAKER, MODEL = "Ross Video", "Ultrix FR1"
DOUBLED = next(
    (names, port.label)
    for names, (_, device) in CATALOGUE.items()
    for port in device.ports
    if port.direction == "both"
)


async def loaded(url: str) -> str:
    async with open_connection(url) as connection:
        return await product.load_shipped(connection)


async def contents(url: str) -> dict[str, list[asyncpg.Record]]:
    tables = ("equipment_specs", "equipment_io_ports", "equipment_cards", "equipment_card_io")
    return {name: await rows(url, f"SELECT * FROM {name} ORDER BY id") for name in tables}


async def device(url: str, key: object) -> asyncpg.Record:
    (row,) = await rows(url, "SELECT * FROM equipment_specs WHERE id = $1", str(key))
    return row


def changed(monkeypatch: pytest.MonkeyPatch, **members: Any) -> str:
    """Ship another ``MODEL``, as a later version does; return its text key."""
    page = next(p for p in read_catalogue() if any(d.model == MODEL for d in p.devices))
    devices = tuple(
        d.model_copy(update=members) if (d.manufacturer, d.model) == (MAKER, MODEL) else d
        for d in page.devices
    )
    pages = [page.model_copy(update={"devices": devices})]
    monkeypatch.setattr(shipped_devices, "read_catalogue", lambda: pages)
    shipped_devices.shipped_devices.cache_clear()
    return str(device_uuid(MAKER, MODEL))


@pytest.fixture(autouse=True)
def _todays_catalogue() -> Any:
    yield
    shipped_devices.shipped_devices.cache_clear()


async def test_a_release_loads_it_and_says_so(empty_database: str) -> None:
    ended = await ran(empty_database)
    assert ended.verdict.name == "DONE", ended
    count = len(CATALOGUE)
    assert words_of(ended).split("; ")[0] == f"{count} devices added"
    before = await contents(empty_database)
    assert len(before["equipment_specs"]) == count
    assert words_of(await ran(empty_database)) == "all that ships is there"
    assert await contents(empty_database) == before


def words_of(ended: Ended) -> str:
    return str(next(stage["words"] for stage in ended.stages if stage["stage"] == "contents"))


async def test_it_waits_until_the_image_can_serve(own_database: str) -> None:
    applied = Applied("a step", revision=OLDER)
    result = await load_contents.run(order(own_database), applied)
    assert result.skipped
    assert not (await contents(own_database))["equipment_specs"]


async def test_what_ships_is_nothing_to_lose(own_database: str) -> None:
    await loaded(own_database)
    async with open_connection(own_database) as connection:
        ledger = Ledger(connection)
        assert await ledger.are_empty(product.own_tables())
        edited = "UPDATE equipment_specs SET last_modified_by = 'anna' WHERE model = $1"
        await execute(own_database, edited, MODEL)
        assert not await ledger.are_empty(product.own_tables())


async def test_a_page_always_has_something_to_choose_from(own_database: str) -> None:
    with service(own_database) as client:
        listed = client.get("/api/equipment").json()
        assert {(row["manufacturer"], row["model"]) for row in listed} == CATALOGUE.keys()
        assert all(row["last_modified_by"] == OURS for row in listed)
        names = [(r["category"], r["manufacturer"].lower(), r["model"].lower()) for r in listed]
        assert names == sorted(names)
        by_uuid = {row["uuid"]: row for row in listed}
    for (maker, model), (category, entry) in CATALOGUE.items():
        row = by_uuid[str(device_uuid(maker, model))]
        assert (row["category"], row["specs"]["verified"]) == (category, entry.verified)
        assert row["specs"]["source"] == entry.source
        ports = row["equipment_io_ports"]
        assert len(ports) == sum(port.count for port in entry.ports)
        assert len({(port["port_type"], port["label"]) for port in ports}) == len(ports)
        assert not [port for port in ports if not port["io_type"] or not port["connector"]]


async def test_a_device_says_what_is_known_of_it(own_database: str) -> None:
    await loaded(own_database)
    with service(own_database) as client:
        row = client.get(f"/api/equipment/{device_uuid(MAKER, MODEL)}").json()
        (doubled, label) = DOUBLED
        both = client.get(f"/api/equipment/{device_uuid(*doubled)}").json()["equipment_io_ports"]
    assert (row["io_architecture"], row["card_slots"]) == ("card-based", 2)
    assert row["equipment_cards"] == []
    (card,) = row["specs"]["cards"]
    assert (card["model"], {*card}) == ("ULTRIX-HDX-IO", {"model", "inputs", "outputs"})
    assert {"type", "label", "connector"} <= card["inputs"][0].keys()
    assert [port["direction"] for port in both if port["label"] == label] == ["both"]


async def test_cards_of_the_catalogue_can_be_put_into_slots(own_database: str) -> None:
    await loaded(own_database)
    with service(own_database) as client:
        path = f"/api/equipment/{device_uuid(MAKER, MODEL)}"
        (card,) = client.get(path).json()["specs"]["cards"]
        answer = client.put(path, json={"cards": [{"slotNumber": 1, **card}]})
        assert answer.status_code == 200, answer.text
        (stored,) = answer.json()["equipment_cards"]
    ports = [*card["inputs"], *card["outputs"]]
    assert [port["label"] for port in stored["equipment_card_io"]] == [p["label"] for p in ports]


async def test_it_corrects_what_nobody_has_edited(
    own_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await loaded(own_database)
    entry = CATALOGUE[MAKER, MODEL][1]
    await execute(own_database, "UPDATE equipment_specs SET created_at = '2020-01-01'")
    before = await contents(own_database)
    key = changed(monkeypatch, note="Corrected.", ports=entry.ports[:1], verified=True)
    assert await loaded(own_database) == "1 device corrected"
    row = await device(own_database, key)
    assert (row["version"], row["last_modified_by"]) == (2, OURS)
    assert '"note": "Corrected."' in row["specs"]
    after = await contents(own_database)
    ids = {r["id"]: r for r in before["equipment_io_ports"]}
    own = [r for r in after["equipment_io_ports"] if r["equipment_id"] == key]
    assert len(own) == entry.ports[0].count
    assert all(r == ids[r["id"]] for r in own), "a port that stays is not written"
    others = [r for r in before["equipment_specs"] if r["id"] != key]
    assert [r for r in after["equipment_specs"] if r["id"] != key] == others
    assert await loaded(own_database) == "all that ships is there"
    changed(monkeypatch, note="Once more.")
    assert await loaded(own_database) == "1 device corrected"
    assert (await device(own_database, key))["version"] == 3


EDITS: Mapping[str, str] = {
    "by the API": "",
    "archived": "UPDATE equipment_specs SET is_deleted = true",
    "by the older service": "UPDATE equipment_specs SET model = 'Own', version = version + 1",
    "by somebody": "UPDATE equipment_specs SET last_modified_by = 'bob'",
    "its ports alone": "UPDATE equipment_io_ports SET label = 'A', "
    "updated_at = updated_at + interval '1 ms'",
    "a port less": "DELETE FROM equipment_io_ports WHERE port_index = 1",
    "a card more": "INSERT INTO equipment_cards (id, equipment_id, slot_number, updated_at) "
    "SELECT 'c' || id, id, 1, now() FROM equipment_specs",
    "specs of no sense": """UPDATE equipment_specs SET specs = '{"shipped": [7]}'""",
    "no specs": "UPDATE equipment_specs SET specs = NULL",
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
async def test_it_never_overwrites_an_edit(
    own_database: str, monkeypatch: pytest.MonkeyPatch, edit: str
) -> None:
    await loaded(own_database)
    key = changed(monkeypatch, note="Corrected.")
    if edit:
        await execute(own_database, edit)
    else:
        with service(own_database) as client:
            client.put(f"/api/equipment/{key}", json={"model": "Own"}).raise_for_status()
    before = await contents(own_database)
    assert "left as people have it" in await loaded(own_database)
    assert await contents(own_database) == before


async def test_a_device_that_users_have_already_is_not_added_again(own_database: str) -> None:
    with service(own_database) as client:
        body = {"category": "ROUTER", "manufacturer": f" {MAKER.upper()}", "model": MODEL.lower()}
        own = client.post("/api/equipment", json=body).raise_for_status().json()
        client.delete(f"/api/equipment/{own['uuid']}").raise_for_status()
    assert (await loaded(own_database)).split("; ")[0] == f"{len(CATALOGUE) - 1} devices added"
    assert await loaded(own_database) == "all that ships is there"


async def test_two_at_once_load_it_once(own_database: str) -> None:
    async with open_connection(own_database) as first:
        transaction = first.transaction()
        await transaction.start()
        assert "added" in await load_shipped(first)
        second = asyncio.create_task(loaded(own_database))
        await until_blocked(own_database)
        await transaction.commit()
        assert await second == "all that ships is there"


async def test_an_edit_at_the_same_time_stays(
    own_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await loaded(own_database)
    key = changed(monkeypatch, note="Corrected.")
    async with open_connection(own_database) as editing:
        transaction = editing.transaction()
        await transaction.start()
        edit = "UPDATE equipment_specs SET model = 'Own', last_modified_by = 'a' WHERE id = $1"
        await editing.execute(edit, key)
        loading = asyncio.create_task(loaded(own_database))
        await until_blocked(own_database)
        await transaction.commit()
        await loading
    row = await device(own_database, key)
    assert (row["model"], row["version"]) == ("Own", 1)


async def test_what_a_rollback_takes_comes_back(own_database: str) -> None:
    """The new columns go and come, and rows of shows name devices by the keys that they had."""
    await loaded(own_database)
    before = await contents(own_database)
    await execute(own_database, "UPDATE equipment_specs SET kind = NULL, uuid = gen_random_uuid()")
    await execute(own_database, "UPDATE equipment_io_ports SET uuid = gen_random_uuid()")
    assert await loaded(own_database) == f"{len(CATALOGUE)} devices corrected"
    after = await contents(own_database)
    for table in before:
        assert [keys(row) for row in after[table]] == [keys(row) for row in before[table]]


def keys(row: asyncpg.Record) -> tuple[object, ...]:
    return (row["id"], row["uuid"], row.get("kind"))
