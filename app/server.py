"""Runs the application: binds the port with clear words, serves, and drains on SIGTERM."""

import gc
import socket
from collections.abc import Callable
from typing import Any, cast

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from app.database.url import DatabaseUrl
from app.live.shutdown import Shutdown
from app.live.sockets.limits import SocketLimits
from app.live.sockets.sessions import ABORT
from app.main import create_app
from app.settings import BadSettings, Settings

# A platform's proxy keeps its connections for about a minute; closing first would race with it.
_KEEP_ALIVE = 75
_SILENCE = 60


def serve(settings: Settings, url: DatabaseUrl, say: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM, then let running requests end for ``DRAIN`` seconds.

    Raises BadSettings where the port cannot be had.
    """
    listening = listen(settings)
    app = create_app(settings, url)
    # All this lives as long as the process: to search it for garbage would hold up requests.
    gc.freeze()
    config = configured(
        app, log_config=None, loop="uvloop", timeout_graceful_shutdown=settings.drain
    )
    say(_invitation(settings, listening.getsockname()[1]))
    Server(config).run(sockets=[listening])


def configured(app: FastAPI, **options: Any) -> uvicorn.Config:
    """Give how the application is served.

    WebSockets are not compressed: it would cost some 100 kB for each, and what is sent is small.
    Engine.IO has its own pings.
    """
    return uvicorn.Config(
        app,
        access_log=False,
        server_header=False,
        http="httptools",
        ws=WebSockets,
        ws_max_size=SocketLimits().message,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        timeout_keep_alive=_KEEP_ALIVE,
        **options,
    )


class WebSockets(WebSocketsSansIOProtocol):
    """Uvicorn's newer protocol: it reads on only when the last message was taken, and its older one
    is about to go. This one lets the application end a connection that does not read."""

    def handle_connect(self, event: Any) -> None:
        """Begin a connection, with the means to end it in its scope."""
        super().handle_connect(event)
        scope = getattr(self, "scope", None)
        if scope is not None:
            scope["extensions"][ABORT] = {"now": self.transport.abort}

    async def send(self, message: Any) -> None:
        """Send; a refusal is an answer, and no fault for the log."""
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True


class Server(uvicorn.Server):
    """Uvicorn's, which tells the application that it stops before it waits for what is open."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, let what runs end, hang up."""
        stopping: Shutdown = cast("FastAPI", self.config.app).state.stopping
        stopping.begin()
        await super().shutdown(sockets)


def listen(settings: Settings, silence: int = _SILENCE) -> socket.socket:
    """Bind the port. Raises BadSettings where it cannot be had.

    A connection whose other end takes nothing for ``silence`` seconds is ended by the system, where
    it can do that: the application can only ask for an end after all was taken.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listening = socket.create_server(
            (settings.host, settings.port),
            family=family,
            backlog=2_048,
            dualstack_ipv6=settings.host == "::",
        )
    except OSError as error:
        raise BadSettings(
            f"Cannot listen on {settings.host} port {settings.port} ({error.strerror}): "
            "set HOST or PORT, or stop what listens there."
        ) from None
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, silence * 1_000)
    return listening


def _invitation(settings: Settings, port: int) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    root = f"http://{host}:{port}"
    return (
        f"Signalbook serves on {root}\n"
        f"  the shows       {root}/api/productions\n"
        f"  the API's pages {root}/docs\n"
        f"  its health      {root}/health"
    )
