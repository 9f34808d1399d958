"""What each route and each event of a socket needs: the least role, and where its show is named.

This is the one place that says so. A test goes through all routes and events, and fails for one
without a line.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Final

from app.access.caller import Caller, Role
from app.entities import by_path
from app.errors import Forbidden, SignalbookError, Unauthorized
from app.model.entity import Entity, Row
from app.model.operation_names import names_of


class Shows(Enum):
    """Where a request names the production that it is about."""

    NOWHERE = "it belongs to no production"
    ALL_OWN = "it is about every production of the caller"
    NEW = "it makes a production"
    PATH = "the path names the production"
    LIST = "the path names the production, and an unknown one has no rows"
    ROW = "the path names a row of it"
    ANY_ROW = "the path names a row of it, and its type by the collection"
    DEVICE = "the path has the uuid of a device of it, and an unknown one has no rows"
    BODY = "the body names the production"


@dataclass(frozen=True)
class Policy:
    """The least ``role`` in the production that ``shows`` finds; without a role anybody may.

    What belongs to no production may be read by who may read any. To change it takes the role in
    every production, as it changes what all of them choose from. To make a production takes the
    role in any.
    """

    role: Role | None
    shows: Shows = Shows.NOWHERE
    entity: type[Row] | None = None
    """The type of the row or the rows, where it is the route of one type."""


OPEN: Final = Policy(None)
_READ: Final = Policy(Role.VIEWER)
_WRITE: Final = Policy(Role.EDITOR)
_OPERATE: Final = Policy(Role.OPERATOR)
_READ_SHOW: Final = Policy(Role.VIEWER, Shows.PATH)
_WRITE_SHOW: Final = Policy(Role.EDITOR, Shows.PATH)
_WORDS: Final = (("connector_type", "connector_types"), ("source_type", "source_types"),
                 ("frame_rate", "frame_rates"), ("resolution", "resolutions"))  # fmt: skip

OPEN_PAGES: Final = frozenset({
    "/", "/docs", "/openapi.json", "/sign-in", "/sign-in/callback", "/sign-in/issuer", "/sign-out",
})  # fmt: skip
"""Pages that are no operation of the API: they describe it or sign a browser in, for anybody."""
_ROUTES: Final[Mapping[str, Policy]] = {
    "get_health": OPEN, "get_liveness": OPEN, "get_api_health": OPEN, "get_server_info": OPEN,

    "get_show": _READ_SHOW, "list_label_clashes": _READ_SHOW, "export_production": _READ_SHOW,
    "list_events": _READ_SHOW, "list_entity_events": _READ_SHOW, "list_events_since": _READ_SHOW,
    "check_signals": _READ_SHOW, "draw_diagram": _READ_SHOW, "get_diagram_as_json": _READ_SHOW,
    "get_diagram_as_mermaid": _READ_SHOW, "get_diagram_as_dot": _READ_SHOW,
    "trace_signal": Policy(Role.VIEWER, Shows.ANY_ROW),
    "get_impact": Policy(Role.VIEWER, Shows.ANY_ROW),
    "list_changes": _READ_SHOW, "stream_changes": _READ_SHOW,
    "list_sync_runs": _READ_SHOW, "get_sync_run": _READ_SHOW,
    "copy_production": _WRITE_SHOW, "undo_change": _WRITE_SHOW,
    "undo_request_of_change": _WRITE_SHOW, "sync_production": _WRITE_SHOW,
    "import_production": Policy(Role.EDITOR, Shows.NEW),

    "list_equipment": _READ, "get_equipment": _READ,
    "create_equipment": _WRITE, "update_equipment": _WRITE, "put_equipment": _WRITE,
    "delete_equipment": _WRITE,
    "list_formats": _READ, "get_format": _READ,
    "create_format": _WRITE, "update_format": _WRITE, "put_format": _WRITE, "delete_format": _WRITE,
    "get_settings": _READ, "update_settings": _WRITE, "put_settings": _WRITE,

    "create_ticket": _READ, "get_session": _READ,

    "get_migration_status": _OPERATE, "list_releases": _OPERATE, "get_release": _OPERATE,
    "get_release_plan": _OPERATE, "decide_release_plan": _OPERATE,
    "list_memberships": _OPERATE, "give_membership": _OPERATE, "take_membership": _OPERATE,
    "list_audit": _OPERATE,
}  # fmt: skip
EVENTS: Final[Mapping[str, Policy]] = {
    "production-list:join": Policy(Role.VIEWER, Shows.ALL_OWN),
    "production-list:leave": _READ,
    "production:join": Policy(Role.VIEWER, Shows.BODY),
    "production:leave": _READ,
    "production:change": Policy(Role.EDITOR, Shows.BODY),
}
"""What a socket may send, by the name of the event. To leave what was not joined does nothing."""


@cache
def routes() -> Mapping[str, Policy]:
    """Return the policy of every operation by its id."""
    table = dict(_ROUTES)
    for one, many in _WORDS:
        table |= {f"list_{many}": _READ, f"add_{one}": _WRITE, f"remove_{one}": _WRITE,
                  f"reorder_{many}": _WRITE, f"restore_{many}": _WRITE}  # fmt: skip
    for path, entity in by_path().items():
        table |= _of_type(entity, path)
    return table


def policy_of(operation: str) -> Policy:
    """Return the policy of an operation. Raises LookupError, so that none is forgotten."""
    policy = routes().get(operation)
    if policy is None:
        raise LookupError(f"{operation} has no policy: add its line to app/access/policies.py.")
    return policy


def refusal(caller: Caller, least: Role) -> SignalbookError:
    """Return the error for a role that is too low: Unauthorized where nobody known calls."""
    if caller.is_anonymous:
        return Unauthorized(
            "Send an access token: Authorization: Bearer …, or with a socket auth: {token: …}."
        )
    return Forbidden(f"This needs the role {least.word}: ask an operator for it.")


def _of_type(entity: type[Row], path: str) -> Iterator[tuple[str, Policy]]:
    """Yield the policies of an entity type's routes under one of its paths."""
    name, is_scoped = names_of(entity, path), issubclass(entity, Entity)
    listing, making = (Shows.LIST, Shows.BODY) if is_scoped else (Shows.ALL_OWN, Shows.NEW)
    yield f"list_{name.many}", Policy(Role.VIEWER, listing, entity)
    yield f"create_{name.one}", Policy(Role.EDITOR, making, entity)
    for operation in (f"get_{name.one}", f"list_{name.one}_history"):
        yield operation, Policy(Role.VIEWER, Shows.ROW, entity)
    for verb in ("update", "put", "delete", "restore"):
        yield f"{verb}_{name.one}", Policy(Role.EDITOR, Shows.ROW, entity)
    if is_scoped:
        yield f"bulk_{name.many}", Policy(Role.EDITOR, Shows.PATH, entity)
        yield f"renumber_{name.many}", Policy(Role.EDITOR, Shows.PATH, entity)
    if any(device.is_owner for device in entity.device_references):
        yield f"list_{name.many}_of_device", Policy(Role.VIEWER, Shows.DEVICE, entity)
        yield f"sync_{name.many}_of_device", Policy(Role.EDITOR, Shows.BODY, entity)
