"""What the operations on an entity type's paths are called: ``get_camera``, ``list_cameras``."""

import re
from typing import Any, NamedTuple

from app.model.entity import Row


class Names(NamedTuple):
    """What the operations on a path are named by: ``get_camera``, ``list_cameras``.

    ``alias_of`` is the path that does the same, empty for an entity type's own.
    """

    one: str
    many: str
    alias_of: str = ""

    @property
    def extra(self) -> dict[str, Any]:
        """What the OpenAPI document says of each operation besides."""
        return {"x-alias-of": self.alias_of} if self.alias_of else {}


def names_of(entity: type[Row], path: str) -> Names:
    """Return the names for operations on one of an entity type's paths."""
    many = path.replace("-", "_")
    if path == entity.collection:
        return Names(re.sub("(?<!^)([A-Z])", r"_\1", entity.__name__).lower(), many)
    return Names(many.removesuffix("s"), many, f"/api/{entity.collection}")
