"""Secrets of a show: who may edit sees them, and they are nowhere else.

Each secret that a test writes holds the word CANARY, which is then looked for everywhere.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest

from app.database.embedded_home import pg_bin
from app.database.url import DatabaseUrl
from app.model.entity import Row
from app.model.secret_fields import public
from app.settings import PROJECT
from app.sql.registry import named_statements
from app.sql.show_reads import members
from tests.support import databases
from tests.support.bodies import ALL, minimal, named
from tests.support.offline import changing, making
from tests.support.processes import plain, processes
from tests.support.sockets import Tab, tab

Made = dict[str, Any]
WITH_SECRETS: Final = [entity for entity in ALL if entity.secrets]
every = pytest.mark.parametrize("entity", WITH_SECRETS, ids=named)
CANARY: Final = "canary"
_numbers = count()


def canary() -> str:
    """Return a secret that no other write has."""
    return f"{CANARY}-{next(_numbers)}-{uuid4().hex}"


def secrets(entity: type[Row]) -> dict[str, str]:
    return {entity.wire(name): canary() for name in entity.secrets}


def member(entity: type[Row]) -> str:
    return entity.wire(entity.secrets[0])


def path(entity: type[Row], row: Made, *more: str) -> str:
    return "/".join([f"/api/{entity.collection}/{row['uuid']}", *more])


def last(client: httpx.Client, production: Made) -> int:
    feed = client.get(f"/api/productions/{production['uuid']}/changes", params={"limit": 1})
    number: int = feed.json()["latest"]
    return number


class Writers:
    """Writes secrets through every door of one process, and remembers every answer."""

    def __init__(self, http: httpx.AsyncClient, entity: type[Row], show: Made) -> None:
        self.http, self.entity, self.show = http, entity, show
        self.collection = f"/api/{entity.collection}"
        self.production = f"/api/productions/{show['uuid']}"
        # What may not hold a secret, by where it comes from.
        self.hidden: dict[str, str] = {}

    async def ask(self, method: str, where: str, body: Any = None, **how: Any) -> Any:
        answer = await self.http.request(method, where, json=body, **how)
        return answer.raise_for_status().json()

    async def hide(self, method: str, where: str, body: Any = None, **how: Any) -> Any:
        """Ask for what may not hold a secret."""
        answer = await self.http.request(method, where, json=body, **how)
        self.hidden[f"{method} {where} {answer.status_code}"] = answer.text
        return answer.json()

    async def row(self) -> Made:
        """Write through POST, PUT, PATCH and bulk; each answer has what was sent."""
        sent = secrets(self.entity)
        body = {**minimal(self.entity, productionId=self.show["id"]), **sent}
        key = {"idempotency-key": str(uuid4())}
        row = await self.ask("POST", self.collection, body, headers=key)
        assert sent.items() <= row.items()
        assert await self.ask("POST", self.collection, body, headers=key) == row
        for method in ("PUT", "PATCH"):
            sent = secrets(self.entity)
            edit = {**sent, "version": row["version"]}
            row = await self.ask(method, f"{self.collection}/{row['uuid']}", edit)
            assert sent.items() <= row.items()
        for atomic in (True, False):
            sent = secrets(self.entity)
            steps = [
                {"op": "create", "data": {**minimal(self.entity), **sent}},
                {"op": "update", "key": row["uuid"], "data": sent},
            ]
            where, key = (
                f"{self.production}/{self.entity.collection}/bulk",
                {"idempotency-key": str(uuid4())},
            )
            done = await self.ask(
                "POST", where, {"operations": steps, "atomic": atomic}, headers=key
            )
            for result in done["results"]:
                assert sent.items() <= result["entity"].items()
        return dict(done["results"][1]["entity"])

    async def offline(self, row: Made) -> None:
        """Write through a batch of offline work; its answer has no secret, and the row has."""
        sent, uuid = secrets(self.entity), str(uuid4())
        batch = {
            "mutations": [
                making(self.entity, uuid, **sent),
                changing(self.entity, row["uuid"], row["version"], **sent),
            ],
            "since": 0, "limit": 1_000,
        }  # fmt: skip
        key = {"idempotency-key": str(uuid4())}
        for where in (f"{self.production}/sync?first", f"{self.production}/sync?again"):
            answer = await self.hide("POST", where, batch, headers={})
            assert {result["status"] for result in answer["results"]} <= {"applied", "duplicate"}
        await self.hide("POST", f"{self.production}/sync", batch, headers=key)
        clash = changing(self.entity, row["uuid"], 1, **secrets(self.entity))
        answer = await self.hide("POST", f"{self.production}/sync?clash", {"mutations": [clash]})
        assert [result["status"] for result in answer["results"]] == ["conflict"]
        whole = {"mutations": [clash], "atomic": True}
        await self.hide("POST", f"{self.production}/sync?atomic", whole)
        for one in (uuid, row["uuid"]):
            assert sent.items() <= (await self.ask("GET", f"{self.collection}/{one}")).items()

    async def back_and_forth(self, row: Made) -> None:
        """Delete, restore and undo: the row keeps its secret."""
        where = f"{self.collection}/{row['uuid']}"
        sent = secrets(self.entity)
        row = await self.ask("PUT", where, sent)
        seq = (await self.ask("GET", f"{self.production}/changes"))["latest"]
        await self.hide("POST", f"{self.production}/changes/{seq}/undo")
        await self.hide("POST", f"{self.production}/changes/{seq}/undo-request")
        await self.ask("PUT", where, {"note": "Another", "version": row["version"]})
        await self.ask("POST", f"{where}/restore", {"version": row["version"]})
        await self.ask("DELETE", where)
        await self.hide("PUT", where, {**sent, "version": row["version"]})
        late = changing(self.entity, row["uuid"], 1, **secrets(self.entity))
        await self.hide("POST", f"{self.production}/sync?deleted", {"mutations": [late]})
        again = await self.ask(
            "POST", f"{where}/restore", {}, headers={"idempotency-key": str(uuid4())}
        )
        assert sent.items() <= again.items()

    async def refused(self, row: Made) -> None:
        """Send what is refused: the errors show no secret."""
        where, bad = f"{self.collection}/{row['uuid']}", canary()
        one = member(self.entity)
        await self.hide("PUT", f"{where}?clash", {**secrets(self.entity), "version": 1})
        await self.hide("PUT", f"{where}?ahead", {**secrets(self.entity), "version": 999})
        await self.hide("PUT", f"{where}?number", {one: {bad: bad}, "version": 1})
        await self.hide("PUT", f"{where}?nul", {one: f"{bad}\0"})
        await self.hide("PUT", f"{where}?long", {one: bad * 1_000})
        await self.hide("POST", self.collection, {one: bad})
        await self.hide("PUT", f"{where}?tag", {one: bad}, headers={"if-match": '"other"'})
        steps = [{"op": "update", "key": row["uuid"], "data": {one: bad, "version": 1}}]
        bulk = f"{self.production}/{self.entity.collection}/bulk"
        await self.hide("POST", bulk, {"operations": steps})
        answer = await self.http.put(where, content=f'{{"{one}": "{bad}", "name": }}'.encode())
        self.hidden["broken JSON"] = answer.text

    async def copies(self) -> None:
        """Export, bring in what has secrets, and copy: documents and copies have none."""
        document = await self.hide("GET", f"{self.production}/export")
        sent = secrets(self.entity)
        [name] = [name for name, kind in members().items() if kind is self.entity]
        for row in document[name]:
            row.update(sent)
        show = await self.ask("POST", "/api/productions/import?uuids=new", document)
        [one, *_] = await self.ask("GET", f"{self.collection}/production/{show['uuid']}")
        assert sent.items() <= one.items()
        copy = await self.ask("POST", f"/api/productions/{show['uuid']}/copy")
        rows = await self.ask("GET", f"{self.collection}/production/{copy['uuid']}")
        assert {row[name] for row in rows for name in sent} == {None}
        for other in (show, copy):
            await self.read(f"/api/productions/{other['uuid']}")

    async def read(self, production: str) -> None:
        """Read all that tells of changes."""
        for where in ("changes?limit=1000", "events?limit=1000", "events/since/0", "sync/runs",
                      "label-clashes", "export"):  # fmt: skip
            await self.hide("GET", f"{production}/{where}")
        for run in (await self.ask("GET", f"{production}/sync/runs"))["runs"]:
            await self.hide("GET", f"{production}/sync/runs/{run['uuid']}")
        rows = await self.ask("GET", f"{self.collection}/production/{production.split('/')[3]}")
        for row in rows:
            await self.hide("GET", f"{self.collection}/{row['uuid']}/history?full=true")
            await self.hide("GET", f"{production}/events/entity/{row['uuid']}")


@asynccontextmanager
async def watched(root: str, show: Made, told: list[str]) -> AsyncIterator[Tab]:
    """Watch a show by a socket and by server-sent events."""

    async def read() -> None:
        stream = f"/api/productions/{show['uuid']}/changes/stream?since=0"
        async with plain(base_url=root, timeout=60) as http, http.stream("GET", stream) as answer:
            async for line in answer.aiter_lines():
                told.append(line)
                if line.startswith("data:") and '"SHOW 77"' in line:
                    return

    async with tab(root) as watching, asyncio.timeout(120), asyncio.TaskGroup() as tasks:
        tasks.create_task(read())
        await watching.join(show["id"])
        await watching.ask("production-list:join", {"userId": "bob", "userName": "Bob"})
        yield watching


@every
async def test_a_secret_is_in_the_row_and_nowhere_else(
    own_database: str, tmp_path: Path, entity: type[Row]
) -> None:
    told: list[str] = []
    with processes(1, own_database, tmp_path, log_level="DEBUG") as [process]:
        await process.ready()
        async with plain(base_url=process.root, timeout=60) as http:
            show = (await http.post("/api/productions", json={"name": "A show"})).json()
            writers = Writers(http, entity, show)
            async with watched(process.root, show, told) as watching:
                row = await writers.row()
                await writers.offline(row)
                await writers.back_and_forth(row)
                await writers.refused(row)
                # All rows of a show read differently once it has another label.
                edit = {"id": "SHOW 77", "version": 1}
                await writers.ask("PUT", writers.production, edit)
                await watching.one("entity:updated", entityId=row["uuid"], derived=True)
                await watching.one("production:updated", id="SHOW 77")
            pushed = repr(watching.told)
            await writers.copies()
            await writers.read(writers.production)
            for where in ("/openapi.json", "/health", "/api/server/info", writers.collection):
                await writers.hide("GET", where)
            listed = await http.get(f"{writers.collection}/production/{show['uuid']}")
            whole = await http.get(f"{writers.production}/show")
            alone = await http.get(f"{writers.collection}/{row['uuid']}")
            for answer in (listed, whole, alone):
                assert CANARY in answer.text
    hidden = writers.hidden | {
        "sockets": pushed, "stream": "".join(told), "the service's log": process.log.read_text(),
        "the command's export": exported(own_database, show["uuid"]),
        "PostgreSQL's log": server_log(own_database), **await tables(own_database, entity),
    }  # fmt: skip
    assert member(entity) in hidden["sockets"], "that it changed is told"
    assert entity.collection in hidden["changes"]
    assert not [where for where, text in hidden.items() if CANARY in text]


def exported(url: str, production: str) -> str:
    """Return what ``python -m app export`` prints."""
    command = [sys.executable, "-m", "app", "export", production]
    environment = {**os.environ, "DATABASE_URL": url, "ENVIRONMENT": "test"}
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, check=True, capture_output=True, text=True
    )
    assert '"format": 1' in done.stdout
    return done.stdout + done.stderr


async def tables(url: str, entity: type[Row]) -> dict[str, str]:
    """Return every table but the type's own, as pg_dump writes it."""
    address = DatabaseUrl.parse(url)
    names = await databases.column(
        url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> $1",
        str(entity.__tablename__),
    )  # fmt: skip
    dumps: dict[str, str] = {}
    for name in map(str, names):
        program = [
            str(pg_bin() / "pg_dump"), "--data-only", "--inserts", "--no-password", "--table", name,
            "--host", address.host, "--port", str(address.port), "--username", address.user,
            address.database,
        ]  # fmt: skip
        dumps[name] = await asyncio.to_thread(subprocess.check_output, program, text=True)
        dumps[name] += "".join(decoded(dumps[name]))
    return dumps


