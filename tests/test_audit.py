"""The audit: what is noted, that nobody changes it, that no flood fills it, how it is read."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import chain
from typing import Any, Final

import asyncpg
import pytest
from pydantic import SecretStr

from app.access.audit.audit_entries import REFUSED, AuditEntry, note_in
from app.access.audit.audit_writer import Audit
from app.releases.connection.open_connection import open_connection
from app.retention import AUDIT, Retention
from tests.support import databases
from tests.support.service import ServiceClient, created, service
from tests.support.sockets import refused
from tests.test_command_line import _run as run
from tests.test_writer import opened

OPERATOR: Final = "a-token-of-operators"
AS_OPERATOR: Final = {"authorization": f"Bearer {OPERATOR}"}
PATH: Final = "/api/admin/audit"
COUNT: Final = "SELECT count(*)::int FROM access_audit"


@pytest.fixture
def serving(own_database: str) -> Iterator[ServiceClient]:
    with service(own_database, operator_token=SecretStr(OPERATOR), anonymous="editor") as client:
        yield client


async def noted(url: str, *entries: AuditEntry) -> None:
    async with open_connection(url) as connection:
        await note_in(connection, *entries)


def events(client: ServiceClient) -> list[dict[str, Any]]:
    page = client.get(PATH, headers=AS_OPERATOR).raise_for_status().json()
    entries: list[dict[str, Any]] = page["entries"]
    return entries


async def one(client: ServiceClient, event: str) -> dict[str, Any]:
    """Wait for the newest entry of an event."""
    async with asyncio.timeout(60):
        while True:
            for entry in events(client):
                if entry["event"] == event:
                    return entry
            await asyncio.sleep(0.05)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():  # noqa: ASYNC110  # the database tells nobody
            await asyncio.sleep(0.01)


async def test_refusals_are_noted_with_who_and_where(serving: ServiceClient) -> None:
    wrong = "sb_0123456789abcdef." + "s" * 43
    headers = {"authorization": f"Bearer {wrong}", "x-request-id": "find-me"}
    assert serving.get("/api/productions", headers=headers).status_code == 401
    entry = await one(serving, "credential")
    assert (entry["outcome"], entry["address"], entry["subject"]) == ("refused", "127.0.0.1", None)
    assert entry["details"]["code"] == "UNAUTHORIZED"
    assert wrong not in json.dumps(events(serving))

    forbidden = serving.delete("/api/formats/9e1c5bcd-5d5b-5d51-8c0f-000000000000")
    assert forbidden.status_code in {403, 404}
    evil = {"host": "evil.example"}
    assert serving.get("/api/admin/migration-status", headers=evil).status_code in {401, 403}


async def test_sockets_too(serving: ServiceClient) -> None:
    await refused(str(serving.base_url), auth={"token": "wrong-token-of-a-socket"})
    entry = await one(serving, "credential")
    assert (entry["outcome"], entry["address"]) == ("refused", "127.0.0.1")


async def test_a_role_that_is_too_low_is_noted_with_its_holder(own_database: str) -> None:
    crew = SecretStr("a-token-for-the-crew")
    tokens = {"operator_token": SecretStr(OPERATOR), "access_token": crew}
    with service(own_database, **tokens) as client:
        headers = {"authorization": f"Bearer {crew.get_secret_value()}", "x-request-id": "find-me"}
        assert client.get(PATH, headers=headers).status_code == 403
        entry = await one(client, "forbidden")
    assert (entry["subject"], entry["requestId"]) == ("setting:ACCESS_TOKEN", "find-me")
    assert entry["details"] == {"code": "FORBIDDEN", "method": "GET", "path": "/api/admin"}


def test_a_restored_row_is_noted_wherever_it_is_restored(serving: ServiceClient) -> None:
    show = created(serving, "productions", name="A show")
    camera = created(serving, "cameras", productionId=show["id"], name="CAM")
    path, key = f"/api/cameras/{camera['uuid']}", {"idempotency-key": "once"}
    assert serving.post(f"{path}/restore", json={"version": 9}).status_code >= 400
    serving.delete(path).raise_for_status()
    for _ in range(2):  # the second one is answered as the first was, and does nothing
        serving.post(f"{path}/restore", headers=key).raise_for_status()
    serving.post(f"{path}/restore", json={"version": 1}).raise_for_status()

    bulk = f"/api/productions/{show['id']}/cameras/bulk"
    back = {"op": "restore", "key": camera["uuid"]}
    serving.delete(path).raise_for_status()
    undone = [back, {"op": "delete", "key": "no such camera"}]
    assert serving.post(bulk, json={"operations": undone}).status_code == 409
    serving.post(bulk, json={"operations": [back]}).raise_for_status()

    serving.delete(path).raise_for_status()
    changes = f"/api/productions/{show['id']}/changes"
    latest = serving.get(changes).json()["changes"][-1]["seq"]
    serving.post(f"{changes}/{latest}/undo").raise_for_status()
    restores = [entry for entry in events(serving) if entry["event"] == "row.restored"]
    assert len(restores) == 3
    details = {"type": "cameras", "key": camera["uuid"], "version": None}
    assert all(entry["details"] == details for entry in restores)
    assert {(entry["subject"], entry["address"]) for entry in restores} == {
        ("anonymous", "127.0.0.1")
    }


def test_a_browser_that_signs_in_and_out_is_noted(serving: ServiceClient) -> None:
    assert serving.post("/sign-in", data={"token": "wrong"}).status_code == 401
    serving.post("/sign-in", data={"token": OPERATOR}, follow_redirects=False)
    for _ in range(2):  # the second time there is nobody to sign out
        cookies = dict(serving.cookies)
        serving.post("/sign-out", follow_redirects=False)
        serving.cookies.update(cookies)
    noted_of_it = [each for each in events(serving) if each["event"].startswith("session.")]
    assert [each["event"] for each in noted_of_it] == ["session.ended", "session.started"]
    who = {(each["subject"], each["userId"], each["address"]) for each in noted_of_it}
    assert who == {("setting:OPERATOR_TOKEN", None, "127.0.0.1")}


def test_a_membership_given_and_taken_is_noted(serving: ServiceClient) -> None:
    show = created(serving, "productions", name="A show")
    body = {"subject": "issuer:ann", "production": show["id"], "role": "viewer"}
    path = "/api/admin/memberships"
    serving.put(path, json=body, headers=AS_OPERATOR).raise_for_status()
    which = {"subject": "issuer:ann", "production": show["id"]}
    for status in (200, 404):
        taken = serving.delete(path, params=which, headers=AS_OPERATOR)
        assert taken.status_code == status
    taking, giving = events(serving)
    assert (giving["event"], taking["event"]) == ("membership.given", "membership.taken")
    given = {"to": "issuer:ann", "production": show["uuid"], "role": "viewer"}
    assert giving["details"] == given
    assert taking["details"] == {"of": "issuer:ann", "production": show["uuid"]}
    assert giving["subject"] == taking["subject"] == "setting:OPERATOR_TOKEN"


def test_tokens_made_and_revoked_by_the_command_line_are_noted(
    serving: ServiceClient, own_database: str
) -> None:
    env = {"DATABASE_URL": own_database, "TOKEN_PEPPERS": f"one:{'p' * 32}"}
    made = run("token", "create", "Ann's laptop", "--who", "ben", **env).stdout.strip()
    key, _, secret = made.removeprefix("sb_").partition(".")
    assert run("token", "revoke", key, "--who", "cleo", **env).returncode == 0
    revoked, creation = events(serving)
    assert (creation["event"], creation["userName"]) == ("token.created", "ben")
    assert creation["details"]["token"] == revoked["details"]["token"] == key
    assert (revoked["event"], revoked["userName"]) == ("token.revoked", "cleo")
    assert secret not in json.dumps([revoked, creation])


async def test_what_is_noted_with_an_action_is_there_only_with_it(own_database: str) -> None:
    async with open_connection(own_database) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await note_in(connection, AuditEntry("token.created"))
        await transaction.rollback()
    assert await databases.column(own_database, COUNT) == [0]


@pytest.mark.parametrize(
    "sql",
    ["UPDATE access_audit SET event = 'x'", "TRUNCATE access_audit",
     "DELETE FROM access_audit WHERE at > now() - interval '23 hours'"],
)  # fmt: skip
async def test_nobody_changes_it(own_database: str, sql: str) -> None:
    await noted(own_database, AuditEntry("token.created"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only written to"):
        await databases.execute(own_database, sql)
    assert await databases.column(own_database, COUNT) == [1]


@asynccontextmanager
async def writing(url: str, audit: Audit) -> AsyncIterator[None]:
    async with opened(url) as database, audit.running(database):
        yield


async def test_a_flood_of_refusals_is_few_rows(own_database: str) -> None:
    audit = Audit(kinds=20, window=3_600, pause=0)
    async with writing(own_database, audit):
        for n in range(5_000):
            code = {"code": "UNAUTHORIZED"}
            address = f"10.0.0.{n % 50}"
            audit.note_refusal(AuditEntry("credential", REFUSED, address=address, details=code))
        await until(lambda: _has(own_database, 21))
    # Those of 20 addresses, and all others together; each with what followed at the end.
    assert await databases.column(own_database, COUNT) == [42]
    further = "SELECT sum((details->>'further')::int)::int FROM access_audit"
    assert await databases.column(own_database, further) == [5_000 - 21]


async def _has(url: str, rows: int) -> bool:
    return await databases.column(url, COUNT) == [rows]


async def test_repeats_are_counted_when_their_window_is_over(own_database: str) -> None:
    audit = Audit(window=0.05, pause=0)
    entry = AuditEntry("credential", REFUSED, address="10.0.0.1", details={"code": "x"})
    async with writing(own_database, audit):
        for _ in range(7):
            audit.note_refusal(entry)
        await until(lambda: _has(own_database, 2))
        details = await databases.column(
            own_database, "SELECT details->>'further' FROM access_audit ORDER BY 1"
        )
        assert details == ["6", None]


async def test_a_database_that_is_away_loses_nothing_and_holds_no_memory(
    own_database: str,
) -> None:
    audit = Audit(most=10, pause=0)
    await databases.execute(own_database, "ALTER TABLE access_audit RENAME TO away")
    async with writing(own_database, audit):
        for n in range(25):
            audit.note(AuditEntry("row.restored", details={"n": n}))
        await asyncio.sleep(0)
        await databases.execute(own_database, "ALTER TABLE away RENAME TO access_audit")
        await until(lambda: _has(own_database, 11))
    lost = "SELECT details->>'entries' FROM access_audit WHERE event = 'audit.lost'"
    assert await databases.column(own_database, lost) == ["15"]


async def test_hostile_text_is_noted_short_and_whole(own_database: str) -> None:
    details = {"key": "a\0b\ud800" + "x" * 5_000}
    await noted(own_database, AuditEntry("row.restored", user_name="\0", details=details))
    [key] = await databases.column(own_database, "SELECT details->>'key' FROM access_audit")
    assert str(key).startswith("a\ufffdb")
    assert len(str(key)) == 300


async def test_it_is_read_page_by_page_and_printed_by_time(
    serving: ServiceClient, own_database: str
) -> None:
    days = (
        "INSERT INTO access_audit (at, event, outcome) SELECT '2027-01-01T12:00:00Z'::timestamptz"
    )
    await databases.execute(
        own_database,
        f"{days} + n / 2 * interval '1 day', 'e' || n, 'ok' FROM generate_series(0, 9) n",
    )
    pages: list[list[str]] = []
    before = None
    while before or not pages:
        query = {"limit": 4, **({"before": before} if before else {})}
        page = serving.get(PATH, params=query, headers=AS_OPERATOR).raise_for_status().json()
        pages.append([entry["event"] for entry in page["entries"]])
        before = page["next"]
    assert [len(page) for page in pages] == [4, 4, 2]
    assert sorted(chain(*pages)) == [f"e{n}" for n in range(10)]
    assert set(pages[0]) == {"e9", "e8", "e7", "e6"}
    limits = ("--since", "2027-01-02", "--until", "2027-01-04T12:00:00")
    done = run("audit", "export", *limits, DATABASE_URL=own_database)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["event"] for line in lines} == {"e2", "e3", "e4", "e5"}
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    assert lines[0]["at"] == "2027-01-02T12:00:00.000Z"
    whole = run("audit", "export", DATABASE_URL=own_database).stdout
    assert len(whole.splitlines()) == 10


def test_only_operators_read_it(serving: ServiceClient) -> None:
    assert serving.get(PATH).status_code == 401
    for query in ({"limit": 0}, {"before": "x"}):
        answer = serving.get(PATH, params=query, headers=AS_OPERATOR)
        assert (answer.status_code, answer.json()["code"]) == (422, "INVALID")


async def test_old_entries_are_removed(own_database: str) -> None:
    await databases.execute(
        own_database,
        "INSERT INTO access_audit (at, event, outcome) "
        "SELECT now() - n * interval '1 day', 'e', 'ok' FROM unnest(ARRAY[0, 29, 31, 32]) n",
    )
    async with opened(own_database) as database:
        assert await Retention(database, 0, audit_days=30, pause=0).prune(AUDIT) == 2
    assert await databases.column(own_database, COUNT) == [2]
