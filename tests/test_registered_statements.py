"""Every statement that the service runs is registered, so that /health and the gate prove it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from uuid import uuid4

import asyncpg
import httpx
import pytest

from app.all_statements import required_statements
from app.installation.lists import LISTS
from app.model.entity import Row
from app.releases.migrations import version_row
from app.releases.status import recheck
from app.retention import AGING, AUDIT, EXPIRING, Retention
from app.settings import PROJECT
from app.sql.registry import CATALOGUE, statement, statements_of
from tests.support.bodies import ALL, SCOPED, full, minimal, named
from tests.support.offline import changing, deleting, making
from tests.support.processes import plain
from tests.support.service import PlainClient, created
from tests.support.sockets import posted, served, tab
from tests.test_installation_formats import load
from tests.test_writer import opened

COMPLETE: Final = """
from importlib import import_module
from pkgutil import walk_packages
import app
from app.all_statements import required_statements
before = required_statements()
for module in walk_packages(app.__path__, "app."):
    if module.name != "app.__main__":
        import_module(module.name)
assert required_statements() == before
"""
# What a session says to the server beside statements of ours, and why nobody has to prove it.
SESSION: Final = {
    r"BEGIN;|COMMIT;|ROLLBACK;": "transactions, as the driver begins and ends them",
    r"(SAVEPOINT|RELEASE SAVEPOINT|ROLLBACK TO) \w+;": "savepoints, named by the driver",
    r"SET LOCAL lock_timeout = .*": "the limits of the write that /health tries",
    r"SELECT 1": "whether the server answers",
    r"SELECT WHERE pg_backend_pid\(\) = \d+": "whether a pooler stands between",
    r'LISTEN "\w+"|UNLISTEN .*': "the channels, which need no table",
    r"\s*SELECT\s+(current_setting|set_config)\('jit'.*": "the driver, while it asks of types",
    r"SELECT pg_advisory_unlock_all\(\);.*": "what the driver says when a connection is given back",
    r"\s*SELECT\s+t\.oid,.*": "what the driver asks of types",
    r"WITH RECURSIVE typeinfo_tree.*": "the same of types that it does not know",
}
RELEASES: Final = {version_row.FORM, version_row.ROWS, recheck.THERE}
"""What /health and the look for drift ask of the release step's own tables: whether they are there,
and what the first holds. A database without them is not served, or has no soak."""


def test_the_list_of_modules_with_statements_is_complete() -> None:
    subprocess.run([sys.executable, "-c", COMPLETE], cwd=PROJECT, check=True)


def test_a_statement_is_registered_once() -> None:
    sql = next(iter(required_statements()["changes"]))
    with pytest.raises(ValueError, match="registered twice"):
        statement(sql)


@contextmanager
def recording() -> Iterator[set[str]]:
    """Collect every SQL text that is sent by a connection opened inside the block."""
    texts: set[str] = set()
    prepare, execute = vars(asyncpg.Connection)["_get_statement"], asyncpg.Connection.execute

    async def prepared(it: asyncpg.Connection, query: str, *args: Any, **named: Any) -> Any:
        texts.add(query)
        return await prepare(it, query, *args, **named)

    async def executed(it: asyncpg.Connection, query: str, *args: Any, **named: Any) -> Any:
        texts.add(query)
        return await execute(it, query, *args, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncpg.Connection, "_get_statement", prepared)
        patch.setattr(asyncpg.Connection, "execute", executed)
        yield texts


def unregistered(texts: set[str]) -> set[str]:
    registered = {sql for each in required_statements().values() for sql in each}
    rest = texts - registered - set(statements_of(CATALOGUE)) - RELEASES
    return {sql for sql in rest if not any(re.fullmatch(f, sql, re.DOTALL) for f in SESSION)}


def test_a_statement_that_is_not_registered_is_noticed() -> None:
    assert unregistered({"SELECT 2", "BEGIN;"}) == {"SELECT 2"}


@pytest.fixture
def root(own_database: str) -> Iterator[tuple[str, set[str]]]:
    with recording() as texts, served(own_database) as address:
        yield address, texts


@pytest.mark.parametrize("entity", ALL, ids=named)
def test_the_life_of_a_row_runs_only_registered_statements(
    root: tuple[str, set[str]], entity: type[Row]
) -> None:
    address, texts = root
    with PlainClient(base_url=address, timeout=30) as client:
        show = created(client, "productions", name="A show", id="MINE")
        members = {"productionId": "MINE", **full(entity)}
        row = created(client, entity.collection, **members)
        other = {**members, **full(entity), "id": "WISH"}
        created(client, entity.collection, **{**other, "uuid": str(uuid4())})
        client.post(f"/api/{entity.collection}", json=other)
        path = f"/api/{entity.collection}/{row['uuid']}"
        _edit(client, path, row)
        for key in (row["uuid"], row["id"], "NOBODY", str(uuid4())):
            _read(client, f"/api/{entity.collection}/{key}")
        for key in (show["uuid"], "MINE"):
            _read(client, f"/api/{entity.collection}/production/{key}")
        for deleted in (False, True):
            if deleted:
                client.delete(f"/api/{entity.collection}/{row['uuid']}").raise_for_status()
                client.delete(f"/api/{entity.collection}/{row['uuid']}")
            again = client.post(f"{path}/restore", json={"version": 1})
            assert again.status_code == 200, again.text
        client.get("/health")  # its answer may be late on a busy machine
    assert unregistered(texts) == set()


def _edit(client: httpx.Client, path: str, row: dict[str, Any]) -> None:
    """Edit as a form does, then from a version that is behind, merging and in conflict."""
    started = {"version": row["version"]}
    client.put(path, json={**row, "id": "OTHER"}).raise_for_status()
    for members in ({**row, "id": "THIRD"}, {"id": row["id"], **started}):
        client.put(path, json=members)
    for body in ({"note": "a", "client": "b"}, {"note": "b", "client": "c", **started}):
        client.put(path, json=body)


def _read(client: httpx.Client, path: str) -> None:
    for own in (path, f"{path}/history", f"{path}/history?full=true"):
        answer = client.get(own)
        assert answer.status_code in {200, 404, 405}, answer.text
        client.get(own, headers={"if-none-match": answer.headers.get("etag", '"none"')})


@pytest.mark.parametrize("entity", SCOPED, ids=named)
def test_writes_of_many_rows_run_only_registered_statements(
    root: tuple[str, set[str]], entity: type[Row]
) -> None:
    address, texts = root
    with PlainClient(base_url=address, timeout=30) as client:
        show = created(client, "productions", name="A show")
        rows = f"/api/productions/{show['uuid']}/{entity.collection}"
        operations = [
            {"op": "create", "data": minimal(entity, id="A")},
            {"op": "update", "key": "A", "data": {"note": "new"}},
            {"op": "delete", "key": "A"},
            {"op": "create", "data": minimal(entity)},
        ]
        for atomic in (True, False):
            keyed = {"idempotency-key": f"{entity.collection}-{atomic}"}
            for _ in range(2):
                body = {"operations": operations, "atomic": atomic}
                answer = client.post(f"{rows}/bulk", json=body, headers=keyed)
                assert answer.status_code == 200, answer.text
        client.post(f"{rows}/renumber", json={"prefix": "NEW"}).raise_for_status()
        made = making(entity)
        mine = [made, changing(entity, made["uuid"], 1, note="mine"), deleting(entity, "NEW 1", 1)]
        for _ in range(2):
            batch: Any = {"mutations": mine, "clientId": "laptop", "since": 0}
            client.post(f"/api/productions/{show['uuid']}/sync", json=batch).raise_for_status()
    assert unregistered(texts) == set()


async def test_what_is_read_pushed_and_removed_runs_only_registered_statements(
    root: tuple[str, set[str]], own_database: str
) -> None:
    address, texts = root
    show = await posted(address, "productions", name="A show")
    camera = await posted(address, "cameras", productionId=show["id"], name="CAM")
    own = f"/api/productions/{show['id']}"
    async with tab(address) as one, tab(address) as other:
        for watcher, key in ((one, show["id"]), (other, show["uuid"])):
            await watcher.join(key)
            await watcher.ask("production-list:join", {})
        await one.ask("production:change", {"productionId": show["id"], "data": "said"})
        async with plain(base_url=address, timeout=30) as client:
            await client.put(f"/api/cameras/{camera['uuid']}", json={**camera, "id": "NEW"})
            await client.put(f"/api/productions/{show['uuid']}", json={**show, "id": "NEW"})
            await other.one("entity:updated")
            run = await client.post(
                f"{own.replace(show['id'], 'NEW')}/sync", json={"mutations": []}
            )
            paths = [f"{own}/show", f"{own}/changes", f"{own}/sync/runs", f"{own}/events",
                     f"{own}/sync/runs/{run.json()['runUuid']}", f"{own}/events/since/0",
                     f"{own}/events/entity/{camera['id']}"]  # fmt: skip
            for path in paths:
                for key in (show["id"], show["uuid"], "NEW"):
                    answer = await client.get(path.replace(show["id"], key))
                    assert answer.status_code in {200, 404}, answer.text
    async with opened(own_database) as database:
        retention = Retention(database, 1, audit_days=1, pause=0)
        await retention.trim()
        for what in (*EXPIRING, *AGING, AUDIT):
            await retention.prune(what)
    assert unregistered(texts) == set()


async def test_what_belongs_to_no_show_runs_only_registered_statements(
    root: tuple[str, set[str]], own_database: str
) -> None:
    address, texts = root
    await load(own_database)
    with PlainClient(base_url=address, timeout=30) as client:
        row = created(client, "formats", hRes=2688, vRes=96, frameRate=60)
        path = f"/api/formats/{row['uuid']}"
        client.put(path, json={"frameRate": 50}).raise_for_status()
        assert client.get(path).json()["frameRate"] == 50
        assert row["uuid"] in client.get("/api/formats").text
        client.delete(path).raise_for_status()
        created(client, "formats", hRes=2688, vRes=96, frameRate=50)
        for words in LISTS:
            own = f"/api/settings/{words.path}"
            client.post(own, json={"name": "NEW"}).raise_for_status()
            assert client.get(own).json()[-1] == "NEW"
        client.put("/api/settings", json={"theme": "dark", "units": None}).raise_for_status()
        assert client.get("/api/settings").json()["theme"] == "dark"
    assert unregistered(texts) == set()
    registered = set(required_statements()["installation"])
    assert len(registered & texts) > 20


def test_no_two_things_share_an_advisory_lock() -> None:
    """Two that did would wait for each other, as a format's edit for the retention."""
    texts = [path.read_text() for path in (PROJECT / "app").rglob("*.py")]
    numbers = [
        n for text in texts for n in re.findall(r"advisory_xact_lock\(7305791, (\d+)\)", text)
    ]
    numbers += [str(words.lock) for words in LISTS]
    assert len(numbers) == len(set(numbers)) > 5
