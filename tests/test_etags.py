"""Entity tags: what a client has is confirmed exactly as long as it is the newest."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.database.database import Database
from app.database.url import DatabaseUrl
from app.entities import discovered
from app.model.entity import Row
from app.releases.migrations.alembic_runner import upgrade
from app.releases.migrations.revisions import needed
from app.rules.etags import entity_tag, fingerprint, list_tag, matches
from app.store.read import list_all, state_token
from tests.legacy import connected, quiet
from tests.support import databases
from tests.support.bodies import (
    ALL,
    REPRESENTATIVES,
    SCOPED,
    SCOPED_REPRESENTATIVES,
    minimal,
    named,
)
from tests.support.service import created, service, settings

every = pytest.mark.parametrize("entity", REPRESENTATIVES, ids=named)
scoped = pytest.mark.parametrize("entity", SCOPED_REPRESENTATIVES, ids=named)
Make = Callable[..., dict[str, Any]]


def listing(entity: type[Row], production: str) -> str:
    path = f"/api/{entity.collection}"
    return f"{path}/production/{production}" if entity in SCOPED else path


def asked(client: httpx.Client, path: str, tag: str = "") -> httpx.Response:
    answer = client.get(path, headers={"if-none-match": tag} if tag else {})
    assert answer.status_code in {200, 304}, answer.text
    return answer


@every
@pytest.mark.parametrize("key", ["uuid", "id"])
def test_an_unchanged_list_is_confirmed_without_a_body(
    client: httpx.Client, make: Make, production: dict[str, Any], entity: type[Row], key: str
) -> None:
    make(entity.collection, **minimal(entity))
    path = listing(entity, production[key])
    whole = asked(client, path)
    assert whole.headers["etag"].startswith('W/"')
    assert whole.headers["cache-control"] == "private, no-cache"
    again = asked(client, path, whole.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    for name in ("etag", "cache-control", "vary"):
        assert again.headers[name] == whole.headers[name]
    assert "content-type" not in again.headers


@scoped
def test_every_write_in_a_production_changes_the_tags_of_its_lists(
    client: httpx.Client, make: Make, production: dict[str, Any], entity: type[Row]
) -> None:
    path = listing(entity, production["uuid"])
    seen = [asked(client, path).headers["etag"]]
    for kind in ALL:
        if kind not in SCOPED:
            continue
        member = next(iter(minimal(kind)))
        row = make(kind.collection, **minimal(kind))
        seen.append(_newer(client, path, seen[-1]))
        one = f"/api/{kind.collection}/{row['uuid']}"
        client.put(one, json={member: "another", "version": 1}).raise_for_status()
        seen.append(_newer(client, path, seen[-1]))
        client.delete(one).raise_for_status()
        seen.append(_newer(client, path, seen[-1]))
    show = f"/api/productions/{production['uuid']}"
    client.put(show, json={"name": "another", "version": 1}).raise_for_status()
    seen.append(_newer(client, path, seen[-1]))
    assert len(set(seen)) == len(seen)


def _newer(client: httpx.Client, path: str, tag: str) -> str:
    answer = asked(client, path, tag)
    assert answer.status_code == 200
    return answer.headers["etag"]


def test_every_write_of_a_production_changes_the_tag_of_their_list(client: httpx.Client) -> None:
    seen = [asked(client, "/api/productions").headers["etag"]]
    made = created(client, "productions", name="x")
    seen.append(_newer(client, "/api/productions", seen[-1]))
    path = f"/api/productions/{made['uuid']}"
    client.put(path, json={"name": "y", "version": 1}).raise_for_status()
    seen.append(_newer(client, "/api/productions", seen[-1]))
    client.delete(path).raise_for_status()
    seen.append(_newer(client, "/api/productions", seen[-1]))
    assert len(set(seen)) == 4


def test_renaming_a_ccu_changes_the_list_of_its_cameras(
    client: httpx.Client, make: Make, production: dict[str, Any]
) -> None:
    ccu = make("ccus", name="x")
    make("cameras", name="x", ccuId=ccu["id"])
    path = f"/api/cameras/production/{production['uuid']}"
    tag = asked(client, path).headers["etag"]
    client.put(f"/api/ccus/{ccu['uuid']}", json={"id": "CCU X"}).raise_for_status()
    assert asked(client, path, tag).json()[0]["ccuId"] == "CCU X"


@every
@pytest.mark.parametrize("key", ["uuid", "id"])
def test_one_row_is_confirmed_until_it_changes(
    client: httpx.Client, make: Make, entity: type[Row], key: str
) -> None:
    row = make(entity.collection, **minimal(entity))
    path = f"/api/{entity.collection}/{row['uuid']}"
    if key == "id":
        client.put(path, json={"id": f"only {row['uuid']}", "version": 1}).raise_for_status()
    asking = path if key == "uuid" else f"/api/{entity.collection}/only {row['uuid']}"
    whole = asked(client, asking)
    tag = whole.headers["etag"]
    assert tag == entity_tag(whole.content)
    assert asked(client, asking, tag).status_code == 304
    assert asked(client, asking, f'W/{tag}, "other"').content == b""
    version = whole.json()["version"]
    member = next(iter(minimal(entity)))
    client.put(path, json={member: "changed", "version": version}).raise_for_status()
    assert asked(client, asking, tag).status_code == 200


@scoped
def test_an_unknown_production_has_no_tag(client: httpx.Client, entity: type[Row]) -> None:
    for key in ("nobody", "00000000-0000-4000-8000-000000000000"):
        answer = asked(client, listing(entity, key), "*")
        assert (answer.status_code, answer.content) == (200, b"[]")
        assert "etag" not in answer.headers


def test_another_production_under_the_same_label_is_another_list(client: httpx.Client) -> None:
    """Both have had as many changes: the label alone would confirm what is somebody else's."""
    tags: list[str] = []
    for name in ("first", "second"):
        show = created(client, "productions", name="x", id="the label")
        camera = created(client, "cameras", productionId="the label", name=name)
        answer = asked(client, "/api/cameras/production/the label", ", ".join(tags))
        assert answer.json()[0]["uuid"] == camera["uuid"]
        tags.append(answer.headers["etag"])
        client.delete(f"/api/productions/{show['uuid']}").raise_for_status()
    assert tags[0] != tags[1]


