"""Every route and every event of a socket, asked by every kind of caller.

Both come from the application itself, what is expected from the policies. Bodies are such that no
handler accepts them: whether a caller is let in is decided before they are read.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.client import HTTPConnection
from typing import Any, Final
from urllib.parse import quote

import httpx
import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import SecretStr
from socketio.exceptions import ConnectionError as NotConnected

from app.access.caller import Role
from app.access.policies import EVENTS, Policy, Shows, policy_of
from tests.support.bodies import SCOPED, minimal
from tests.support.callers import PEPPERS, bearer, revoke, token, unsigned
from tests.support.service import ServiceClient, created, service
from tests.support.sockets import refused, tab

CREW, OPERATOR = "a-token-for-the-crew", "a-token-for-operators"
UNKNOWN: Final = "01900000-0000-7000-8000-00000000dead"
REFUSED: Final = {401, 403}
# Answers of who was let in: done, or refused for what was sent.
LET_IN: Final = {200, 201, 400, 409, 412, 415, 422}


@dataclass
class Kind:
    """A kind of caller: what they send, and their role in the show and everywhere."""

    headers: dict[str, str]
    role: Role | None = None
    everywhere: bool = False
    anywhere: Role | None = None
    """The role in any show."""
    auth: dict[str, str] | None = None
    is_elsewhere: bool = False
    """Whether a page of another site sends it: it may not even try to write."""


@dataclass
class Matrix:
    """A service with two shows, and every kind of caller."""

    client: ServiceClient
    show: dict[str, Any]
    foreign: dict[str, Any]
    rows: dict[str, str]
    run: str
    operations: list[tuple[str, str, Policy]] = field(default_factory=list)
    kinds: dict[str, Kind] = field(default_factory=dict)


@pytest.fixture(scope="module")
def served(postgres_server: Any, template: str) -> Iterator[tuple[str, ServiceClient]]:
    tokens = {"access_token": SecretStr(CREW), "operator_token": SecretStr(OPERATOR)}
    with (
        postgres_server.lent(template) as url,
        service(url, token_peppers=PEPPERS, **tokens) as client,
    ):
        yield url, client


@pytest.fixture(scope="module")
def matrix(served: tuple[str, ServiceClient]) -> Matrix:
    url, client = served
    client.headers.update(bearer(CREW))
    show = created(client, "productions", name="Theirs")
    foreign = created(client, "productions", name="Another company's")
    rows = {"productions": show["uuid"]}
    for entity in SCOPED:
        row = created(client, entity.collection, **minimal(entity), productionId=show["uuid"])
        for path in (entity.collection, *entity.path_aliases):
            rows[path] = row["uuid"]
    mutation = {"mutationId": "m1", "op": "update", "collection": "cameras",
                "key": rows["cameras"], "data": {"notes": "x"}}  # fmt: skip
    synced = client.post(f"/api/productions/{show['uuid']}/sync", json={"mutations": [mutation]})
    del client.headers["authorization"]
    made = Matrix(client, show, foreign, rows, synced.raise_for_status().json()["runUuid"])
    made.operations = list(requests(made))
    made.kinds = asyncio.run(_kinds(url, show, foreign, _signed_in(client)))
    return made


def _signed_in(client: ServiceClient) -> str:
    """Return the cookie of a browser in which an operator has signed in."""
    form = {"token": OPERATOR, "next": "/"}
    with httpx.Client(base_url=client.base_url, timeout=30) as browser:
        answer = browser.post("/sign-in", data=form)
    return answer.headers["set-cookie"].split(";")[0]


async def _kinds(
    url: str, show: dict[str, Any], foreign: dict[str, Any], cookie: str
) -> dict[str, Kind]:
    over = datetime.now(UTC) - timedelta(seconds=1)
    gone = await token(url, Role.EDITOR)
    await revoke(url, gone)
    claims = {"iss": "https://elsewhere.example", "aud": "signalbook", "sub": "ann"}

    def holding(secret: str, role: Role | None = None, **more: Any) -> Kind:
        return Kind(bearer(secret), role, auth={"token": secret}, **more)

    viewer, editor = Role.VIEWER, Role.EDITOR
    return {
        "nobody": Kind({}),
        "viewer": holding(await token(url, viewer, show), viewer, anywhere=viewer),
        "editor": holding(await token(url, editor, show), editor, anywhere=editor),
        "viewer everywhere": holding(await token(url, viewer), viewer, everywhere=True),
        "editor everywhere": holding(await token(url, editor), editor, everywhere=True),
        "operator": holding(await token(url, Role.OPERATOR), Role.OPERATOR, everywhere=True),
        "the setting's operator": holding(OPERATOR, Role.OPERATOR, everywhere=True),
        "editor of another show": holding(await token(url, editor, foreign), anywhere=editor),
        "expired": holding(await token(url, Role.OPERATOR, expires_at=over)),
        "revoked": holding(gone),
        "wrong issuer": holding(unsigned(**claims)),
        "wrong audience": holding(unsigned(**{**claims, "aud": "another"})),
        "alg none": holding(unsigned(sub="ann", iss="https://issuer.example", role="operator")),
        "cookie": Kind({"cookie": cookie}, Role.OPERATOR, everywhere=True),
        "cookie from another site": Kind(
            {"cookie": cookie, "sec-fetch-site": "cross-site",
             "origin": "https://elsewhere.example"}, is_elsewhere=True),
    }  # fmt: skip


KINDS = ("nobody", "viewer", "editor", "viewer everywhere", "editor everywhere", "operator",
         "the setting's operator", "editor of another show", "expired", "revoked", "wrong issuer",
         "wrong audience", "alg none", "cookie", "cookie from another site")  # fmt: skip


def requests(matrix: Matrix) -> Iterator[tuple[str, str, Policy]]:
    """Yield method, path and policy of every operation, its path that of a row of the show."""
    for context in iter_route_contexts(matrix.client.service_app.routes):
        route = context.original_route
        if not isinstance(route, APIRoute) or not route.operation_id:
            continue
        policy, path = policy_of(route.operation_id), context.path or ""
        path = path.replace("{collection}", "cameras")
        collection = path.split("/")[2] if path.count("/") > 1 else ""
        values = {
            "production": matrix.show["uuid"], "key": matrix.rows.get(collection, UNKNOWN),
            "device": matrix.rows["cameras"], "seq": "999999", "milliseconds": "0",
            "run": "1" if "admin" in path else matrix.run, "digest": "0" * 64, "name": "none",
        }  # fmt: skip
        if "/events/entity/" in path:
            values["key"] = matrix.rows["cameras"]
        filled = re.sub(r"\{(\w+)(:\w+)?\}", partial(_value, values), path)
        if route.operation_id == "stream_changes":
            filled += "?since=-1"  # else it would have no end
        for method in route.methods or ():
            yield method, filled, policy


def _value(values: dict[str, str], match: re.Match[str]) -> str:
    return values[match[1]]


def expected(policy: Policy, kind: Kind) -> Callable[[httpx.Response], bool]:
    """Return what an answer must be."""
    if policy.role is None:
        return lambda answer: answer.status_code in {200, 503}
    if kind.role is None and kind.anywhere is None:
        return lambda answer: answer.status_code == 401
    role: Role | None = kind.role
    if not kind.everywhere:
        if policy.shows is Shows.NOWHERE:
            role = Role.VIEWER
        elif policy.shows in {Shows.NEW, Shows.ALL_OWN, Shows.BODY}:
            role = kind.anywhere
    if role is None:
        return empty if policy.shows in {Shows.LIST, Shows.DEVICE} else missing
    return let_in(policy) if role >= policy.role else forbidden


def let_in(policy: Policy) -> Callable[[httpx.Response], bool]:
    """Return a check that somebody was let in; a key that is no show's may name nothing."""
    more = {404} if policy.shows is Shows.NOWHERE else set()
    return lambda answer: answer.status_code in LET_IN | more