def decoded(dump: str) -> Iterator[str]:
    """Yield what stands in a dump as bytes: the bodies of stored answers."""
    for word in dump.split("'"):
        if word.startswith("\\x"):
            yield bytes.fromhex(word[2:]).decode(errors="replace")


def server_log(url: str) -> str:
    """Return what the embedded server has logged; nothing of a server that is not ours."""
    log = Path(DatabaseUrl.parse(url).host).parent / "log"
    return log.read_text(errors="replace") if log.is_file() else ""


@every
async def test_a_row_that_fails_a_constraint_is_in_no_log(
    own_database: str, tmp_path: Path, entity: type[Row]
) -> None:
    table, column = entity.__tablename__, entity.secrets[0]
    check = f"ALTER TABLE {table} ADD CONSTRAINT unforeseen CHECK (note IS DISTINCT FROM 'bad')"
    with processes(1, own_database, tmp_path, log_level="DEBUG") as [process]:
        await process.ready()
        async with plain(base_url=process.root, timeout=60) as http:
            show = (await http.post("/api/productions", json={"name": "A show"})).json()
            body = minimal(entity, productionId=show["id"])
            row = (await http.post(f"/api/{entity.collection}", json=body)).json()
            await databases.execute(own_database, check)
            bad = {"note": "bad", **secrets(entity)}
            answers = [
                await http.post(f"/api/{entity.collection}", json={**body, **bad}),
                await http.put(path(entity, row), json={**bad, "version": 1}),
                await http.post(
                    f"/api/productions/{show['uuid']}/{entity.collection}/bulk",
                    json={"operations": [{"op": "create", "data": {**minimal(entity), **bad}}]},
                ),
            ]
    assert {answer.status_code for answer in answers} == {503}
    said = [*(answer.text for answer in answers), process.log.read_text()]
    log = server_log(own_database)
    assert not [text for text in [*said, log] if CANARY in text]
    if log:
        assert 'violates check constraint "unforeseen"' in log
        # Without the service's care PostgreSQL would have logged it.
        plainly = f"UPDATE {table} SET note = 'bad', {column} = 'a plain word'"
        with pytest.raises(Exception, match="unforeseen"):
            await databases.execute(own_database, plainly)
        assert "a plain word" in server_log(own_database)


