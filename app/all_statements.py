"""All SQL of the service: this module imports every module that registers any.

So nobody can ask for the statements before they are there. ``/health`` and the gate prepare them.
"""

from app import retention
from app.changelog import events, feed, former_secrets, log
from app.entities import discovered
from app.live.feed import derived_rows, hub, production_list
from app.live.sockets import broadcast, presence, rooms_sql
from app.sql import reads, writes
from app.sql.registry import CHANGE_LOG, SHOW, named_statements, statements_of
from app.store import create, device_lists, history, idempotency, owned_rows, write_context
from app.sync import records

MODULES = (
    reads, writes, history, device_lists, owned_rows, write_context, log, former_secrets, feed,
    events, retention, idempotency, create, records, hub, derived_rows, production_list, presence,
    broadcast, rooms_sql,
)  # fmt: skip
"""The modules with statements; a test finds one that is missing."""


def required_statements() -> dict[str, tuple[str, ...]]:
    """Return what the schema must allow: the statements of each collection, the log and the show.

    What reads PostgreSQL's own catalogue alone is left out.
    """
    of_entities = {
        name: tuple(named_statements(entity).values()) for name, entity in discovered().items()
    }
    return of_entities | {owner: statements_of(owner) for owner in (CHANGE_LOG, SHOW)}


def collections() -> tuple[str, ...]:
    """Return the names under which ``required_statements`` holds them."""
    return (*discovered(), CHANGE_LOG, SHOW)