def forbidden(answer: httpx.Response) -> bool:
    return answer.status_code == 403 and answer.json()["code"] == "FORBIDDEN"


def missing(answer: httpx.Response) -> bool:
    return answer.status_code == 404 and answer.json()["code"] == "NOT_FOUND"


def empty(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and answer.json() == []


@pytest.mark.parametrize("name", KINDS)
def test_every_route_answers_every_caller_as_its_policy_says(matrix: Matrix, name: str) -> None:
    kind, wrong, count = matrix.kinds[name], [], 0
    # One connection without the comfort of a client: these are thousands of requests.
    url = matrix.client.base_url
    connection = HTTPConnection(url.host, url.port or 80)
    headers = {**kind.headers, "content-type": "application/json"}
    for method, path, policy in matrix.operations:
        body = None if method == "GET" else b'{"userId":5}'
        connection.request(method, quote(path, safe="/?=:"), body, headers)
        response = connection.getresponse()
        answer = httpx.Response(response.status, content=response.read())
        count += 1
        is_barred = kind.is_elsewhere and method != "GET"
        if not (forbidden if is_barred else expected(policy, kind))(answer):
            wrong.append((method, path, policy.shows, answer.status_code, answer.text[:200]))
    connection.close()
    assert not wrong
    assert count > 250


def test_the_kinds_are_those_that_were_made(matrix: Matrix) -> None:
    assert set(KINDS) == matrix.kinds.keys()


@pytest.mark.parametrize("name", KINDS)
async def test_every_event_answers_every_caller_as_its_policy_says(
    matrix: Matrix, name: str
) -> None:
    kind, root = matrix.kinds[name], str(matrix.client.base_url)
    if kind.role is None and kind.anywhere is None:
        if kind.is_elsewhere:
            with pytest.raises(NotConnected):
                async with tab(root, headers={**kind.headers}):
                    pass
            return
        told, _ = await refused(root, auth=kind.auth)
        assert told["data"]["code"] == "UNAUTHORIZED"
        return
    show = {"productionId": matrix.show["id"]}
    headers = {} if kind.auth else {**kind.headers}  # the client takes the cookie out
    async with tab(root, auth=kind.auth, headers=headers) as one:
        answers = {event: await one.ask(event, {} if "list" in event else show) for event in EVENTS}
        codes = {event: answer.get("code", "") for event, answer in answers.items()}
        joined = await one.ask("production:join", show)
        change = await one.ask("production:change", show)
    is_editor = kind.role is not None and kind.role >= Role.EDITOR
    assert codes["production-list:join"] == codes["production-list:leave"] == ""
    assert codes["production:leave"] == ""
    assert codes["production:join"] == ("" if kind.role else "PRODUCTION_NOT_FOUND")
    assert joined.get("productionUuid") == (matrix.show["uuid"] if kind.role else None)
    may = {True: "", False: "FORBIDDEN"}[is_editor] if kind.role else "NOT_JOINED"
    assert change.get("code", "") == may
