"""What the signal flow of a show is read from: its collections, by what their rows are."""

from functools import cache

from app.model.entity import Entity
from app.signal.graph.elements import ShowKind
from app.sql.show_reads import members


@cache
def show_kinds() -> tuple[ShowKind, ...]:
    """Return the collections of a show that a signal flow is made of."""
    return tuple(
        ShowKind(name, kind.collection, kind.entity_type, kind.signal_role)
        for name, kind in members().items()
        if issubclass(kind, Entity) and (kind.is_device or kind.signal_role in {"PORT", "PATH"})
    )
