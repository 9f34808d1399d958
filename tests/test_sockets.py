"""Socket.IO: what is written reaches every tab that watches, on every process, exactly once."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from socketio.exceptions import ConnectionError as NotConnected

from app.live.sockets.limits import SocketLimits
from app.model.entity import Entity
from app.model.secret_fields import public
from tests.support.bodies import SCOPED, minimal, named
from tests.support.databases import execute
from tests.support.processes import plain
from tests.support.sockets import Tab, posted, refused, served, several, tab

TOKEN = "a-token-for-the-crew"
QUICK = SocketLimits(linger=0.2, retry=0.2, sweep=0.5)


@pytest.fixture(scope="module")
def roots(shared_database: str) -> Iterator[list[str]]:
    with several(shared_database, 2, limits=QUICK) as made:
        yield made


@pytest.fixture
async def show(roots: list[str]) -> dict[str, Any]:
    return await posted(roots[0], "productions", name="A show")


@pytest.fixture(params=["websocket", "polling"])
async def pair(request: Any, roots: list[str]) -> AsyncIterator[tuple[Tab, Tab]]:
    """Return two tabs, each on a process of its own."""
    async with tab(roots[0], request.param) as one, tab(roots[1], request.param) as other:
        yield one, other


@pytest.fixture
async def http(roots: list[str]) -> AsyncIterator[httpx.AsyncClient]:
    async with plain(base_url=roots[0], timeout=30) as client:
        yield client


# What is written


@pytest.mark.parametrize("entity", SCOPED, ids=named)
async def test_a_row_s_life_is_told_to_all_who_watch_and_to_its_author(
    roots: list[str], show: dict[str, Any], http: httpx.AsyncClient, entity: type[Entity]
) -> None:
    async with tab(roots[0]) as mine, tab(roots[1]) as other:
        await mine.join(show["id"])
        await other.join(show["uuid"])
        body = minimal(entity, productionId=show["id"], userId="ann", userName="Ann")
        made = (await http.post(f"/api/{entity.collection}", json=body)).json()
        path = f"/api/{entity.collection}/{made['uuid']}"
        edit = {"note": "new", "title": "new", "version": 1, "userId": "bob", "userName": "Bob"}
        changed = (await http.patch(path, json=edit)).json()
        await http.request("DELETE", path, json={"userId": "cy", "userName": "Cy"})
        for watching in (mine, other):
            gone = await watching.one("entity:deleted")
            told = [(name, p) for name, p in watching.told if name.startswith("entity:")]
            assert [name for name, _ in told] == [
                "entity:created", "entity:updated", "entity:deleted",
            ]  # fmt: skip
            (_, first), (_, second), _ = told
            assert [p["seq"] for _, p in told] == [2, 3, 4]
            assert {p["entityType"] for _, p in told} == {entity.entity_type}
            assert (first["entity"], first["userId"]) == (public(entity, made), "ann")
            assert (second["entity"], second["userName"]) == (public(entity, changed), "Bob")
            assert first["entityId"] == second["entityId"] == made["uuid"]
            assert gone["entityId"] == made["id" if entity.deleted_by_label else "uuid"]


async def test_a_label_that_others_show_is_told_with_them(
    roots: list[str], show: dict[str, Any], http: httpx.AsyncClient
) -> None:
    place = {"productionId": show["id"]}
    ccu = await posted(roots[0], "ccus", **place, name="C")
    camera = await posted(roots[0], "cameras", **place, name="x", ccuId=ccu["id"])
    async with tab(roots[1]) as watching:
        await watching.join(show["id"])
        await http.patch(f"/api/ccus/{ccu['uuid']}", json={"id": "CCU 77", "version": 1})
        derived = await watching.one("entity:updated", entityId=camera["uuid"])
    assert (derived["derived"], derived["seq"], derived["entity"]["ccuId"]) == (True, 4, "CCU 77")


async def test_a_production_is_told_in_its_room_and_in_the_list(
    roots: list[str], http: httpx.AsyncClient, pair: tuple[Tab, Tab]
) -> None:
    listing, inside = pair
    assert "error" not in await listing.ask("production-list:join", {"userId": "ann"})
    first = await posted(roots[0], "productions", name="Is the list watched?")
    await listing.until(lambda: _listed(listing, first["uuid"]))
    made = (await http.post("/api/productions", json={"name": "New", "userId": "bob"})).json()
    created = (await listing.until(lambda: _listed(listing, made["uuid"])))[0]
    assert (created["production"], created["userId"], created["seq"]) == (made, "bob", 1)
    await inside.join(made["id"])
    path = f"/api/productions/{made['uuid']}"
    changed = (await http.put(path, json={"venue": "Hall", "version": 1})).json()
    assert await inside.one("production:updated") == changed | {"seq": 2}
    wrapped = await listing.until(lambda: [
        p for p in listing.of("production:updated") if p["production"]["uuid"] == made["uuid"]
    ])  # fmt: skip
    assert wrapped[0]["production"] == changed
    await http.delete(path)
    assert (await inside.one("production:deleted"))["productionId"] == made["id"]
    await listing.one("production:deleted", productionId=made["id"])
    assert (await inside.join(made["id"]))["code"] == "PRODUCTION_NOT_FOUND"


def _listed(watching: Tab, uuid: str) -> list[Any]:
    return [p for p in watching.of("production:created") if p["production"]["uuid"] == uuid]


async def test_what_is_refused_or_left_is_not_told(
    roots: list[str], show: dict[str, Any], http: httpx.AsyncClient, pair: tuple[Tab, Tab]
) -> None:
    one, other = pair
    place = {"productionId": show["uuid"]}
    ccu = await posted(roots[0], "ccus", **place, name="C")
    await one.join(show["id"])
    await other.join(show["id"])
    await other.ask("production:leave", {"productionId": show["uuid"]})
    answers = [
        await http.post("/api/ccus", json={**place, "name": "C", "id": ccu["id"]}),
        await http.post("/api/cameras", json={**place, "name": "x", "ccuId": "NOBODY"}),
        await http.patch(f"/api/ccus/{ccu['uuid']}", json={"name": 3}),
        await http.post(
            f"/api/productions/{show['uuid']}/ccus/bulk",
            json={"operations": [
                {"op": "create", "data": {"name": "undone"}},
                {"op": "delete", "key": "NOBODY"},
            ]},
        ),
    ]  # fmt: skip
    assert all(answer.status_code >= 400 for answer in answers)
    async with tab(roots[1]) as third:
        await third.join(show["id"])
        last = await posted(roots[0], "ccus", **place, name="after all that")
        await third.one("entity:created")  # so the process of the one who left has told it
    told = await one.one("entity:created")
    assert (told["entityId"], told["seq"]) == (last["uuid"], 3)
    assert [name for name, _ in one.told if name != "presence:update"] == ["entity:created"]
    assert not other.of("entity:created")


# Joining


async def test_joins_are_answered_with_the_place_and_may_be_repeated(
    show: dict[str, Any], pair: tuple[Tab, Tab]
) -> None:
    one, _ = pair
    place = {"productionId": show["id"], "productionUuid": show["uuid"], "seq": 1}
    for key in (show["id"], show["uuid"], show["id"]):
        assert await one.join(key) == place
    assert await one.ask("production:leave", {"productionId": show["id"]}) == {}
    assert await one.ask("production:leave", {"productionId": show["id"]}) == {}
    assert await one.join(show["id"]) == place
    unknown = await one.join("NOBODY'S SHOW")
    assert (unknown["code"], unknown["error"]) == ("PRODUCTION_NOT_FOUND", "Production not found")


async def test_a_label_that_another_show_had_lately_leads_into_neither(
    roots: list[str], http: httpx.AsyncClient, pair: tuple[Tab, Tab]
) -> None:
    one, other = pair
    tour, last = f"TOUR {one.sid}", f"LAST TOUR {one.sid}"
    first = await posted(roots[0], "productions", name="First", id=tour)
    await one.join(tour)
    path = f"/api/productions/{first['uuid']}"
    (await http.put(path, json={"id": last, "version": 1})).raise_for_status()
    await one.one("production:updated")
    second = await posted(roots[0], "productions", name="Second", id=tour)
    for asking in (one, other):
        told = await asking.join(tour)
        assert (told["code"], len(told["candidates"])) == ("AMBIGUOUS_ID", 2)
        assert (await asking.join(second["uuid"]))["productionId"] == tour
        assert (await asking.join(last))["productionUuid"] == first["uuid"]


async def test_who_comes_back_gets_every_entry_once_while_others_write(
    roots: list[str], show: dict[str, Any], pair: tuple[Tab, Tab]
) -> None:
    """Two come back, from numbers of the past, while two writers go on on both processes."""

    async def write(root: str, count: int) -> None:
        async with plain(base_url=root, timeout=30) as client:
            for _ in range(count):
                body = {"productionId": show["id"], "name": "C"}
                (await client.post("/api/ccus", json=body)).raise_for_status()

    await write(roots[0], 9)
    writers = [asyncio.create_task(write(root, 40)) for root in roots]
    for since, watching in zip((1, 5), pair, strict=True):
        assert (await watching.join(show["id"], since=since))["seq"] >= 10
    await asyncio.gather(*writers)
    for since, watching in zip((1, 5), pair, strict=True):
        await watching.one("entity:created", seq=90)
        seqs = [p["seq"] for p in watching.of("entity:created")]
        assert seqs == list(range(since + 1, 91))


async def test_who_was_away_too_long_is_told_so_and_joined_from_now(
    roots: list[str], shared_database: str, show: dict[str, Any], pair: tuple[Tab, Tab]
) -> None:
    one, _ = pair
    for _ in range(3):
        await posted(roots[0], "ccus", productionId=show["id"], name="C")
    trim = "DELETE FROM changes WHERE production_uuid = $1 AND seq <= 3"
    await execute(shared_database, trim, show["uuid"])
    for since in (1, 999):
        told = await one.join(show["id"], since=since)
        assert (told["code"], told["latest"]) == ("LOG_TRIMMED", 4)
        assert told["resync"] == f"/api/productions/{show['uuid']}/show"
    await posted(roots[1], "ccus", productionId=show["id"], name="C")
    assert (await one.one("entity:created"))["seq"] == 5
    assert len(one.of("entity:created")) == 1


async def test_a_tab_that_begins_with_polling_takes_a_websocket(
    roots: list[str], show: dict[str, Any]
) -> None:
    async with tab(roots[0], "polling", "websocket") as one:
        await one.join(show["id"])
        assert one.client.transport() == "websocket"
        made = await posted(roots[1], "ccus", productionId=show["id"], name="C")
        await one.one("entity:created", entityId=made["uuid"])


# What tabs tell each other


@pytest.mark.parametrize("size", [3, 7_001, 250_000])
async def test_what_a_tab_says_reaches_the_others_whole_on_both_processes(
    roots: list[str], show: dict[str, Any], pair: tuple[Tab, Tab], size: int
) -> None:
    one, far = pair
    async with tab(roots[0]) as near, tab(roots[1]) as elsewhere:
        for watching in (one, far, near):
            await watching.join(show["id"])
        await elsewhere.ask("production-list:join", {})
        text = "é'\"\\ \n" + "x" * size
        said = {"productionId": show["id"], "userId": "ann", "changeType": "cursor",
                "data": {"text": text, "n": [1, None, 2.5]}}  # fmt: skip
        assert await one.ask("production:change", said) == {}
        for watching in (near, far):
            assert await watching.one("production:change") == said
        assert not one.of("production:change")
        assert not elsewhere.of("production:change")


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"data": "x" * 262_200}, "BODY_TOO_LARGE"),
        ({"data": float("nan")}, "INVALID"),
        ({"changeType": "a\x00b"}, "INVALID"),
        ({"changeType": 7}, "INVALID"),
        ({"productionId": "ANOTHER SHOW"}, "NOT_JOINED"),
    ],
    ids=["large", "nan", "nul", "type", "room"],
)
async def test_what_cannot_be_told_is_refused(
    show: dict[str, Any], pair: tuple[Tab, Tab], payload: dict[str, Any], code: str
) -> None:
    one, other = pair
    await one.join(show["id"])
    await other.join(show["id"])
    said = {"productionId": show["id"], **payload}
    assert (await one.ask("production:change", said))["code"] == code
    assert await one.ask("production:change", {"productionId": show["id"], "data": "last"}) == {}
    assert (await other.one("production:change"))["data"] == "last"
    assert len(other.of("production:change")) == 1


# Who is let in


@pytest.fixture(scope="module")
def guarded(shared_database: str) -> Iterator[str]:
    with served(shared_database, QUICK, access_token=SecretStr(TOKEN)) as root:
        yield root


@pytest.mark.parametrize("transport", ["websocket", "polling"])
@pytest.mark.parametrize(
    "offered",
    [{"auth": {"token": TOKEN}}, {"headers": {"Authorization": f"Bearer {TOKEN}"}}],
    ids=["auth", "header"],
)
async def test_who_brings_the_token_is_let_in(
    guarded: str, transport: str, offered: dict[str, Any]
) -> None:
    async with tab(guarded, transport, **offered) as one:
        assert (await one.join("NOBODY"))["code"] == "PRODUCTION_NOT_FOUND"


@pytest.mark.parametrize("transport", ["websocket", "polling"])
@pytest.mark.parametrize(
    "offered",
    [
        {},
        {"auth": {"token": TOKEN[:-1]}},
        {"auth": {"token": ""}},
        {"auth": {"token": [TOKEN]}},
        {"auth": {"token": "\ud800é"}},
        {"auth": TOKEN},
        {"headers": {"Authorization": f"Basic {TOKEN}"}},
    ],
    ids=["none", "short", "empty", "list", "text", "bare", "scheme"],
)
async def test_who_does_not_is_told_so_and_disconnected(
    guarded: str, transport: str, offered: dict[str, Any]
) -> None:
    told, ended = await refused(guarded, transport, **offered)
    assert "access token" in told["message"]
    assert (told["data"]["code"], told["data"]["error"]) == ("UNAUTHORIZED", "Unauthorized")
    assert ended


@pytest.mark.parametrize("name", ["token", "access_token", "auth", "authorization"])
async def test_a_token_in_the_address_is_refused(guarded: str, name: str) -> None:
    async with plain(base_url=guarded) as client:
        address = f"/socket.io/?EIO=4&transport=polling&{name}={TOKEN}"
        answer = await client.get(address, headers={"authorization": f"Bearer {TOKEN}"})
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")
    assert TOKEN not in answer.text


async def test_pages_of_other_origins_are_let_in_as_settings_say(shared_database: str) -> None:
    with served(shared_database, QUICK, cors_origins=("https://show.example",)) as root:
        async with plain(base_url=root) as client:
            for origin, status in (
                ("https://show.example", 200), (root, 200), ("https://evil.example", 400),
            ):  # fmt: skip
                headers = {"origin": origin}
                opened = await client.get("/socket.io/?EIO=4&transport=polling", headers=headers)
                assert opened.status_code == status
                allowed = opened.headers.get("access-control-allow-origin")
                assert (allowed == origin) is (status == 200)
        with pytest.raises(NotConnected):
            async with tab(root, headers={"Origin": "https://evil.example"}):
                pass
