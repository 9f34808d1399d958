"""Routers for every entity type, and for what belongs to one production."""

from collections.abc import Callable

from fastapi import APIRouter
from fastapi.routing import APIRoute

from app.api.json_requests import JsonRoute
from app.entities import discovered, root
from app.model.entity import Row
from app.model.operation_names import Names, names_of

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


def production_router(*tags: str) -> APIRouter:
    """Return a router under a production's path."""
    prefix = f"/{root().collection}/{{production}}"
    return APIRouter(prefix=prefix, tags=[*tags], route_class=JsonRoute)