@every
def test_two_who_change_a_secret_at_once_conflict_and_see_no_value(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    row, one = make(entity.collection, **minimal(entity), **secrets(entity)), member(entity)
    theirs = {**secrets(entity), "version": 1, "userName": "Bob"}
    now = client.put(path(entity, row), json=theirs).raise_for_status().json()
    for mine in (canary(), None):
        answer = client.put(path(entity, row), json={one: mine, "note": "Mine", "version": 1})
        body = answer.json()
        assert (answer.status_code, body["code"]) == (409, "VERSION_CONFLICT")
        assert body["conflicts"] == [{"fieldName": one, "clientVersion": 1, "serverVersion": 2}]
        assert body["serverData"] == public(entity, now)
        assert "Bob changed the stream key on" in body["message"] or one != "streamKey"
        assert CANARY not in answer.text
    assert client.get(path(entity, row)).json() == now
    same = client.put(path(entity, row), json={**theirs, "version": 1})
    assert same.json() == now, "the same change by both is no conflict"


@every
@pytest.mark.parametrize("before", ["nothing", "something"])
def test_an_old_form_that_echoes_a_secret_does_not_change_it(
    client: httpx.Client, make: Any, entity: type[Row], before: str
) -> None:
    sent = secrets(entity) if before == "something" else {}
    row = make(entity.collection, **minimal(entity), **sent)
    theirs = secrets(entity)
    client.put(path(entity, row), json={**theirs, "version": 1}).raise_for_status()
    client.put(path(entity, row), json={"note": "Theirs", "version": 2}).raise_for_status()
    form = {**row, "name": "Mine"}
    del form["note"], form["fieldVersions"]
    after = client.put(path(entity, row), json=form).raise_for_status().json()
    assert (after["name"], after["note"]) == ("Mine", "Theirs")
    assert theirs.items() <= after.items()
    # Of that answer it may have kept nothing but the version, and still show what it showed.
    form = {**form, "name": "Mine again", "version": after["version"]}
    again = client.put(path(entity, row), json=form).raise_for_status().json()
    assert again["name"] == "Mine again"
    assert theirs.items() <= again.items()


@every
def test_a_form_with_or_without_its_secret_changes_nothing_of_it(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity), **secrets(entity))
    assert client.put(path(entity, row), json=row).json() == row
    form = {**public(entity, row), "name": "Renamed"}
    after = client.put(path(entity, row), json=form).raise_for_status().json()
    assert public(entity, after) != after
    assert after[member(entity)] == row[member(entity)]
    entry = client.get(path(entity, row, "history"), params={"limit": 1}).json()["history"][0]
    assert entry["changes"] == {"name": [row["name"], "Renamed"]}


