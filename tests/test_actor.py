"""Who did it: optional everywhere, from the body, in the row and in the log."""

from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
from pydantic import SecretStr

from app.model.entity import Row
from app.releases.connection.open_connection import open_connection
from tests.support.bodies import ALL, minimal, named
from tests.support.service import created, service
from tests.support.sockets import tab
from tests.test_tokens import PEPPERS, bearer, key_of, made

CREW: Final = "a-token-for-the-crew"


@pytest.mark.parametrize(
    ("said", "row_value", "logged"),
    [
        ({}, None, ("system", "System")),
        ({"userId": "u1", "userName": "Ann"}, "u1", ("u1", "Ann")),
        ({"userId": "u1", "lastModifiedBy": "laptop 3"}, "laptop 3", ("u1", "System")),
        ({"lastModifiedBy": "laptop 3"}, "laptop 3", ("system", "System")),
        ({"userId": "", "userName": None, "lastModifiedBy": ""}, None, ("system", "System")),
    ],
)
@pytest.mark.parametrize("entity", ALL, ids=named)
def test_the_row_and_the_log_say_who(
    client: httpx.Client, make: Any, entity: type[Row], said: dict[str, Any],
    row_value: str | None, logged: tuple[str, str],
) -> None:  # fmt: skip
    row = make(entity.collection, **minimal(entity), **said)
    name = next(iter(minimal(entity)))
    edit = {name: "Changed", "version": 1, **said}
    after = client.put(f"/api/{entity.collection}/{row['uuid']}", json=edit).json()
    assert (row["lastModifiedBy"], after["lastModifiedBy"]) == (row_value, row_value)
    owner = row.get("productionUuid", row["uuid"])
    for event in client.get(f"/api/productions/{owner}/events?limit=2").json():
        assert (event["userId"], event["userName"]) == logged


@pytest.mark.parametrize("wrong", [1, {}, [], True, "x" * 5_000, "a\x00"])
def test_an_actor_that_is_no_text_is_refused(client: httpx.Client, wrong: Any) -> None:
    for member in ("userId", "userName", "lastModifiedBy"):
        answer = client.post("/api/productions", json={"name": "x", member: wrong})
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, member)


# With the token of one person


@pytest.fixture(scope="module")
def guarded(shared_database: str) -> Iterator[httpx.Client]:
    with service(shared_database, token_peppers=PEPPERS, access_token=SecretStr(CREW)) as client:
        yield client


async def test_a_persons_token_says_who_whatever_the_request_says(
    guarded: httpx.Client, shared_database: str
) -> None:
    guarded.headers = httpx.Headers(bearer(await made(shared_database)))
    boss = {"userId": "boss", "userName": "The boss", "lastModifiedBy": "boss"}
    show = created(guarded, "productions", name="x", **boss)
    owner = show["uuid"]
    camera = created(guarded, "cameras", productionId=owner, name="one", **boss)
    path = f"/api/cameras/{camera['uuid']}"
    guarded.patch(path, json={"name": "two", **boss}).raise_for_status()
    two = [{"op": "create", "data": {"name": "three", **boss}}]
    bulk = f"/api/productions/{owner}/cameras/bulk"
    guarded.post(bulk, json={"operations": two, **boss}).raise_for_status()
    restore = {"version": 1, **boss}
    guarded.post(f"{path}/restore", json=restore).raise_for_status()
    guarded.delete(f"{path}?userId=boss&userName=boss").raise_for_status()
    events = guarded.get(f"/api/productions/{owner}/events").json()
    assert {(event["userId"], event["userName"]) for event in events} == {("ann", "Ann")}
    assert len(events) == 6
    rows = guarded.get(f"/api/cameras/production/{owner}").json()
    assert {row["lastModifiedBy"] for row in (show, camera, *rows)} == {"ann"}


async def test_the_log_says_whose_credential_it_was(
    guarded: httpx.Client, shared_database: str
) -> None:
    token = await made(shared_database)
    headers = bearer(CREW) | {"x-request-id": "one-request"}
    body = {"name": "x", "userId": "ann"}
    show = guarded.post("/api/productions", headers=headers, json=body).json()
    headers = bearer(token) | {"x-request-id": "another"}
    guarded.patch(
        f"/api/productions/{show['uuid']}", headers=headers, json={"name": "y", "version": 1}
    ).raise_for_status()
    sql = "SELECT user_id, request_id FROM changes WHERE production_uuid = $1 ORDER BY seq"
    async with open_connection(shared_database) as connection:
        logged = [tuple(row) for row in await connection.fetch(sql, show["uuid"])]
    assert logged == [
        ("ann", "one-request setting:ACCESS_TOKEN"), ("ann", f"another token:{key_of(token)}"),
    ]  # fmt: skip


async def test_presence_and_what_is_relayed_name_the_holder(
    guarded: httpx.Client, shared_database: str
) -> None:
    root, token = str(guarded.base_url).rstrip("/"), await made(shared_database)
    show = guarded.post("/api/productions", headers=bearer(CREW), json={"name": "x"}).json()
    async with (
        tab(root, auth={"token": token}) as ann,
        tab(root, auth={"token": CREW}) as crew,
    ):
        await ann.join(show["id"], "boss")
        await crew.join(show["id"], "ben")
        await crew.seen("ann", "ben")
        said = {"productionId": show["id"], "userId": "boss", "userName": "boss", "data": 1}
        assert await ann.ask("production:change", said) == {}
        relayed = await crew.one("production:change")
        assert (relayed["userId"], relayed["userName"]) == ("ann", "Ann")
