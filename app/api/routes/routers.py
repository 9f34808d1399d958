"""Routers for every entity type, and for what belongs to one production."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from fastapi import APIRouter
from fastapi.routing import APIRoute

from app.api.json_requests import JsonRoute
from app.entities import discovered, root
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


AddRoutes = Callable[[APIRouter, type[Row], Names], None]


def entity_routers(
    suffix: str, add: AddRoutes, route_class: type[APIRoute] = JsonRoute
) -> list[APIRouter]:
    """Return a router for each path of each entity type, its routes by ``add`` after ``suffix``.

    ``add`` gets the router, the entity type and the names for its operations.
    """
    routers = []
    for entity in discovered().values():
        for path in (entity.collection, *entity.path_aliases):
            tag = entity.noun if path == entity.collection else f"{entity.noun} ({path})"
            router = APIRouter(prefix=f"/{path}{suffix}", tags=[tag], route_class=route_class)
            add(router, entity, names_of(entity, path))
            routers.append(router)
    return routers


def names_of(entity: type[Row], path: str) -> Names:
    """Return the names for operations on one of an entity type's paths."""
    many = path.replace("-", "_")
    if path == entity.collection:
        return Names(re.sub("(?<!^)([A-Z])", r"_\1", entity.__name__).lower(), many)
    return Names(many.removesuffix("s"), many, f"/api/{entity.collection}")


def production_router(*tags: str) -> APIRouter:
    """Return a router under a production's path."""
    prefix = f"/{root().collection}/{{production}}"
    return APIRouter(prefix=prefix, tags=[*tags], route_class=JsonRoute)
