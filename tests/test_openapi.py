"""The OpenAPI document: complete, honest, and pleasant; schemathesis holds the service to it.

OPENAPI_EXAMPLES enlarges the run: so many random requests for each operation.
"""

import asyncio
import os
import re
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from difflib import unified_diff
from threading import Event
from typing import Any, cast

import httpx
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis.stateful import run_state_machine_as_test
from pydantic import SecretStr
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    positive_data_acceptance,
    response_schema_conformance,
    status_code_conformance,
)

from app.api import document
from app.entities import discovered
from app.installation.shipped_devices import shipped_devices
from app.model.entity import Entity
from app.model.fields import NO_NUL
from app.releases.ledger import soak
from scripts.openapi_document import FILE, text
from tests.support.bodies import SCOPED, minimal
from tests.support.documents import DOCUMENT, OPERATIONS
from tests.support.ledgers import opened, plan, proposed
from tests.support.service import service

# The second mount of a collection and PATCH run the same code as the first and PUT.
MOUNTS = "|".join(mount for entity in discovered().values() for mount in entity.path_aliases)
schema = (
    schemathesis.openapi.from_dict(deepcopy(DOCUMENT))  # it writes links into it
    .exclude(path_regex=f"^/api/({MOUNTS})(/|$)")
    .exclude(method="PATCH")
    .exclude(operation_id="stream_changes")  # it does not end
)


# Most callers may do what they ask; some have no token, or one that is none.
ALL, OPERATORS = "a-token-for-everybody", "a-token-for-operators"
CALLERS = (None, "no-token-of-this-service", *[ALL] * 2, *[OPERATORS] * 4)


@pytest.fixture(scope="module")
def root(shared_database: str) -> Iterator[str]:
    tokens = {"access_token": SecretStr(ALL), "operator_token": SecretStr(OPERATORS)}
    with service(shared_database, **tokens) as served:
        yield str(served.base_url)


@pytest.fixture(scope="module")
def released(shared_database: str) -> dict[str, str]:
    """Return the keys of a run of the release gate and of a plan."""

    async def run() -> dict[str, str]:
        async with opened(shared_database) as ledger:
            await ledger.stage_ends(await ledger.stage_begins("plan"), "done", "x", {"lint": []})
            await proposed(ledger, plan(7))
            await soak.begin(ledger, plan(7), 60)
            await ledger.end("AWAITING_APPROVAL", 10, "waits", None)
            return {"run": str(ledger.run), "digest": plan(7).digest}

    return asyncio.run(run())


def any_format(client: httpx.Client) -> str:
    """Return the uuid of a format, made if it is not there."""
    raster = {"hRes": 2688, "vRes": 96, "frameRate": 60}
    client.post("/api/formats", json=raster)
    listed = client.get("/api/formats").raise_for_status().json()
    return str(next(each["uuid"] for each in listed if not each["isSystem"]))


@pytest.fixture
def existing(
    client: httpx.Client, make: Any, production: dict[str, Any], released: dict[str, str]
) -> Callable[[str], dict[str, str]]:
    """Return the keys of a row of a collection, made when it is first asked for."""
    made: dict[str, dict[str, str]] = {
        "admin": released, "settings": {"name": "HDMI"},
        "equipment": {"key": next(iter(shipped_devices()))},
    }  # fmt: skip

    def keys(collection: str) -> dict[str, str]:
        if collection == "{collection}":
            return {"collection": "cameras", **keys("cameras")}
        if collection == "formats" and collection not in made:
            made[collection] = {"key": any_format(client)}
        if collection not in made:
            row = make(collection, **minimal(discovered()[collection]))
            made[collection] = {"key": row["uuid"], "production": production["id"]}
        return made[collection]

    return keys


# Schemathesis' own parametrising works out cases of every operation while pytest collects.
@pytest.mark.parametrize(
    ("path", "method"),
    [
        (operation.path, operation.method)
        for found in cast("Iterator[Any]", schema.get_all_operations())
        if (operation := found.ok())
    ],
    ids=str,
)
def test_no_request_meets_a_500_or_an_answer_outside_the_schema(
    path: str, method: str, root: str, existing: Callable[[str], dict[str, str]]
) -> None:
    @given(case=schema[path][method].as_strategy())
    @settings(
        max_examples=int(os.environ.get("OPENAPI_EXAMPLES", "12")),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    def send(case: Any) -> None:
        chosen = zlib.crc32(repr(case.body).encode("utf-8", "replace"))
        if token := CALLERS[chosen // 2 % len(CALLERS)]:
            case.headers["Authorization"] = f"Bearer {token}"
        # Every other request names what exists; random keys alone would only ever meet a 404.
        if case.path_parameters and chosen % 2:
            known = existing(path.split("/")[2])
            named = {k: v for k, v in known.items() if k in case.path_parameters}
            case.path_parameters.update(named)
        case.validate_response(
            case.call(base_url=root),
            checks=[not_a_server_error, status_code_conformance, content_type_conformance,
                    response_schema_conformance],
            excluded_checks=[ignored_auth],
        )  # fmt: skip

    send()


def test_what_follows_from_an_answer_meets_no_500_either(root: str) -> None:
    """Schemathesis sees which answers name the keys of others, and goes from one to the next.

    What the schema allows may still be refused: rules between members are not in it.
    """
    linked = schema.include(path_regex=r"^/api/(productions|ccus|cameras)(/\{[^/]+\})?$")
    linked.config.update(base_url=root)

    class Steps(linked.as_state_machine()):  # type: ignore[misc]  # made at run time
        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"headers": {"Authorization": f"Bearer {OPERATORS}"}}

        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            excluded = [ignored_auth, positive_data_acceptance]
            case.validate_response(response, excluded_checks=excluded)

    run_state_machine_as_test(
        Steps,
        settings=settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck)),
    )


