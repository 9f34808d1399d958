"""All SQL of the service: this module imports every module that registers any.

So nobody can ask for the statements before they are there. ``/health`` and the gate prepare them.
"""

from typing import Final

from app import retention
from app.access import memberships, own_rows, tokens, watches
from app.access.audit import audit_entries
from app.access.refusals import throttle
from app.changelog import changed_rows, events, feed, former_secrets, log
from app.entities import discovered
from app.installation import (
    announcements,
    equipment_sql,
    formats,
    lists,
    settings,
    shipped_devices,
    system_formats,
)
from app.live.feed import derived_rows, hub, production_list
from app.live.sockets import broadcast, presence, rooms_sql
from app.ports import port_lists
from app.sql import reads, show_reads, writes
from app.sql.registry import CHANGE_LOG, INSTALLATION, SHOW, named_statements, statements_of
from app.store import create, history, idempotency, owned_rows, write_context
from app.sync import records

MODULES = (
    reads, show_reads, writes, history, port_lists, owned_rows, write_context, log, former_secrets,
    feed, changed_rows, events, retention, idempotency, create, records, hub, derived_rows,
    production_list, presence, broadcast, rooms_sql, announcements, equipment_sql, formats, lists,
    settings, shipped_devices, system_formats, memberships, own_rows, tokens, watches,
    audit_entries,
    throttle,
)  # fmt: skip
"""The modules with statements; a test finds one that is missing."""
_OWNERS: Final = (CHANGE_LOG, SHOW, INSTALLATION)
"""Whose statements are not those of a collection."""


def required_statements() -> dict[str, tuple[str, ...]]:
    """Return what the schema must allow: the statements of each collection and of the rest.

    What reads PostgreSQL's own catalogue alone is left out.
    """
    of_entities = {
        name: tuple(named_statements(entity).values()) for name, entity in discovered().items()
    }
    return of_entities | {owner: statements_of(owner) for owner in _OWNERS}


def collections() -> tuple[str, ...]:
    """Return the names under which ``required_statements`` holds them."""
    return (*discovered(), *_OWNERS)
