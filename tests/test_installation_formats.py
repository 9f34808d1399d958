"""Formats of the installation: what ships, what users make, and who may change which."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from fractions import Fraction
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from app.database.url import DatabaseUrl
from app.installation import formats
from app.installation.formats import FormatEdit
from app.installation.system_formats import SYSTEM_FORMATS, load_system_formats, system_uuid
from app.rules.formats import TRADE_RATES, parse_format, parse_rate, rate_text
from app.store.write_context import WriteContext
from tests.support import databases
from tests.support.databases import Server
from tests.support.holding import Held, after
from tests.support.service import service

PATH: Final = "/api/formats"
MEMBERS: Final = {
    "uuid", "id", "hRes", "vRes", "frameRate", "isInterlaced", "blanking", "isSystem", "version",
    "isDeleted", "createdAt", "updatedAt", "lastModifiedBy",
}  # fmt: skip
WALL: Final = {"hRes": 2688, "vRes": 96, "frameRate": 59.94}
ALL: Final = "SELECT id FROM formats ORDER BY id"


async def load(url: str) -> None:
    """Load the system formats as a release does."""
    connection = await asyncpg.connect(**DatabaseUrl.parse(url).connect_args())
    try:
        async with connection.transaction():
            await load_system_formats(connection)
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def loaded(postgres_server: Server, template: str) -> Iterator[str]:
    with postgres_server.lent(template) as url:
        asyncio.run(load(url))
        yield url


@pytest.fixture(scope="module")
def client(loaded: str) -> Iterator[httpx.Client]:
    with service(loaded) as served:
        yield served


def listed(client: httpx.Client) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = client.get(PATH).raise_for_status().json()
    return rows


def system(client: httpx.Client, name: str) -> dict[str, Any]:
    return next(each for each in listed(client) if each["id"] == name)


def make(client: httpx.Client, **members: Any) -> dict[str, Any]:
    answer = client.post(PATH, json={**WALL, **members})
    assert answer.status_code == 201, answer.text
    row: dict[str, Any] = answer.json()
    return row


def exact(row: dict[str, Any]) -> Fraction:
    return parse_rate(str(row["frameRate"]))


def test_without_system_formats_the_list_is_empty(own_database: str) -> None:
    with service(own_database) as client:
        assert listed(client) == []


def test_the_list_has_the_shape_of_the_contract(client: httpx.Client) -> None:
    row = system(client, "1920 x 1080 @ 59.94i")
    assert row.keys() == MEMBERS
    assert row["uuid"] == str(system_uuid(parse_format("1920x1080@59.94i")))
    expected = {
        "hRes": 1920, "vRes": 1080, "frameRate": 59.94, "isInterlaced": True, "blanking": "NONE",
        "isSystem": True, "version": 1, "isDeleted": False, "lastModifiedBy": None,
    }  # fmt: skip
    assert expected.items() <= row.items()
    assert client.get(f"{PATH}/{row['uuid']}").json() == row


def test_system_formats_come_first_then_the_largest_and_fastest(client: httpx.Client) -> None:
    for rate in ("60", "59.94", "23.976", "24"):
        make(client, hRes=5000, frameRate=rate)
    keys = [(row["isSystem"], row["vRes"], exact(row)) for row in listed(client)]
    assert keys == sorted(keys, reverse=True)
    assert {is_system for is_system, _, _ in keys} == {True, False}


def test_the_rate_is_stored_exactly(client: httpx.Client, loaded: str) -> None:
    row = make(client, hRes=5001, frameRate=23.976)
    assert (row["id"], row["frameRate"]) == ("5001 x 96 @ 23.98", 23.98)
    rates = "SELECT rate_numerator || '/' || rate_denominator FROM formats WHERE uuid = $1"
    assert asyncio.run(databases.column(loaded, rates, row["uuid"])) == ["24000/1001"]


@pytest.mark.parametrize("rate", sorted(TRADE_RATES), ids=str)
def test_a_rate_is_shown_as_it_is_printed(client: httpx.Client, rate: Fraction) -> None:
    row = make(client, hRes=5002, frameRate=f"{rate}" if rate.denominator == 1001 else int(rate))
    assert row["frameRate"] == float(rate_text(rate))
    assert parse_format(row["id"]).rate == rate


@pytest.mark.parametrize(
    ("sent", "label"),
    [
        ({"frameRate": "59.94"}, "@ 59.94"), ({"frameRate": 60.0}, "@ 60"),
        ({"frameRate": 29.97, "isInterlaced": True}, "@ 59.94i"),
        ({"frameRate": 50, "isInterlaced": True}, "@ 50i"),
        ({"frameRate": "60", "blanking": "RBv2"}, "@ 60 RBv2"),
        ({"frameRate": 47.5}, "@ 47.5"), ({"vRes": "96", "frameRate": 25}, "@ 25"),
        ({"frameRate": 30, "isInterlaced": None, "blanking": ""}, "@ 30"),
        ({"frameRate": 60_000 / 1001, "blanking": "RBv1"}, "@ 59.94 RBv1"),
    ],
)  # fmt: skip
def test_the_server_makes_the_id(client: httpx.Client, sent: dict[str, Any], label: str) -> None:
    row = make(client, hRes=5003, **sent)
    assert row["id"] == f"5003 x 96 {label}"
    assert row["isSystem"] is False


def test_unknown_members_are_named(client: httpx.Client) -> None:
    body = {**WALL, "hRes": 5004, "id": "MINE", "isSystem": True, "userId": "u1"}
    answer = client.post(PATH, json=body)
    assert answer.headers["x-ignored-fields"] == "id, isSystem"
    assert answer.json()["lastModifiedBy"] == "u1"
    assert (answer.json()["id"], answer.json()["isSystem"]) == ("5004 x 96 @ 59.94", False)


@pytest.mark.parametrize("lacking", ["hRes", "vRes", "frameRate"])
@pytest.mark.parametrize("value", ["", None, "absent"])
def test_what_is_missing_is_a_400(client: httpx.Client, lacking: str, value: str | None) -> None:
    body: dict[str, Any] = {**WALL, lacking: value}
    if value == "absent":
        del body[lacking]
    answer = client.post(PATH, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")
    assert answer.json()["message"].endswith(f"missing: {lacking}.")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("hRes", 0), ("hRes", -1), ("hRes", 40_000), ("hRes", 1.5), ("hRes", "wide"),
        ("hRes", True), ("hRes", "9" * 5_000), ("vRes", 10**100), ("vRes", []), ("vRes", "９６"),
        ("frameRate", 0), ("frameRate", 1e300), ("frameRate", 10**400), ("frameRate", True),
        ("frameRate", {}), ("frameRate", "sixty"), ("frameRate", "1" * 100_000), ("frameRate", -60),
        ("frameRate", "59.9\x00"), ("frameRate", 1e-9), ("isInterlaced", "yes"),
        ("isInterlaced", 1), ("blanking", "rb"), ("blanking", 1), ("userId", "a\x00b"),
        ("userId", 7),
    ],
)  # fmt: skip
def test_what_no_format_has_is_a_422(client: httpx.Client, member: str, value: Any) -> None:
    own = make(client, hRes=5005) if not _has(client, 5005) else _has(client, 5005)[0]
    for answer in (
        client.post(PATH, json={**WALL, member: value}),
        client.put(f"{PATH}/{own['uuid']}", json={member: value}),
    ):
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["path"] == member
        assert len(answer.text) < 2_000


def _has(client: httpx.Client, width: int) -> list[dict[str, Any]]:
    return [row for row in listed(client) if row["hRes"] == width]


def test_a_rate_that_is_not_interlaced_is_a_422(client: httpx.Client) -> None:
    answer = client.post(PATH, json={**WALL, "frameRate": 61, "isInterlaced": True})
    assert answer.status_code == 422
    assert "61 fields per second are not usual" in answer.json()["message"]


@pytest.mark.parametrize("content", [b"[]", b"1", b'"x"', b"null", b"true", b""])
def test_json_of_another_shape_is_a_422(client: httpx.Client, content: bytes) -> None:
    json = {"content-type": "application/json"}
    for method, path in (("POST", PATH), ("PUT", f"{PATH}/x"), ("PATCH", f"{PATH}/{uuid4()}")):
        assert client.request(method, path, content=content, headers=json).status_code == 422
    broken = client.post(PATH, content=b"{", headers=json)
    assert (broken.status_code, broken.json()["code"]) == (400, "BROKEN_JSON")


@pytest.mark.parametrize("same", [{}, {"frameRate": "60000/1001"}, {"isInterlaced": False}])
def test_what_exists_is_a_409(client: httpx.Client, same: dict[str, Any]) -> None:
    if not _has(client, 5006):
        make(client, hRes=5006)
    answer = client.post(PATH, json={**WALL, "hRes": 5006, **same})
    assert (answer.status_code, answer.json()["error"]) == (409, "Format already exists")
    assert "'5006 x 96 @ 59.94' is in the list already" in answer.json()["message"]
    assert len(_has(client, 5006)) == 1


def test_what_ships_exists_as_well(client: httpx.Client) -> None:
    hd = {"hRes": 1920, "vRes": 1080, "frameRate": 59.94}
    assert client.post(PATH, json=hd).status_code == 409
    assert client.post(PATH, json={**hd, "isInterlaced": True}).status_code == 409


def test_scan_and_blanking_make_another_format(client: httpx.Client) -> None:
    rows = [make(client, hRes=5007), make(client, hRes=5007, isInterlaced=True),
            make(client, hRes=5007, blanking="RBv1")]  # fmt: skip
    assert len({row["id"] for row in rows}) == 3


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_change_changes_the_id(client: httpx.Client, method: str) -> None:
    row = make(client, hRes=5008)
    path = f"{PATH}/{row['uuid']}"
    changes = {"frameRate": 50, "blanking": None, "version": 1, "userId": "u2"}
    answer = client.request(method, path, json=changes)
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    assert (changed["id"], changed["version"]) == ("5008 x 96 @ 50", 2)
    assert (changed["uuid"], changed["lastModifiedBy"]) == (row["uuid"], "u2")
    assert client.get(path).json() == changed
    assert client.get(path).headers["etag"] == answer.headers["etag"]
    scan = client.request(method, path, json={"isInterlaced": True}).json()
    assert (scan["id"], scan["frameRate"], scan["isInterlaced"]) == ("5008 x 96 @ 50i", 50, True)
    client.delete(path)


def test_a_change_of_nothing_writes_nothing(client: httpx.Client) -> None:
    row = make(client, hRes=5009)
    path = f"{PATH}/{row['uuid']}"
    for body in ({}, row, {"frameRate": "59.94", "version": 1}):
        assert client.put(path, json=body).json() == row


def test_a_change_to_what_exists_is_a_409(client: httpx.Client) -> None:
    row, other = make(client, hRes=5010), make(client, hRes=5010, frameRate=50)
    answer = client.put(f"{PATH}/{other['uuid']}", json={"frameRate": 59.94})
    assert (answer.status_code, answer.json()["error"]) == (409, "Format already exists")
    assert {each["id"] for each in _has(client, 5010)} == {row["id"], other["id"]}


def test_a_stale_change_is_a_version_conflict(client: httpx.Client) -> None:
    row = make(client, hRes=5011)
    path = f"{PATH}/{row['uuid']}"
    now = client.put(path, json={"frameRate": 50, "version": 1}).json()
    answer = client.put(path, json={"frameRate": 25, "version": 1})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (409, "VERSION_CONFLICT")
    assert problem["error"] == "Version conflict"
    assert (problem["currentVersion"], problem["clientVersion"]) == (2, 1)
    assert problem["serverData"] == now
    assert problem["conflicts"] == [{
        "fieldName": "frameRate", "clientVersion": 1, "serverVersion": 2, "baseValue": None,
        "clientValue": 25, "serverValue": 50,
    }]  # fmt: skip
    assert "'5011 x 96 @ 50' now, at version 2" in problem["message"]
    assert client.put(path, json={"frameRate": 50, "version": 1}).json() == now
    assert client.put(path, json={"frameRate": 50, "version": 9}).status_code == 409


def test_if_match_is_obeyed(client: httpx.Client) -> None:
    row = make(client, hRes=5012)
    path, stale = f"{PATH}/{row['uuid']}", {"if-match": '"0"'}
    for answer in (client.put(path, json={"frameRate": 50}, headers=stale),
                   client.delete(path, headers=stale)):  # fmt: skip
        assert (answer.status_code, answer.json()["serverData"]) == (412, row)
    fresh = {"if-match": client.get(path).headers["etag"]}
    assert client.delete(path, headers=fresh).json() == {"success": True}


def test_a_copy_that_is_the_newest_is_not_sent_again(client: httpx.Client) -> None:
    for path in (PATH, f"{PATH}/{listed(client)[0]['uuid']}"):
        etag = client.get(path).headers["etag"]
        answer = client.get(path, headers={"if-none-match": etag})
        assert (answer.status_code, answer.content) == (304, b"")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_system_format_is_nobodys_to_change(client: httpx.Client, method: str) -> None:
    row = system(client, "1280 x 720 @ 50")
    body = None if method == "DELETE" else {"frameRate": 60}
    answer = client.request(method, f"{PATH}/{row['uuid']}", json=body)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (403, "FORBIDDEN")
    assert problem["error"] == "System format"
    assert "ships with the service" in problem["message"]
    assert system(client, "1280 x 720 @ 50") == row


def test_a_deleted_format_comes_back_when_it_is_made_anew(client: httpx.Client) -> None:
    row = make(client, hRes=5013, blanking="RBv1")
    path = f"{PATH}/{row['uuid']}"
    assert client.delete(f"{path}?userId=u3").json() == {"success": True}
    assert _has(client, 5013) == []
    for answer in (client.get(path), client.delete(path), client.put(path, json={})):
        assert (answer.status_code, answer.json()["error"]) == (404, "Format not found")
    back = make(client, hRes=5013, blanking="RBv1", userId="u4")
    assert (back["uuid"], back["version"], back["isDeleted"]) == (row["uuid"], 3, False)
    assert back["lastModifiedBy"] == "u4"


@pytest.mark.parametrize("key", ["x", "1920 x 1080 @ 60", "%00", "%0A", "a%2Fb", "0" * 36])
def test_what_is_no_uuid_is_a_404(client: httpx.Client, key: str) -> None:
    assert client.get(f"{PATH}/{key}").status_code == 404
    assert client.delete(f"{PATH}/{key}").status_code == 404
    assert client.put(f"{PATH}/{key}", json={}).status_code == 404


def test_a_post_that_is_sent_again_makes_one(client: httpx.Client) -> None:
    key = {"idempotency-key": str(uuid4())}
    answers = [client.post(PATH, json={**WALL, "hRes": 5014}, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    again = {"idempotency-key": str(uuid4())}
    refusals = [client.post(PATH, json={**WALL, "hRes": 5014}, headers=again) for _ in range(2)]
    assert [answer.status_code for answer in refusals] == [409, 409]


# Two at once: another process has written and not committed, when this one is asked.
Write = Callable[[WriteContext], Awaitable[Any]]


def creating(width: int, rate: str = "59.94") -> Write:
    async def write(context: WriteContext) -> bytes:
        edit = FormatEdit(width, 96, parse_rate(rate))
        return await formats.create_format(context.connection, edit)

    return write


def by(write: Write) -> Callable[[Held], Awaitable[Any]]:
    return lambda held: held.write("formats", write)


async def test_two_make_the_same_format_at_once(client: httpx.Client, loaded: str) -> None:
    body = {**WALL, "hRes": 5020}
    _, answer = await after(loaded, by(creating(5020)), lambda: client.post(PATH, json=body))
    assert (answer.status_code, answer.json()["error"]) == (409, "Format already exists")
    assert len(_has(client, 5020)) == 1


async def test_one_process_makes_the_same_format_once(client: httpx.Client) -> None:
    def post() -> int:
        return client.post(PATH, json={**WALL, "hRes": 5021}).status_code

    answers = await asyncio.gather(*(asyncio.to_thread(post) for _ in range(6)))
    assert sorted(answers) == [201, 409, 409, 409, 409, 409]


async def test_two_bring_the_same_format_back_at_once(client: httpx.Client, loaded: str) -> None:
    row = make(client, hRes=5022)
    client.delete(f"{PATH}/{row['uuid']}")
    body = {**WALL, "hRes": 5022}
    _, answer = await after(loaded, by(creating(5022)), lambda: client.post(PATH, json=body))
    assert answer.status_code == 409
    assert [each["uuid"] for each in _has(client, 5022)] == [row["uuid"]]


@pytest.mark.parametrize("deed", ["PUT", "DELETE"])
async def test_a_change_waits_for_the_delete_of_another(
    client: httpx.Client, loaded: str, deed: str
) -> None:
    row = make(client, hRes=5023)
    uuid = UUID(row["uuid"])

    async def delete(context: WriteContext) -> None:
        await formats.delete_format(context.connection, uuid, None)

    body = {"frameRate": 50} if deed == "PUT" else None
    _, answer = await after(
        loaded, by(delete), lambda: client.request(deed, f"{PATH}/{uuid}", json=body)
    )
    assert answer.status_code == 404


async def test_a_change_to_what_another_makes_is_a_409(client: httpx.Client, loaded: str) -> None:
    row = make(client, hRes=5024)
    _, answer = await after(
        loaded, by(creating(5024, "50")),
        lambda: client.put(f"{PATH}/{row['uuid']}", json={"frameRate": 50}),
    )  # fmt: skip
    assert answer.status_code == 409
    assert {each["frameRate"] for each in _has(client, 5024)} == {50, 59.94}


async def test_the_index_refuses_what_the_lock_does_not_see(
    client: httpx.Client, loaded: str
) -> None:
    """Who ships formats takes no lock: it may add one while somebody makes the same."""
    row = make(client, hRes=5025)
    insert = (
        "INSERT INTO formats (id, h_res, v_res, rate_numerator, rate_denominator) "
        "VALUES ('5025 x 96 @ 50', 5025, 96, 50, 1)"
    )

    async def ship(context: WriteContext) -> None:
        await context.connection.execute(insert)

    body = {**WALL, "hRes": 5025, "frameRate": 50}
    _, answer = await after(loaded, by(ship), lambda: client.post(PATH, json=body))
    assert (answer.status_code, answer.json()["error"]) == (409, "Format already exists")
    await databases.execute(loaded, "DELETE FROM formats WHERE id = '5025 x 96 @ 50'")
    _, answer = await after(
        loaded, by(ship), lambda: client.put(f"{PATH}/{row['uuid']}", json={"frameRate": 50})
    )
    assert (answer.status_code, answer.json()["error"]) == (409, "Format already exists")


# What ships.
def test_what_ships_is_what_the_trade_has() -> None:
    ids = [video.display_id for video in SYSTEM_FORMATS]
    assert len(ids) == len(set(ids))
    assert {
        "720 x 486 @ 59.94i", "720 x 576 @ 50i", "1280 x 720 @ 59.94", "1920 x 1080 @ 59.94i",
        "1920 x 1080 @ 23.98psf", "1920 x 1080 @ 60 RBv1", "3840 x 2160 @ 60 RBv2",
        "4096 x 2160 @ 24", "1024 x 768 @ 60", "3840 x 2400 @ 60 RBv1",
    } <= set(ids)  # fmt: skip
    assert all(parse_format(video.display_id) == video for video in SYSTEM_FORMATS)


def test_uuids_never_change() -> None:
    """Shows and other installations name them."""
    assert str(system_uuid(parse_format("1920x1080@60"))) == "f8d445ab-aef2-5360-83f1-ff42380b7680"
    assert len({system_uuid(video) for video in SYSTEM_FORMATS}) == len(SYSTEM_FORMATS)


async def test_loading_again_changes_nothing(own_database: str) -> None:
    await load(own_database)
    rows = "SELECT formats::text FROM formats ORDER BY uuid"
    before = await databases.column(own_database, rows)
    assert len(before) == len(SYSTEM_FORMATS)
    await load(own_database)
    assert await databases.column(own_database, rows) == before


async def test_loading_adopts_what_users_made_and_keeps_their_own(own_database: str) -> None:
    with service(own_database) as client:
        hd = make(client, hRes=1920, vRes=1080)
        wall = make(client)
        await load(own_database)
        assert system(client, hd["id"]) == {
            **hd, "isSystem": True, "version": 2,
            "updatedAt": system(client, hd["id"])["updatedAt"],
        }  # fmt: skip
        assert client.get(f"{PATH}/{wall['uuid']}").json() == wall
        assert len(listed(client)) == len(SYSTEM_FORMATS) + 1


async def test_loading_while_somebody_makes_the_same_format(own_database: str) -> None:
    """It waits, and takes theirs."""

    async def create(context: WriteContext) -> bytes:
        return await formats.create_format(context.connection, FormatEdit(1920, 1080, Fraction(60)))

    await after(own_database, by(create), lambda: asyncio.run(load(own_database)))
    ids = await databases.column(own_database, ALL)
    assert len(ids) == len(set(ids)) == len(SYSTEM_FORMATS)


async def test_what_an_operator_took_out_stays_out(own_database: str) -> None:
    await load(own_database)
    take = "UPDATE formats SET is_deleted = true WHERE id = '1024 x 768 @ 60'"
    await databases.execute(own_database, take)
    await load(own_database)
    live = await databases.column(own_database, "SELECT id FROM formats WHERE NOT is_deleted")
    assert len(live) == len(SYSTEM_FORMATS) - 1
