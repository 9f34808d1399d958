"""Builds the application of its parts: services, routes, middleware, error handlers."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache

from fastapi import APIRouter, FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.routing import BaseRoute

from app import VERSION
from app.access.client_address import ProxyMiddleware
from app.access.credentials import Credentials
from app.access.hosts import Hosts
from app.access.memberships import CHANNEL
from app.access.origins import Origins
from app.api import document, error_responses
from app.api.fast_path import FastPath
from app.api.frontend import Frontend
from app.api.idempotent import REPLAYED
from app.api.middleware import (
    CallerMiddleware,
    CorsMiddleware,
    HeadMiddleware,
    IgnoredQueryMiddleware,
    RequestLogMiddleware,
    SocketMiddleware,
    UnhandledErrorMiddleware,
)
from app.api.responses import IGNORED
from app.api.routes import (
    admin,
    bulk,
    changes,
    device_lists,
    entities,
    equipment,
    formats,
    history,
    memberships,
    show_documents,
    shows,
    start_page,
    sync,
)
from app.api.routes import health as health_routes
from app.api.routes import settings as settings_routes
from app.api.routes.access import (
    audit_routes,
    issuer_sign_in,
    session_routes,
    sign_in,
    ticket_routes,
)
from app.api.routes.signal import diagram_routes, signal_flow
from app.api.security_headers import SecurityHeadersMiddleware
from app.api.site_check import SiteCheck, SiteMiddleware
from app.database.database import Database
from app.database.url import DatabaseUrl
from app.health import check
from app.health.incidents import Incidents
from app.health.soak_recorder import SoakRecorder
from app.health.statement_proof import StatementProof
from app.live.feed.hub import Hub
from app.live.feed.listener import Listener
from app.live.shutdown import Shutdown
from app.live.sockets.limits import SocketLimits
from app.live.sockets.sessions import SessionServer
from app.live.sockets.socket_server import SocketServer
from app.live.sse.event_stream import EventStreams
from app.retention import Retention
from app.settings import Settings
from app.shows.diagrams import DiagramReader
from app.shows.signal_reading import SignalReader
from app.store.writer import Writer

_CORS_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_CORS_HEADERS = ("content-type", "authorization", "if-match", "if-none-match", "idempotency-key")
_CORS_EXPOSED = ("etag", IGNORED, "x-request-id", "retry-after", REPLAYED)


def create_app(settings: Settings, url: DatabaseUrl, limits: SocketLimits | None = None) -> FastAPI:
    """Build the application on a database. It starts whether or not the database answers.

    ``limits`` are those of sockets.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = Database(url, settings)
        await database.open()
        app.state.database, app.state.signals = database, SignalReader(database)
        app.state.diagrams = DiagramReader(database, app.state.signals)
        app.state.writer = Writer(database, settings.pool_wait)
        try:
            retention = _retention(database, settings)
            listener = Listener(_server_url(settings, url))
            _attach(credentials, streams, database, listener)
            hub = Hub(database, listener, margin=_slowest_write(settings))
            app.state.listener, app.state.hub = listener, hub
            sockets.attach(database, listener, hub)
            async with (
                recorder.running(),
                retention.running(),
                hub.running(),
                listener.running(),
                sockets.running(shutdown),
                credentials.running(),
            ):
                yield
        finally:
            await database.close()

    recorder, shutdown = SoakRecorder(_server_url(settings, url), settings.soak_check), Shutdown()
    incidents, proof = Incidents(), StatementProof()
    credentials = Credentials(settings)
    sockets = SocketServer(settings, credentials, limits)

    app = _empty_app(lifespan)
    app.state.settings, app.state.url, app.state.recorder = settings, url, recorder
    app.state.shutdown, app.state.credentials = shutdown, credentials
    streams = EventStreams(shutdown, credentials.watches)
    app.state.incidents, app.state.event_streams = incidents, streams

    async def examine() -> check.Health:
        timeout = settings.health_timeout
        return await check.examine(app.state.database, timeout, incidents, proof)

    app.state.checkup = check.Checkup(examine, settings.health_cache)
    _add_middleware(app, settings, _add_routes(app, settings), sockets.sessions, credentials)
    error_responses.install(app)
    document.install(app)
    return app