@every
def test_the_log_says_that_a_secret_changed_and_not_to_what(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    row, one = make(entity.collection, **minimal(entity), **secrets(entity)), member(entity)
    client.put(path(entity, row), json={one: None, "note": "x", "version": 1}).raise_for_status()
    found = client.get(path(entity, row, "history"), params={"full": True}).json()["history"]
    assert found[0]["changes"] == {one: [], "note": [None, "x"]}
    assert found[1]["changes"][one] == []
    assert not [entry for entry in found if one in entry["entity"]]


@every
def test_secrets_do_not_go_back_and_it_is_said(
    client: httpx.Client, make: Any, production: Made, entity: type[Row]
) -> None:
    row, one = make(entity.collection, **minimal(entity), **secrets(entity)), member(entity)
    edit = {"note": "x", "version": 1, one: canary()}
    after = client.put(path(entity, row), json=edit).raise_for_status().json()
    changes = f"/api/productions/{production['uuid']}/changes/{last(client, production)}"
    for way, code in (("undo", "CONFLICT"), ("undo-request", "BULK_FAILED")):
        answer = client.post(f"{changes}/{way}")
        assert (answer.status_code, answer.json()["code"]) == (409, code)
        assert "secrets do not go back" in answer.json()["message"]
    answer = client.post(path(entity, row, "restore"), json={"version": 1, "fields": [one]})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "fields.0")
    assert "secrets do not go back" in answer.json()["errors"][0]["message"]
    assert client.get(path(entity, row)).json() == after
    whole = client.post(path(entity, row, "restore"), json={"version": 1}).raise_for_status().json()
    assert (whole["note"], whole[one]) == (None, after[one])


