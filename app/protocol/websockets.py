"""Uvicorn's WebSockets, which the application can abort."""

from collections.abc import Callable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from app.live.sockets.sessions import ABORT


class WebSockets(WebSocketsSansIOProtocol):
    """Uvicorn's sans-I/O protocol, which the application can abort.

    It reads on only when the application has received the last message. Uvicorn will remove its
    older one. Aborting ends a connection whose client does not read.
    """

    on_lost: Callable[[], None] | None = None
    """What is called once when the connection has ended."""

    def handle_connect(self, event: Any) -> None:
        """Begin a connection, with its abort function in the scope."""
        super().handle_connect(event)
        scope = getattr(self, "scope", None)
        if scope is not None:
            scope["extensions"][ABORT] = {"now": self.transport.abort}

    async def send(self, message: Any) -> None:
        """Send. A refused handshake is complete, so that it is not logged as an error."""
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        super().connection_lost(exc)
        if self.on_lost is not None:
            self.on_lost()
            self.on_lost = None
