"""Asks, before a route is called, whether its caller may call it, and for which production.

Who has a role everywhere and high enough passes with one comparison. For others the production is
found as the route's policy says, among their own alone. A foreign one is then answered like one
that never was. What was found takes the key's place in the path, by its uuid.
"""

from collections.abc import Collection
from typing import Any, Final, cast
from uuid import UUID

from fastapi import Request
from fastapi.routing import APIRoute

from app.access import own_rows
from app.access.caller import Caller, Role
from app.access.credentials import Credentials
from app.access.policies import OPEN, Policy, Shows, policy_of, refusal
from app.entities import by_path, root
from app.errors import ProductionNotFound, SignalbookError
from app.model.entity import Entity, Row
from app.model.schemas import known_uuid
from app.store.read import ambiguous, not_found

_PARAMETERS: Final = {
    Shows.PATH: "production", Shows.LIST: "production", Shows.ROW: "key", Shows.ANY_ROW: "key",
    Shows.DEVICE: "device",
}  # fmt: skip
_NONE: Final = str(UUID(int=0))
"""Names nothing: a list of it is empty, as that of any unknown production."""


def policy_for(route: APIRoute) -> Policy:
    """Return the policy of a route. Raises LookupError for an operation without one."""
    return policy_of(route.operation_id) if route.operation_id else OPEN


async def admit(request: Request, policy: Policy) -> None:
    """Let a request pass, or raise Unauthorized, Forbidden, NotFound or AmbiguousId."""
    least = policy.role
    if least is not None:
        caller = caller_of(request)
        if caller.role is None or caller.role < least:
            await _admit_member(request, policy, least, caller)


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
    """Return whether a production is still to be seen by who has sent a request."""
    credentials: Credentials = request.scope["app"].state.credentials
    try:
        caller = await credentials.renewed(caller_of(request))
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


async def _admit_member(request: Request, policy: Policy, least: Role, caller: Caller) -> None:
    """Let who has no such role everywhere pass where a membership says so, or raise as above."""
    if policy.shows not in _PARAMETERS:
        _require_any(policy, least, caller)
        return
    name, shows = _PARAMETERS[policy.shows], _shows(caller, least)
    key, entity = request.scope["path_params"][name], _type_of_row(request, policy)
    if policy.shows is Shows.ANY_ROW and entity is None:
        return  # there is no such collection, as the route says itself
    row = await _find(request, policy, entity, key, shows)
    if row is None and caller.sees_all:
        raise refusal(caller, least)
    if row is None and entity is not None:
        raise not_found(entity, key)
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
    counts = policy.shows is not Shows.NOWHERE or least is Role.VIEWER
    if not counts or max(caller.memberships.values(), default=0) < least:
        raise refusal(caller, least)


def _shows(caller: Caller, least: Role) -> list[UUID]:
    """Return the productions to look into: for who sees all, those where the role is enough."""
    if not caller.sees_all:
        return list(caller.memberships)
    return [uuid for uuid, role in caller.memberships.items() if role >= least]


def _type_of_row(request: Request, policy: Policy) -> type[Row] | None:
    """Return the type of the row that a path names, None where it names none."""
    if policy.shows is Shows.ANY_ROW:
        return by_path().get(request.scope["path_params"]["collection"])
    return policy.entity if policy.shows is Shows.ROW else None


async def _find(
    request: Request, policy: Policy, entity: type[Row] | None, key: str, shows: list[UUID]
) -> Any:
    """Return the one row under a key, None where there is none. Raises AmbiguousId."""
    database = _database(request)
    if policy.shows is Shows.DEVICE:
        uuid = known_uuid(key)
        return await own_rows.find_device(database, uuid, shows) if uuid else None
    if entity is not None:
        production = request.query_params.get("production", "")
        if production and issubclass(entity, Entity) and not known_uuid(key):
            named = _one(production, await own_rows.find(database, root(), production, shows))
            if named is None:
                raise not_found(root(), production)
            shows = [named["uuid"]]
    if entity in {None, root()} and (own := known_uuid(key)) in shows:
        return {"uuid": own, "production": own}  # a membership is of a production that there is
    return _one(key, await own_rows.find(database, entity or root(), key, shows))


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
