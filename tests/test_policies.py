"""Every route and every event of a socket has its line among the policies, and no line is left."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from app.access import policies
from app.access.caller import Role
from app.access.policies import Policy, Shows
from app.database.url import DatabaseUrl
from app.entities import discovered
from app.live.sockets.socket_server import SocketServer
from app.main import create_app
from app.model.entity import Entity
from tests.support.service import settings

URL = DatabaseUrl.parse("postgresql://nobody@127.0.0.1:1/nothing")


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(settings(), URL)


def operations(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Yield the path and the operation of every route; of what is no operation an empty one."""
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        yield context.path or "", (isinstance(route, APIRoute) and route.operation_id) or ""


def test_every_route_has_a_policy_and_every_policy_a_route(app: FastAPI) -> None:
    served = {operation for _, operation in operations(app)} - {""}
    assert served == policies.routes().keys()


def test_what_is_no_operation_is_a_page_that_anybody_may_read(app: FastAPI) -> None:
    pages = {path for path, operation in operations(app) if not operation}
    assert pages - {"/static-offline-docs"} == policies.OPEN_PAGES


def test_every_event_has_a_policy_and_every_policy_an_event() -> None:
    assert SocketServer.EVENTS.keys() == policies.EVENTS.keys()


def test_an_operation_without_a_policy_is_refused() -> None:
    with pytest.raises(LookupError, match="paint_the_wall has no policy"):
        policies.policy_of("paint_the_wall")


def test_reading_takes_a_viewer_and_writing_an_editor(app: FastAPI) -> None:
    """The method of a route alone says so already; what is open, and operators' routes, do not."""
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if not isinstance(route, APIRoute) or not route.operation_id:
            continue
        policy = policies.policy_of(route.operation_id)
        is_operators = (context.path or "").startswith("/api/admin/")
        assert (policy.role is Role.OPERATOR) == is_operators, context.path
        # A ticket is made to read with.
        is_ticket = route.operation_id == "create_ticket"
        if policy.role not in {None, Role.OPERATOR} and not is_ticket:
            least = Role.VIEWER if route.methods == {"GET"} else Role.EDITOR
            assert policy.role is least, context.path


def test_what_has_a_show_in_its_path_finds_it_there(app: FastAPI) -> None:
    places = {Shows.PATH: "{production}", Shows.LIST: "{production}", Shows.ROW: "{key}",
              Shows.ANY_ROW: "{collection}/{key}", Shows.DEVICE: "{device}"}  # fmt: skip
    for path, operation in operations(app):
        policy = policies.policy_of(operation) if operation else policies.OPEN
        if policy.shows in places:
            assert places[policy.shows] in path, operation
        else:
            assert "{production}" not in path, operation


def test_the_routes_of_a_type_name_it() -> None:
    kinds = {policy.entity for policy in policies.routes().values()} - {None}
    assert kinds == set(discovered().values())
    rows = [policy for policy in policies.routes().values() if policy.shows is Shows.ROW]
    assert not [p for p in rows if p.role is None]


def test_a_type_of_a_show_is_never_without_a_show() -> None:
    def outside(policy: Policy) -> bool:
        is_scoped = policy.entity is not None and issubclass(policy.entity, Entity)
        return is_scoped and policy.shows in {Shows.NOWHERE, Shows.ALL_OWN, Shows.NEW}

    assert not [name for name, policy in policies.routes().items() if outside(policy)]
