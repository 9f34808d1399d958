"""Uvicorn's HTTP, with bounds on what a client sends before anybody knows who it is."""

from enum import Enum
from http import HTTPStatus
from typing import Any, Final

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.access.client_address import address_of
from app.api.error_responses import problem_json
from app.api.problem_schemas import PROBLEM_TYPE
from app.api.security_headers import PLAIN
from app.errors import (
    BadRequest,
    HeadTooLarge,
    RequestTooSlow,
    SignalbookError,
    TooManyFromAddress,
)
from app.protocol.connections import Connections
from app.protocol.websockets import WebSockets

_log: Final = structlog.get_logger()
_LINGER: Final = 2.0
_LINGER_BYTES: Final = 2_000_000
"""What is dropped between two looks: to drop all that a client can send would hold up others."""
_PIPELINE: Final = 16
"""Requests that one connection may send before the first of them is answered."""
_BETWEEN: Final = 4
"""Characters of a header's line beside its name and value."""


class _Stage(Enum):
    """How far a connection has come."""

    SILENT = 0
    HEAD = 1
    BODY = 2
    WHOLE = 3
    """The request is here; it is answered, or the next is waited for."""
    CLOSING = 4
    """The answer is sent. The client is given a moment to read it."""


_UNREAD: Final = frozenset({_Stage.SILENT, _Stage.HEAD, _Stage.CLOSING})


class _SoftlyClosed:
    """A transport that is closed as ``BoundedHttp.close_softly`` does."""

    def __init__(self, protocol: "BoundedHttp") -> None:
        self._protocol = protocol

    def __getattr__(self, name: str) -> Any:
        return getattr(self._protocol.transport, name)

    def close(self) -> None:
        self._protocol.close_softly()


