"""Routers under ``/api``: any, one for every entity type, one for what belongs to a production."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute

from app.api.json_requests import JsonRoute
from app.entities import discovered, root
from app.model.entity import Row
from app.model.operation_names import Names, names_of

AddRoutes = Callable[[APIRouter, type[Row], Names], None]


def api_router(
    path: str = "", *tags: str, route_class: type[APIRoute] = JsonRoute, **how: Any
) -> APIRouter:
    """Return a router whose routes are below ``/api`` and ``path``.

    Its routes are complete, so that an application takes them as they are: to include a router
    would build each route a second time.
    """
    return APIRouter(
        prefix=f"/api{path}", tags=[*tags], route_class=route_class,
        strict_content_type=False, **how,
    )  # fmt: skip


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
            router = api_router(f"/{path}{suffix}", tag, route_class=route_class)
            add(router, entity, names_of(entity, path))
            routers.append(router)
    return routers


def production_router(*tags: str) -> APIRouter:
    """Return a router under a production's path."""
    return api_router(f"/{root().collection}/{{production}}", *tags)
