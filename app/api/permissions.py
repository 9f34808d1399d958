"""Asks, before a route is called, whether its caller may call it, and for which production.

Who has a role everywhere and high enough passes with one comparison. For others the production is
found as the route's policy says, among their own alone. A foreign one is then answered like one
that never was. What was found takes the key's place in the path, by its uuid.
"""

from collections.abc import Callable, Collection, Coroutine
from typing import Any, Final, cast
from uuid import UUID

from fastapi import Request, Response
from fastapi.routing import APIRoute

from app.access import own_rows
from app.access.caller import Caller, Role
from app.access.credentials import Credentials
from app.access.policies import Policy, Shows, policy_of, refusal
from app.entities import root
from app.errors import ProductionNotFound, SignalbookError, Unauthorized
from app.model.entity import Entity, Row
from app.model.schemas import known_uuid
from app.store.read import ambiguous, not_found

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
_PARAMETERS: Final = {
    Shows.PATH: "production", Shows.LIST: "production", Shows.ROW: "key", Shows.DEVICE: "device",
}  # fmt: skip
_NONE: Final = str(UUID(int=0))
"""Names nothing: a list of it is empty, as that of any unknown production."""


def guarded(route: APIRoute, handle: Handler) -> Handler:
    """Return a handler that calls ``handle`` for who may call the route. Raises LookupError."""
    policy = policy_of(route.operation_id) if route.operation_id else Policy(None)
    least = policy.role
    if least is None:
        return handle

    async def handle_allowed(request: Request) -> Response:
        caller = caller_of(request)
        if caller.role is None or caller.role < least:
            await _admit(request, policy, least, caller)
        return await handle(request)

    return handle_allowed


def caller_of(request: Request) -> Caller:
    """Return who has sent a request."""
    return cast("Caller", request.scope["state"]["caller"])


def role_of(request: Request) -> Role:
    """Return the role of the caller in the production that the request is about."""
    caller = caller_of(request)
    role: Role = request.scope["state"].get("role") or caller.role or Role.VIEWER
    return role


def shows_of(caller: Caller) -> Collection[UUID] | None:
    """Return the productions that a caller sees, None for all."""
    return None if caller.sees_all else caller.memberships.keys()


async def still_sees(request: Request, production: UUID) -> bool:
    """Return whether the request's credential is valid still, and its production theirs to see."""
    credentials: Credentials = request.scope["app"].state.credentials
    try:
        caller = await credentials.caller(request.scope)
    except Unauthorized:
        return False
    except SignalbookError:
        return True  # the database is away, and who comes anew is not let in either
    return caller.role_in(production) is not None


async def find_production(request: Request, key: str | None) -> str | None:
    """Return the key of the production that a body names, by uuid for who sees only some.

    Raises ProductionNotFound, Forbidden and AmbiguousId.
    """
    caller = caller_of(request)
    if key is None or (caller.role is not None and caller.role >= Role.EDITOR):
        return key
    rows = await own_rows.find(_database(request), root(), key, _shows(caller, Role.EDITOR))
    if not rows and caller.sees_all:
        raise refusal(caller, Role.EDITOR)
    if not rows:
        raise ProductionNotFound(
            f"No production is called {key!r}: create it first.", productionId=key
        )
    return str(_only(key, rows, caller, Role.EDITOR)["uuid"])


async def _admit(request: Request, policy: Policy, least: Role, caller: Caller) -> None:
    """Let a request pass, or raise Unauthorized, Forbidden, NotFound or AmbiguousId."""
    if policy.shows not in _PARAMETERS:
        _require_any(policy, least, caller)
        return
    name, shows = _PARAMETERS[policy.shows], _shows(caller, least)
    key = request.scope["path_params"][name]
    row = await _find(request, policy, key, shows)
    if row is None and caller.sees_all:
        raise refusal(caller, least)
    if row is None and policy.shows is Shows.ROW and policy.entity:
        raise not_found(policy.entity, key)
    if row is None and policy.shows is Shows.PATH:
        raise not_found(root(), key)
    if row is not None and (role := caller.role_in(row["production"])) is not None:
        if role < least:
            raise refusal(caller, least)
        request.scope["state"]["role"] = role
    uuid = _NONE if row is None else str(row["uuid"])
    request.scope["path_params"] = {**request.scope["path_params"], name: uuid}


def _require_any(policy: Policy, least: Role, caller: Caller) -> None:
    """Raise Forbidden where no role in any production is enough for a caller."""
    if policy.shows is Shows.ALL_OWN:
        return
    counts = policy.shows is not Shows.NOWHERE or least is Role.VIEWER
    if not counts or max(caller.memberships.values(), default=0) < least:
        raise refusal(caller, least)


def _shows(caller: Caller, least: Role) -> list[UUID]:
    """Return the productions to look into: for who sees all, those where the role is enough."""
    if not caller.sees_all:
        return list(caller.memberships)
    return [uuid for uuid, role in caller.memberships.items() if role >= least]


async def _find(request: Request, policy: Policy, key: str, shows: list[UUID]) -> Any:
    """Return the one row under a key, None where there is none. Raises AmbiguousId."""
    database = _database(request)
    if policy.shows is Shows.DEVICE:
        uuid = known_uuid(key)
        return await own_rows.find_device(database, uuid, shows) if uuid else None
    entity: type[Row] = root()
    if policy.shows is Shows.ROW and policy.entity:
        entity = policy.entity
        production = request.query_params.get("production", "")
        if production and issubclass(entity, Entity) and not known_uuid(key):
            named = _one(production, await own_rows.find(database, root(), production, shows))
            if named is None:
                raise not_found(root(), production)
            shows = [named["uuid"]]
    return _one(key, await own_rows.find(database, entity, key, shows))


def _one(key: str, rows: list[Any]) -> Any:
    if len(rows) > 1:
        raise ambiguous(key, [(row["uuid"], row["show"]) for row in rows])
    return rows[0] if rows else None


def _only(key: str, rows: list[Any], caller: Caller, least: Role) -> Any:
    """Return the one row, where the caller's role is enough. Raises AmbiguousId, Forbidden."""
    row = _one(key, rows)
    if (caller.role_in(row["production"]) or 0) < least:
        raise refusal(caller, least)
    return row


def _database(request: Request) -> Any:
    return request.scope["app"].state.database
