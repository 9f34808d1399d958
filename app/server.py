"""Runs the application: binds the port with clear words, serves, and drains on SIGTERM."""

import gc
import socket
from collections.abc import Callable

import uvicorn

from app.database_url import DatabaseUrl
from app.main import create_app
from app.settings import BadSettings, Settings

# A platform's proxy keeps its connections for about a minute; closing first would race with it.
_KEEP_ALIVE = 75


def serve(settings: Settings, url: DatabaseUrl, say: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM, then let running requests end for ``DRAIN`` seconds.

    Raises BadSettings where the port cannot be had.
    """
    listening = _listen(settings)
    app = create_app(settings, url)
    # All this lives as long as the process: to search it for garbage would hold up requests.
    gc.freeze()
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        server_header=False,
        loop="uvloop",
        http="httptools",
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=settings.drain,
    )
    say(_invitation(settings, listening.getsockname()[1]))
    uvicorn.Server(config).run(sockets=[listening])


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server(
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


def _invitation(settings: Settings, port: int) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    root = f"http://{host}:{port}"
    return (
        f"Signalbook serves on {root}\n"
        f"  the shows       {root}/api/productions\n"
        f"  the API's pages {root}/docs\n"
        f"  its health      {root}/health"
    )