class BoundedHttp(HttpToolsProtocol):
    """A connection. Its requests note what they have come to; ``look`` says when that is too long.

    A refusal is answered, and the client has a moment to read it: whatever it still sends is
    dropped. If the connection were closed at once, the system would tell the client so before it
    has read the answer.
    """

    def __init__(self, *args: Any, connections: Connections, **more: Any) -> None:
        super().__init__(*args, **more)
        self._connections_here = connections
        self._bounds = connections.settings
        self._stage = _Stage.SILENT
        self._since = 0.0  # when a look first found it at this stage; 0 for not yet
        self._unread = 0  # bytes that came since the last of a body, or the last request
        self._body = 0  # bytes of the request's body
        self._fault: SignalbookError | None = None

    # What comes

    def connection_made(self, transport: Any) -> None:
        """Begin, or refuse an address that has too many connections."""
        super().connection_made(transport)
        if not self._connections_here.enter(self, self.client):
            self.refuse(
                TooManyFromAddress("Your address has too many connections here: close some first.")
            )

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        super().connection_lost(exc)
        self._connections_here.look_away(self)
        self._connections_here.leave(self.client)

    def data_received(self, data: bytes) -> None:
        """Read on, as far as there is room."""
        self._unread += len(data)
        if self._stage is _Stage.CLOSING:
            if self._unread > _LINGER_BYTES:
                self.flow.pause_reading()
            return
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            words = "This cannot be read as a request of HTTP/1.1."
            self.refuse(self._fault or BadRequest(words))
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            else:
                self._unsupported_upgrade_warning()
        else:
            if self._unread > self._bounds.max_head_bytes:
                self.refuse(self._too_large())

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._stage, self._since = _Stage.HEAD, 0.0

    def on_headers_complete(self) -> None:
        """Let the application answer, unless the head is too large."""
        if self._unread > self._bounds.max_head_bytes:
            lines = sum(len(name) + len(value) + _BETWEEN for name, value in self.headers)
            if lines + len(self.url) > self._bounds.max_head_bytes:
                raise self._note(self._too_large())
        if len(self.headers) > self._bounds.max_head_lines:
            most = self._bounds.max_head_lines
            raise self._note(HeadTooLarge(f"Send at most {most} header lines."))
        if len(self.pipeline) >= _PIPELINE:
            raise self._note(BadRequest("Wait for answers before you send more requests."))
        super().on_headers_complete()
        self._stage, self._since, self._unread, self._body = _Stage.BODY, 0.0, 0, 0
        if self.scope["method"] != "GET" and self._declared_body() > self._bounds.max_body_bytes:
            self._close_after_answer()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body. One that is too large is answered by the application."""
        self._unread = 0
        self._body += len(body)
        super().on_body(body)
        if self._body > self._bounds.max_body_bytes:
            self._close_after_answer()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._stage, self._since, self._unread = _Stage.WHOLE, 0.0, 0

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over. It is counted until the WebSocket ends."""
        super().handle_websocket_upgrade()
        self._connections_here.look_away(self)
        websocket = self.transport.get_protocol()
        assert isinstance(websocket, WebSockets)
        websocket.on_lost = self._connections_here.leaver(self.client)

    # What takes too long

    def is_unread(self) -> bool:
        return self._stage in _UNREAD

    def is_idle(self) -> bool:
        return self._stage is _Stage.WHOLE and self.cycle.response_complete

    def abort(self) -> None:
        self.transport.abort()

    def look(self, now: float, elapsed: float) -> None:
        """End the connection if it has been at one stage for too long."""
        if not self._is_clients_turn():
            self._since = self._since and self._since + elapsed
            return
        self._since = self._since or now
        waited = now - self._since
        if self._stage is _Stage.SILENT and waited >= self._bounds.first_request_timeout:
            self.transport.close()  # unanswered: browsers open connections to have them
        elif self._stage is _Stage.HEAD and waited >= self._bounds.head_timeout:
            seconds = self._bounds.head_timeout
            self.refuse(RequestTooSlow(f"The headers did not come within {seconds:g} s."))
        elif self._stage is _Stage.BODY:
            if self._body < (waited - self._bounds.body_grace) * self._bounds.body_rate:
                rate = f"{self._bounds.body_rate:g} bytes a second"
                self.refuse(RequestTooSlow(f"The body comes with less than {rate}."))
        elif self._stage is _Stage.WHOLE and waited >= self._bounds.keep_alive_timeout:
            self.transport.close()
        elif self._stage is _Stage.CLOSING:
            self._drop_more(waited)

    def _drop_more(self, waited: float) -> None:
        if waited >= _LINGER:
            self.transport.abort()
        else:
            self._unread = 0
            self.flow.resume_reading()

    def _is_clients_turn(self) -> bool:
        """Whether it is the client that is waited for, and not this service."""
        if self._stage is _Stage.CLOSING:
            return True
        if self.flow.read_paused:
            return False
        is_answered = self.cycle is None or self.cycle.response_complete
        if self._stage is _Stage.BODY:
            return not self.cycle.waiting_for_100_continue
        return is_answered

    # Refusals

    def refuse(self, error: SignalbookError) -> None:
        """Answer with an error and close. Close at once where an answer has begun."""
        if self.transport.is_closing() or self._stage is _Stage.CLOSING:
            return
        address = address_of({"client": self.client})
        _log.info("connection refused", code=error.code, address=address)
        cycle = self.cycle
        in_body = self._stage is _Stage.BODY
        if cycle is not None and (in_body or not cycle.response_complete):
            if cycle.response_started or self.pipeline or not in_body:
                self.transport.abort()
                return
            # The application is told that the client has gone.
            cycle.disconnected, cycle.waiting_for_100_continue = True, False
            cycle.message_event.set()
        self.transport.write(self._answer(error))
        self.close_softly()

    def close_softly(self) -> None:
        """Send what is to be sent, and drop what comes until the client or a look ends it."""
        if not self.transport.is_closing() and self._stage is not _Stage.CLOSING:
            self._stage, self._since, self._unread = _Stage.CLOSING, 0.0, 0
            self.flow.resume_reading()
            self.transport.write_eof()

    def _declared_body(self) -> int:
        for name, value in self.headers:
            if name == b"content-length":
                return int(value) if value.isdigit() else 0
        return 0

    def _close_after_answer(self) -> None:
        """Let the running answer be the last: what is left of the request is not read."""
        if self.cycle is None:  # a WebSocket
            return
        if self.cycle.response_complete:
            self.close_softly()
        else:
            self.cycle.keep_alive = False
            self.cycle.transport = _SoftlyClosed(self)  # type: ignore[assignment]  # as one

    def _too_large(self) -> HeadTooLarge:
        return HeadTooLarge(f"Send at most {self._bounds.max_head_bytes} bytes of headers.")

    def _note(self, error: SignalbookError) -> SignalbookError:
        """Note what the parser is stopped with: it raises an error of its own."""
        self._fault = error
        return error

    def _answer(self, error: SignalbookError) -> bytes:
        scope: Any = self.scope or {}
        body = problem_json(error, scope.get("path", "/"))
        headers = [
            *self.server_state.default_headers, *PLAIN[False],
            (b"content-type", PROBLEM_TYPE.encode()), (b"content-length", b"%d" % len(body)),
            (b"Connection", b"close"),
            *((name.encode(), value.encode()) for name, value in error.headers.items()),
        ]  # fmt: skip
        lines = [b"%s: %s\r\n" % header for header in headers]
        phrase = HTTPStatus(error.status).phrase.encode()
        return b"".join((b"HTTP/1.1 %d %s\r\n" % (error.status, phrase), *lines, b"\r\n", body))
