"""Every entity type, one file each.

Importing this package imports every module in it, so that none can be forgotten: a model that
is not imported would make Alembic propose to drop its table.
"""

from importlib import import_module
from pkgutil import iter_modules

from app.model.entity import Entity, Row

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")


def discovered() -> dict[str, type[Row]]:
    """Give every declared type by collection, the production first."""
    found = [*(c for c in Row.__subclasses__() if c is not Entity), *Entity.__subclasses__()]
    return {cls.collection: cls for cls in found}


def root() -> type[Row]:
    """Give the type that every other belongs to: the production."""
    return next(cls for cls in Row.__subclasses__() if cls is not Entity)
