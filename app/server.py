"""Runs the application: binds the port, serves, and drains on SIGTERM."""

import ctypes
import errno
import gc
import signal
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any, Final, cast

import structlog
import uvicorn
from fastapi import FastAPI

from app.background import Tasks
from app.database.url import DatabaseUrl
from app.live.shutdown import Shutdown
from app.live.sockets.limits import SocketLimits
from app.main import create_app
from app.protocol.connections import Connections
from app.protocol.http import BoundedHttp
from app.protocol.open_files import raise_open_files
from app.protocol.websockets import WebSockets
from app.settings import BadSettings, Settings

_log: Final = structlog.get_logger()
_M_MMAP_THRESHOLD: Final = -3  # of malloc.h
_LARGE_BLOCK: Final = 1_000_000


def serve(
    settings: Settings, url: DatabaseUrl, say: Callable[[str], None],
    is_stopped: Callable[[], bool],
) -> None:  # fmt: skip
    """Serve until SIGINT or SIGTERM, then wait up to ``DRAIN`` seconds for running requests.

    ``is_stopped`` says whether such a signal came before the server could handle it. Raises
    BadSettings where the port cannot be bound.
    """
    listener = listen(settings)
    _give_memory_back()
    app = create_app(settings, url)
    # What exists now lives as long as the process. Collecting it would only delay requests.
    gc.freeze()
    config = uvicorn_config(
        app, raise_open_files(), log_config=None, loop="uvloop",
        timeout_graceful_shutdown=settings.drain,
    )  # fmt: skip
    if settings.missing_names:
        _log.warning("names", words=settings.missing_names)
    root = _root(settings, listener.getsockname()[1])
    if settings.json_logs:
        _log.info("serving", url=root)
    else:
        say(_greeting(root))
    Server(config, is_stopped, partial(_warn_if_unhealthy, app)).run(sockets=[listener])


def _give_memory_back() -> None:
    """Let the system have the memory of a large body back as soon as it is free.

    Without it, glibc raises the size from which it does so up to 32 MB, and keeps what is smaller.
    """
    with suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)


async def _warn_if_unhealthy(app: FastAPI) -> None:
    """Log why the service cannot serve: it starts all the same, and waits for the database."""
    report = await app.state.checkup()
    if not report.healthy:
        _log.warning("unhealthy", cause=report.cause)


def uvicorn_config(app: FastAPI, open_files: int, **options: Any) -> uvicorn.Config:
    """Return Uvicorn's configuration of this service, which may have so many files open.

    WebSockets are not compressed: messages are small, and each connection would hold some 100 kB.
    They are not pinged either: Engine.IO has its own pings. Proxies' headers are read
    by ``app.access.client_address``: Uvicorn would believe anybody on loopback.
    """
    settings: Settings = app.state.settings
    connections = Connections(settings, open_files)
    return uvicorn.Config(
        app, access_log=False, server_header=False, proxy_headers=False,
        http=cast("Any", partial(BoundedHttp, connections=connections)), ws=WebSockets,
        ws_max_size=SocketLimits().message, ws_per_message_deflate=False, ws_ping_interval=None,
        timeout_keep_alive=cast("int", settings.keep_alive_timeout), **options,
    )  # fmt: skip


class Server(uvicorn.Server):
    """Uvicorn's server, which starts the application's shutdown before it waits for requests.

    A signal that stops it does not end the process as well, which then exits with 0. Signals that
    follow change nothing: ``DRAIN`` bounds the wait.
    """

    def __init__(
        self, config: uvicorn.Config, is_stopped: Callable[[], bool] = lambda: False,
        greet: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:  # fmt: skip
        """Create it. ``greet`` runs beside the requests once it listens."""
        super().__init__(config)
        self.is_stopped = is_stopped
        self.greet = greet
        self.greeting = Tasks()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        if self.greet:
            self.greeting.start(self.greet())

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals until the process ends: one that comes after the drain must not kill."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self.handle_exit)
        if self.is_stopped():
            self.should_exit = True
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # a handler's
        """Begin to stop."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, wait for running requests, close connections."""
        graceful: Shutdown = cast("FastAPI", self.config.app).state.shutdown
        graceful.begin()
        await self.greeting.cancel()
        await super().shutdown(sockets)


def listen(settings: Settings, silence: int = 60) -> socket.socket:
    """Bind the port. Raises BadSettings where that fails.

    Where the system can, it ends a connection whose other end acknowledges nothing for ``silence``
    seconds. The application could close it only after everything is sent.
    """
    try:
        listener = _bound(settings.host, settings.port)
    except OSError as error:
        raise BadSettings(
            f"Cannot listen on {settings.host} port {settings.port} ({error.strerror}): "
            "set HOST or PORT, or stop what listens there."
        ) from None
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, silence * 1_000)
    return listener


def _bound(host: str, port: int) -> socket.socket:
    """Bind a port. ``::`` takes both address families, or IPv4 alone on a system without IPv6."""
    is_any = host == "::"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server(
            (host, port), family=family, backlog=2_048,
            dualstack_ipv6=is_any and socket.has_dualstack_ipv6(),
        )  # fmt: skip
    except OSError as error:
        if is_any and error.errno in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}:
            return _bound("0.0.0.0", port)  # noqa: S104  # all that :: stands for here
        raise


def _root(settings: Settings, port: int) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{port}"


def _greeting(root: str) -> str:
    return (
        f"Signalbook serves on {root}\n"
        f"  the shows       {root}/api/productions\n"
        f"  the API's pages {root}/docs\n"
        f"  its health      {root}/health"
    )
