"""Every entity type, one file each: its columns, labels, wire names and rules between fields.

Importing this package imports every module in it, so that none can be forgotten: for a model that
is not imported, Alembic would propose to drop its table. These files import ``app.model`` alone;
everybody else asks for ``discovered()`` and names no type.
"""

from importlib import import_module
from pkgutil import iter_modules

from app.model.entity import Entity, Row

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")


def discovered() -> dict[str, type[Row]]:
    """Return every declared type by collection, the production first."""
    types = [*(c for c in Row.__subclasses__() if c is not Entity), *Entity.__subclasses__()]
    return {cls.collection: cls for cls in types}


def device_types() -> list[type[Row]]:
    """Return the types of device that live in a production."""
    return [kind for kind in discovered().values() if issubclass(kind, Entity) and kind.is_device]


def by_path() -> dict[str, type[Row]]:
    """Return every declared type by each of its paths."""
    return {
        path: cls for cls in discovered().values() for path in (cls.collection, *cls.path_aliases)
    }


def root() -> type[Row]:
    """Return the type that every other belongs to: the production."""
    return next(cls for cls in Row.__subclasses__() if cls is not Entity)