def test_the_committed_document_is_this_one() -> None:
    committed, now = FILE.read_text().splitlines(), text().splitlines()
    changed = list(unified_diff(committed, now, "committed", "now", lineterm="", n=1))
    assert not changed, "\n".join(["Run scripts/openapi, and look at what it changes:", *changed])


def test_others_are_served_while_it_is_made(
    shared_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes more than a second, and anybody may ask for it."""
    is_asked, may_end = Event(), Event()

    def slow(_: FastAPI) -> bytes:
        is_asked.set()
        assert may_end.wait(60)
        return b"{}"

    monkeypatch.setattr(document, "content", slow)
    with service(shared_database) as client, ThreadPoolExecutor() as pool:
        answer = pool.submit(client.get, "/openapi.json")
        assert is_asked.wait(60)
        assert client.get("/livez").status_code == 200
        may_end.set()
        assert answer.result().content == b"{}"


def test_a_member_may_be_called_as_a_word_of_schemas() -> None:
    members = {
        "default": {"type": "string", "title": "Default", "pattern": NO_NUL},
        "title": {"type": "string", "title": "Title", "pattern": "^a+$"},
    }
    schema = {"type": "object", "title": "Odd", "properties": members, "example": {"title": "x"}}
    document._tidy(schema)  # noqa: SLF001  # no type of ours has such members yet
    assert schema["properties"] == {
        "default": {"type": "string"}, "title": {"type": "string", "pattern": "^a+$"},
    }  # fmt: skip
    assert schema["example"] == {"title": "x"}


def test_an_operation_is_named_as_a_person_would() -> None:
    names = {operation["operationId"] for _, _, operation in OPERATIONS}
    assert {"get_camera", "list_cameras", "create_checklist_item", "update_cable_snake"} <= names
    assert {"bulk_ccus", "restore_send", "list_source_history", "delete_production"} <= names
    assert {name for name in names if not re.fullmatch("[a-z]+(_[a-z]+)*", name)} == set()


def test_what_does_the_same_says_so() -> None:
    for path, method, operation in OPERATIONS:
        has_patch = method == "put" and "patch" in DOCUMENT["paths"][path]
        is_alias = has_patch or "/computers" in path
        assert ("x-alias-of" in operation) == is_alias, (method, path)


@pytest.mark.parametrize("entity", SCOPED, ids=lambda entity: entity.collection)
def test_a_row_in_bulk_has_its_members_by_name(entity: type[Entity]) -> None:
    schemas, name = DOCUMENT["components"]["schemas"], entity.__name__
    path = f"/api/productions/{{production}}/{entity.collection}/bulk"
    body = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": f"#/components/schemas/{name}Bulk"}
    row = schemas[f"{name}BulkRow"]
    assert row["properties"].keys() == schemas[f"{name}Create"]["properties"].keys()
    assert "productionId" not in row["required"], "the path has it"
    assert "additionalProperties" not in row, "generators would take any member"


def test_an_error_has_the_members_that_it_is_said_to_have(client: httpx.Client, make: Any) -> None:
    camera = make("cameras", name="x")
    path = f"/api/cameras/{camera['uuid']}"
    answers = [
        client.get("/api/cameras/nobody"),
        client.post("/api/cameras", json={"productionId": camera["productionId"]}),
        client.post("/api/cameras", json={**camera, "uuid": None, "name": "y"}),
        client.put(path, json={"name": 7}),
        client.put(
            f"/api/cameras/{camera['uuid']}", json={"name": "z"}, headers={"if-match": '"1-9"'}
        ),
    ]
    by_code = {
        schema["properties"]["code"]["const"]: schema
        for schema in DOCUMENT["components"]["schemas"].values()
        if "const" in schema.get("properties", {}).get("code", {})
    }
    for answer in answers:
        schema = by_code[answer.json()["code"]]
        assert answer.json().keys() <= schema["properties"].keys(), answer.text
        assert answer.json().keys() >= set(schema["required"]), answer.text


def test_every_operation_has_a_name_a_summary_and_its_errors() -> None:
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(names) == len(set(names))
    for path, method, operation in OPERATIONS:
        assert operation["summary"], (path, method)
        assert operation["tags"], (path, method)
        if path.startswith("/api/") and path not in {"/api/health", "/api/server/info"}:
            assert {"200", "201"} & operation["responses"].keys()
            assert {"400", "401", "500", "503"} <= operation["responses"].keys()
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    shared = answer["$ref"].removeprefix("#/components/responses/")
                    content = DOCUMENT["components"]["responses"][shared]["content"]
                    assert list(content) == ["application/problem+json"], (path, status)


def test_every_path_parameter_is_declared() -> None:
    for path, method, operation in OPERATIONS:
        named = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
        assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}, (
            path,
            method,
        )


def test_schemas_have_proper_names_and_every_reference_resolves() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for entity in discovered().values():
        name = entity.__name__
        assert {name, f"{name}Create", f"{name}Update"} <= schemas.keys()
        assert schemas[f"{name}Create"]["example"]
    assert not [name for name in schemas if "__" in name or "-" in name]
    for reference in _references(DOCUMENT):
        kind, name = reference.removeprefix("#/components/").split("/")
        assert name in DOCUMENT["components"][kind]


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from _references(inner)


def test_the_pages_need_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text
    for line in page.text.split('"'):
        if line.endswith((".js", ".css", ".png")):
            assert client.get(line).status_code == 200
