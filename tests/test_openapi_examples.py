"""Every member of the OpenAPI document is described, and every body and answer has an example."""

import ast
import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jsonschema_rs import Draft202012Validator

from app import errors
from app.cli.load_show import SAMPLE, load, opened, read
from app.entities import discovered
from app.errors import SignalbookError
from app.installation.shipped import load_shipped
from app.model.schemas import create_schema, update_schema
from app.settings import PROJECT
from tests.support.databases import Server
from tests.support.documents import DOCUMENT, OPERATIONS
from tests.support.service import service, settings
from tests.test_installation_formats import load as load_formats

SCHEMAS = DOCUMENT["components"]["schemas"]


def test_every_member_and_parameter_is_described() -> None:
    assert not [
        f"{name}.{member}"
        for name, schema in SCHEMAS.items()
        for member, part in schema.get("properties", {}).items()
        if not part.get("description")
    ]
    assert not [
        (path, method, parameter["name"])
        for path, method, operation in OPERATIONS
        for parameter in operation.get("parameters", [])
        if not parameter.get("description")
    ]


def test_every_body_and_every_answer_has_an_example() -> None:
    """An array has that of its elements."""
    for path, method, operation in OPERATIONS:
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        shared = DOCUMENT["components"]["responses"]
        answers = [shared.get(_last_name(a), a) for a in operation["responses"].values()]
        for answer in (*answers, *bodies):
            for content in answer.get("content", {}).values():
                kind = content["schema"].get("items", content["schema"])
                kinds = [SCHEMAS.get(_last_name(each), {}) for each in kind.get("oneOf", [kind])]
                shown = "example" in content or all("example" in each for each in kinds)
                assert shown, (path, method)


def _last_name(schema: dict[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


@pytest.mark.parametrize("name", [name for name in SCHEMAS if "example" in SCHEMAS[name]])
def test_an_example_is_of_its_schema(name: str) -> None:
    whole = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    faults = [*Draft202012Validator(whole).iter_errors(SCHEMAS[name]["example"])]
    assert not [f"{fault.instance_path}: {fault.message}" for fault in faults]


def test_every_member_that_an_error_gets_is_declared() -> None:
    """Each is a named argument where the error is made."""
    given = {
        (name, argument.arg)
        for file in (PROJECT / "app").rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call)
        and issubclass(_error(name := ast.unparse(call.func)), SignalbookError)
        for argument in call.keywords
        if argument.arg not in {None, "error"}
    }
    assert len(given) > 10
    assert not [each for each in given if each[1] not in SCHEMAS[f"{each[0]}Error"]["properties"]]


def _error(name: str) -> type:
    found = getattr(errors, name, None)
    return found if isinstance(found, type) else object


def test_an_error_that_was_recorded_is_of_today() -> None:
    """Its code is that of its class, and it has no member that is not declared."""
    for name, schema in SCHEMAS.items():
        if name.endswith("Error"):
            assert schema["example"]["code"] == schema["properties"]["code"]["const"]
            assert schema["example"].keys() <= schema["properties"].keys(), name


@pytest.mark.parametrize("entity", discovered().values(), ids=discovered())
def test_the_examples_are_valid(entity: Any) -> None:
    for shape in (create_schema(entity), update_schema(entity)):
        example = shape.model_json_schema()["example"]
        assert not shape.model_validate(example).model_extra


@pytest.mark.parametrize("entity", discovered().values(), ids=discovered())
def test_the_create_examples_work_as_they_stand(
    client: httpx.Client, production: dict[str, Any], make: Any, entity: Any
) -> None:
    make("ccus", name="CCU", id="CCU 1")
    make("sources", name="x", type="y", id="SRC 1")
    make("sends", name="x", type="y", id="DST 1")
    example = create_schema(entity).model_json_schema()["example"]
    body = {**example, "productionId": production["id"]}
    if entity.collection == "ccus":
        body["id"] = "CCU 9"
    answer = client.post(f"/api/{entity.collection}", json=body)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("path", [
    path for path, method, _ in OPERATIONS
    if method == "get" and not {"{run}", "{digest}", "stream"} & set(path.split("/"))
])  # fmt: skip
def test_a_read_can_be_tried_as_it_opens(sample: httpx.Client, path: str) -> None:
    for parameter in DOCUMENT["paths"][path]["get"].get("parameters", ()):
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(parameter["example"]))
    answer = sample.get(path)
    assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def sample(template: str, postgres_server: Server) -> Iterator[httpx.Client]:
    """Serve the sample show."""
    with postgres_server.lent(template) as url:
        asyncio.run(_load_sample(url))
        asyncio.run(load_formats(url))
        with service(url) as client:
            yield client


async def _load_sample(url: str) -> None:
    async with opened(settings(), url) as database:
        await load(database, read(SAMPLE), lambda _: None)
        async with database.transaction() as connection:
            await load_shipped(connection)