def _retention(database: Database, settings: Settings) -> Retention:
    return Retention(database, settings.log_retention_days, settings.audit_retention_days)


def _empty_app(lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> FastAPI:
    """Return the application without routes."""
    return FastAPI(
        title="Signalbook",
        version=VERSION,
        summary="The video equipment of live shows: what there is, and how it is connected.",
        description=document.DESCRIPTION,
        lifespan=lifespan,
        openapi_url=None,  # start_page has the pages, and serves others while they are made
        strict_content_type=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        redirect_slashes=False,
    )


def _attach(
    credentials: Credentials, streams: EventStreams, database: Database, listener: Listener
) -> None:
    """Let credentials be read, and read anew when one changes or that might have been missed."""
    credentials.attach(database)
    listener.listen(CHANNEL, credentials.forget)
    listener.on_connect(credentials.forget_all)
    streams.attach(listener)


def _server_url(settings: Settings, url: DatabaseUrl) -> DatabaseUrl:
    """Return the URL of the server itself, past a pooler."""
    unpooled = settings.database_unpooled_url
    return DatabaseUrl.parse(unpooled.get_secret_value()) if unpooled else url


def _slowest_write(settings: Settings) -> float:
    """Return more seconds than any write takes from its beginning to its commit."""
    return 60 + settings.pool_wait + 2 * settings.statement_timeout


def _add_routes(app: FastAPI, settings: Settings) -> list[BaseRoute]:
    """Add the routes. Return those under /api that the fast path looks at."""
    fast, others = _routes()
    open_routers = [health_routes.router, sign_in.router, issuer_sign_in.router]
    app.router.routes.extend(_of(open_routers))
    if settings.api_pages:
        app.router.routes.extend(start_page.router.routes)
        app.mount(start_page.ASSETS, StaticFiles(directory=start_page.FILES))
    if settings.frontend_dir:
        app.router.default = Frontend(settings.frontend_dir, app.router.default)
    elif settings.api_pages:
        app.router.routes.extend(start_page.root.routes)
    app.router.routes.extend([*fast, *others])
    return fast


@cache
def _routes() -> tuple[list[BaseRoute], list[BaseRoute]]:
    """Return the routes that the fast path looks at, and the others. To make them takes long."""
    fast = [*entities.routers(), shows.router]
    others = [
        *device_lists.routers(), *history.routers(), show_documents.router, changes.router,
        sync.router, bulk.router(), equipment.router, formats.router, settings_routes.router,
        signal_flow.router, diagram_routes.router, admin.router, memberships.router,
        ticket_routes.router, session_routes.router, audit_routes.router,
    ]  # fmt: skip
    return _of(fast), _of(others)


def _of(routers: list[APIRouter]) -> list[BaseRoute]:
    return [route for router in routers for route in router.routes]


def _add_middleware(
    app: FastAPI, settings: Settings, routes: list[BaseRoute], sockets: SessionServer,
    credentials: Credentials,
) -> None:  # fmt: skip
    """Add the layers, the innermost first."""
    site = SiteCheck(Hosts(settings.allowed_hosts), Origins(settings))
    app.add_middleware(FastPath, routes=routes)
    app.add_middleware(IgnoredQueryMiddleware)
    app.add_middleware(HeadMiddleware)
    app.add_middleware(UnhandledErrorMiddleware)
    app.add_middleware(
        CallerMiddleware, credentials=credentials, has_frontend=bool(settings.frontend_dir)
    )
    app.add_middleware(
        CorsMiddleware, allow_origins=settings.origins, allow_methods=_CORS_METHODS,
        allow_headers=_CORS_HEADERS, expose_headers=_CORS_EXPOSED, max_age=600,
    )  # fmt: skip
    app.add_middleware(SiteMiddleware, check=site)
    app.add_middleware(RequestLogMiddleware, incidents=app.state.incidents)
    app.add_middleware(SocketMiddleware, sockets=sockets, site=site, credentials=credentials)
    app.add_middleware(SecurityHeadersMiddleware)
    if settings.trusted_proxies:
        app.add_middleware(
            ProxyMiddleware, proxies=settings.trusted_proxies, header=settings.proxy_header
        )