@every
def test_the_tag_of_another_version_of_the_code_confirms_nothing(
    client: httpx.Client, production: dict[str, Any], entity: type[Row]
) -> None:
    path = listing(entity, production["uuid"])
    number, _, known_by = asked(client, path).headers["etag"].strip('W/"').partition("-")
    for other in (fingerprint("another statement", "0001"), "00000000", ""):
        assert known_by != other
        assert asked(client, path, list_tag(number, other)).status_code == 200


def test_tags_of_two_statements_or_revisions_differ() -> None:
    made = {fingerprint(sql, revision) for sql in ("a", "b") for revision in ("1", "2")}
    assert len(made) == 4


async def test_while_the_older_service_may_write_there_is_no_tag(empty_database: str) -> None:
    await upgrade(empty_database, needed(), say=quiet)
    with service(empty_database) as client:
        show = created(client, "productions", name="x")
        camera = created(client, "cameras", productionId=show["id"], name="x")
        for key in (show["uuid"], show["id"]):
            answer = asked(client, f"/api/cameras/production/{key}", "*")
            assert [row["uuid"] for row in answer.json()] == [camera["uuid"]]
            assert "etag" not in answer.headers
        assert "etag" not in asked(client, "/api/productions", "*").headers


@scoped
async def test_a_tag_is_never_newer_than_the_rows(
    client: httpx.Client, shared_database: str, make: Make, production: dict[str, Any],
    entity: type[Row],
) -> None:  # fmt: skip
    """While somebody writes, each tag stands for one state, and the rows never lag behind it."""
    reader = Database(DatabaseUrl.parse(shared_database), settings())
    await reader.open()
    ended = asyncio.Event()

    async def read() -> None:
        seen: dict[str, bytes] = {}
        while not ended.is_set():
            before = await state_token(reader, entity, production["uuid"])
            listed = await list_all(reader, entity, production["uuid"])
            assert seen.setdefault(listed.state, listed.body) == listed.body
            assert int(listed.state) >= int(before)
            assert int(listed.state) == 1 + listed.body.count(b'"isDeleted"')

    readers = [asyncio.create_task(read()) for _ in range(3)]
    for _ in range(8):
        await asyncio.to_thread(make, entity.collection, **minimal(entity))
    ended.set()
    await asyncio.gather(*readers)
    await reader.close()