@every
def test_undo_of_another_field_and_of_a_delete_keep_the_secret(
    client: httpx.Client, make: Any, production: Made, entity: type[Row]
) -> None:
    row, one = make(entity.collection, **minimal(entity)), member(entity)
    client.put(path(entity, row), json={"note": "x", "version": 1}).raise_for_status()
    noted, sent = last(client, production), canary()
    client.put(path(entity, row), json={one: sent, "version": 2}).raise_for_status()
    undo = "/api/productions/{}/changes/{}/undo"
    after = client.post(undo.format(production["uuid"], noted)).raise_for_status().json()
    assert (after["note"], after[one]) == (None, sent)
    client.delete(path(entity, row)).raise_for_status()
    deleted = last(client, production)
    back = client.post(undo.format(production["uuid"], deleted)).raise_for_status().json()
    assert (back["isDeleted"], back[one]) == (False, sent)


@every
def test_a_create_is_not_undone_once_its_secret_was_changed(
    client: httpx.Client, make: Any, production: Made, entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity))
    created = last(client, production)
    client.put(path(entity, row), json={**secrets(entity), "version": 1}).raise_for_status()
    answer = client.post(f"/api/productions/{production['uuid']}/changes/{created}/undo")
    assert (answer.status_code, answer.json()["code"]) == (409, "VERSION_CONFLICT")
    assert {each["fieldName"] for each in answer.json()["conflicts"]} == {member(entity)}
    assert CANARY not in answer.text


@every
async def test_an_answer_is_given_again_with_the_secret_that_is_stored_nowhere_else(
    client: httpx.Client, production: Made, shared_database: str, entity: type[Row]
) -> None:
    key, one = f"key-{uuid4()}", member(entity)
    confusing = f'"{one}":"no \\ secret"'
    body = {
        **minimal(entity, productionId=production["id"]), one: f'{canary()} "é\\',
        "note": confusing,
    }  # fmt: skip
    headers = {"idempotency-key": key}
    first = client.post(f"/api/{entity.collection}", json=body, headers=headers)
    sql = "SELECT convert_from(body, 'UTF8') FROM idempotency_keys WHERE key = $1"
    [stored] = map(str, await databases.column(shared_database, sql, key))
    assert CANARY not in stored
    assert stored.count("no ") == 1
    again = client.post(f"/api/{entity.collection}", json=body, headers=headers)
    assert again.headers["idempotency-replayed"] == "true"
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])


@every
def test_a_secret_alone_changes_the_tags(
    client: httpx.Client, make: Any, production: Made, entity: type[Row]
) -> None:
    row = make(entity.collection, **minimal(entity), **secrets(entity))
    places = [
        path(entity, row), f"/api/{entity.collection}/production/{production['uuid']}",
        f"/api/productions/{production['uuid']}/show",
    ]  # fmt: skip
    before = [client.get(place).headers["etag"] for place in places]
    client.put(path(entity, row), json={**secrets(entity), "version": 1}).raise_for_status()
    for place, tag in zip(places, before, strict=True):
        answer = client.get(place, headers={"if-none-match": tag})
        assert (answer.status_code, CANARY in answer.text) == (200, True)


def test_a_type_without_secrets_has_the_statements_that_it_had() -> None:
    for entity in ALL:
        statements = " ".join(named_statements(entity).values())
        for word in ("public_body", "log_error_verbosity"):
            assert (word in statements) == bool(entity.secrets)
