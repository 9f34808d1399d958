"""Builds the application: lifespan, routers, middleware, error handlers; nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import APIRouter, FastAPI
from fastapi_offline import FastAPIOffline
from starlette.routing import BaseRoute

from app import VERSION, health
from app.database_url import DatabaseUrl
from app.db import Database
from app.middleware import Cors, Door, Faults, RequestLog
from app.recorder import Recorder
from app.retention import Retention
from app.routes import (
    admin,
    bulk,
    entities,
    events,
    feed,
    history,
    openapi,
    operators,
    problems,
    shows,
)
from app.routes import health as health_routes
from app.routes.hot import HotReads
from app.routes.hot_writes import HotWrites
from app.settings import Settings
from app.writer import Writer

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_HEADERS = ("content-type", "authorization", "if-match", "if-none-match", "idempotency-key")
_EXPOSED = ("etag", "x-ignored-fields", "x-request-id", "retry-after")


def create_app(settings: Settings, url: DatabaseUrl) -> FastAPI:
    """Build the application on a database; it starts whether or not the database answers."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = Database(url, settings)
        await database.open()
        app.state.database = database
        app.state.writer = Writer(database, settings.pool_wait)
        try:
            retention = Retention(database, settings.log_retention_days)
            async with recorder.running(), retention.running():
                yield
        finally:
            await database.close()

    recorder = Recorder(url, settings.soak_check)

    app = FastAPIOffline(
        title="Signalbook",
        version=VERSION,
        summary="The video equipment of live shows: what there is, and how it is connected.",
        description=openapi.DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        strict_content_type=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        redirect_slashes=False,
        swagger_ui_parameters={"docExpansion": "none", "tryItOutEnabled": True},
    )
    app.state.settings, app.state.url, app.state.recorder = settings, url, recorder
    examine = partial(health.examine, url, settings.health_timeout)
    app.state.checkup = health.Checkup(examine, settings.health_cache)
    _add_middleware(app, settings, _add_routes(app, settings))
    problems.install(app)
    openapi.install(app)
    return app


def _add_routes(app: FastAPI, settings: Settings) -> list[BaseRoute]:
    """Add the routes; give those under /api that may be hot."""
    app.include_router(health_routes.router)
    api = APIRouter(prefix="/api")
    routers = [*entities.routers(), shows.router()]
    for router in routers:
        api.include_router(router)
    for router in (*history.routers(), events.router, feed.router):
        api.include_router(router)
    api.include_router(bulk.router())
    if operators.exist(settings):
        api.include_router(admin.router)
    app.include_router(api)
    return [route for router in routers for route in router.routes]


def _add_middleware(app: FastAPI, settings: Settings, routes: list[BaseRoute]) -> None:
    """Add the layers, the innermost first."""
    app.add_middleware(HotWrites, prefix="/api", routes=routes)
    app.add_middleware(HotReads, prefix="/api", routes=routes)
    app.add_middleware(Faults)
    if settings.access_token is not None:
        app.add_middleware(Door, token=settings.access_token, operator=settings.operator_token)
    app.add_middleware(
        Cors,
        allow_origins=settings.origins,
        allow_methods=_METHODS,
        allow_headers=_HEADERS,
        expose_headers=_EXPOSED,
        max_age=600,
    )
    app.add_middleware(RequestLog)