async def test_rows_and_tag_come_from_one_snapshot(own_database: str) -> None:
    """A writer that has counted but not committed is in neither; once it has, in both."""
    with service(own_database) as client:
        show = created(client, "productions", name="x")
        created(client, "cameras", productionId=show["id"], name="before")
        path = f"/api/cameras/production/{show['uuid']}"
        before = client.get(path)
        async with connected(own_database) as connection, connection.transaction():
            await connection.execute("UPDATE cameras SET name = 'after'")
            await connection.execute("UPDATE productions SET change_seq = change_seq + 1")
            during = client.get(path)
        after = client.get(path)
        assert (during.content, during.headers["etag"]) == (before.content, before.headers["etag"])
        assert after.json()[0]["name"] == "after"
        assert after.headers["etag"] != before.headers["etag"]


HOSTILE = ['"', '""', "W/", "**", '"*"', '",' * 500, 'W/"1-0', "é", 'W/W/"1"', ", ,", "\\"]


@every
@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_if_none_match_is_no_match(
    client: httpx.Client, production: dict[str, Any], entity: type[Row], value: str
) -> None:
    path = listing(entity, production["uuid"])
    answer = client.get(path, headers=[(b"if-none-match", value.encode("latin-1"))])
    assert answer.status_code == 200


@given(st.binary())
def test_reading_if_none_match_never_raises(value: bytes) -> None:
    assert matches(value, '"a tag that nobody sends"') is (value.strip() == b"*")


@pytest.mark.parametrize(
    ("value", "same"),
    [(b'"1"', True), (b'W/"1"', True), (b'"0", W/"1"', True), (b'"0","1"', True), (b"*", True),
     (b" * ", True), (b'"11"', False), (b"1", False), (b'"0"', False), (b"", False)],
)  # fmt: skip
@pytest.mark.parametrize("tag", ['"1"', 'W/"1"'])
def test_tags_are_compared_weakly(value: bytes, same: bool, tag: str) -> None:
    assert matches(value, tag) is same


def test_the_document_tells_of_tags(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    hot = [f"/api/{kind.collection}/{{key}}" for kind in discovered().values()]
    hot += [listing(kind, "{production}") for kind in discovered().values()]
    for path in [*hot, "/api/productions/{production}/show"]:
        told = paths[path]["get"]
        assert "ETag" in told["responses"]["200"]["headers"]
        assert "content" not in told["responses"]["304"]
        assert "If-None-Match" in {parameter["name"] for parameter in told["parameters"]}


async def test_a_show_taken_out_by_hand_does_not_hide_the_next_one(own_database: str) -> None:
    with service(own_database) as client:
        for name in "ab":
            gone = created(client, "productions", name=name)
        tag = client.get("/api/productions").headers["etag"]
        await databases.execute(
            own_database, "DELETE FROM productions WHERE uuid = $1", gone["uuid"]
        )
        created(client, "productions", name="c")
        again = client.get("/api/productions", headers={"if-none-match": tag})
    assert (again.status_code, len(again.json())) == (200, 2)
