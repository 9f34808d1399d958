"""The Socket.IO server of one process: whom it lets in, and which events it answers.

A socket's events are answered one after the other, so that joins and leaves keep their order.
An event that fails is answered with the error in its acknowledgement.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import structlog
from socketio.exceptions import ConnectionRefusedError as ConnectionRejected

from app.access.credentials import Credentials
from app.access.memberships import CHANNEL
from app.access.origins import Origins
from app.background import Tasks, running
from app.database.database import Database
from app.errors import Forbidden, NotFound, SignalbookError, Unauthorized
from app.live.feed.hub import Hub
from app.live.feed.listener import Listener
from app.live.shutdown import Shutdown
from app.live.sockets.callers import SocketCallers
from app.live.sockets.installation_events import InstallationEvents
from app.live.sockets.limits import SocketLimits
from app.live.sockets.production_list import ProductionListRoom
from app.live.sockets.rooms import Rooms
from app.live.sockets.send_queue import event
from app.live.sockets.sessions import SessionServer
from app.live.sockets.socket_requests import ChangeAnnouncement, Join, Leave, SocketRequest
from app.settings import Settings

_log: Final = structlog.get_logger()

Handler = Callable[[str, Any], Awaitable[dict[str, Any]]]


class SocketServer:
    """Serves Socket.IO; one per process."""

    EVENTS: Final[Mapping[str, type[SocketRequest]]] = {
        "production-list:join": SocketRequest,
        "production-list:leave": SocketRequest,
        "production:join": Join,
        "production:leave": Leave,
        "production:change": ChangeAnnouncement,
    }
    """What a socket may send: the schema of each event's argument."""

    def __init__(
        self, settings: Settings, credentials: Credentials, limits: SocketLimits | None = None
    ) -> None:
        per_address = settings.handshakes_per_address
        self._limits = limits or SocketLimits(handshakes_per_address=per_address)
        self._credentials = credentials
        self._callers = SocketCallers(credentials)
        self._origins = Origins(settings)
        self.sessions = SessionServer(self._limits, self._allows_origin)
        self.sessions.on("connect", self._on_connect)
        self.sessions.on("disconnect", self._on_disconnect)
        self.sessions.on("*", self._on_event)
        self._rooms: Rooms
        self._list: ProductionListRoom
        self._installation: InstallationEvents
        self._handlers: dict[str, Handler] = {}
        self._renewals = Tasks()

    def attach(self, database: Database, listener: Listener, hub: Hub) -> None:
        """Set what to serve from. To be called before the listener runs."""
        send_queue, limits = self.sessions.send_queue, self._limits
        callers = self._callers
        rooms = self._rooms = Rooms(database, listener, hub, send_queue, callers, limits)
        self._list = ProductionListRoom(hub, send_queue, callers, limits)
        listener.listen(CHANNEL, self._renew_later)
        listener.on_connect(self._renew_all)
        self._installation = InstallationEvents(database, listener, self._send_to_all)
        self._handlers = {
            "production-list:join": self._join_list,
            "production-list:leave": self._leave_list,
            "production:join": rooms.join,
            "production:leave": rooms.leave,
            "production:change": rooms.change,
        }

    @asynccontextmanager
    async def running(self, shutdown: Shutdown) -> AsyncIterator[None]:
        """Serve while the block runs; end every socket when the service begins to stop."""
        async with (
            self._rooms.running(), self._list.running(), self._installation.running(),
            self.sessions.running(shutdown), running(self._keep_renewing()),
        ):  # fmt: skip
            yield
        await self._renewals.cancel()

    def _allows_origin(self, origin: str | None, environ: dict[str, Any]) -> bool:
        """Whether a page of this origin may connect: who may connect may write."""
        host, site = environ.get("HTTP_HOST", ""), environ.get("HTTP_SEC_FETCH_SITE", "")
        parts = (host, origin or "", site)
        return self._origins.may_write(*(part.encode("latin-1") for part in parts))

    async def _on_connect(self, socket: str, environ: dict[str, Any], auth: Any) -> None:
        session = self.sessions.session_of(socket)
        try:
            await self._callers.add(socket, environ["asgi.scope"], auth)
        except SignalbookError as error:
            raise ConnectionRejected(error.message, error.acknowledgement()) from None
        if session is None or session.ended:
            self._callers.remove(socket)
            raise ConnectionRejected("The connection has ended.")
        session.cancel_timer()
        session.greeted()
        ended = Unauthorized("The token of this connection is no longer valid: send another.")
        self._credentials.watches.add(
            socket, self._callers.of(socket), partial(self.sessions.end, session.name, ended)
        )
        self._rooms.add(socket)

    async def _on_disconnect(self, socket: str, _reason: str) -> None:
        self._credentials.watches.remove(socket)
        self._rooms.remove(socket)
        self._list.leave(socket)
        self._callers.remove(socket)

    def _renew_later(self, subject: str | None) -> None:
        """Look anew at what a subject may do; at all of them where none is named."""
        for socket in self._callers.with_subject(subject):
            self._renewals.start(self._renew(socket))

    async def _renew_all(self, _: object) -> None:
        self._renew_later(None)

    async def _keep_renewing(self) -> None:
        """Look at everybody now and then: an announcement may be lost."""
        while True:
            await asyncio.sleep(self._limits.recheck)
            for socket in self._callers.with_subject(None):
                await self._renew(socket)

    async def _renew(self, socket: str) -> None:
        """Leave rooms that a socket's holder may no longer see; end it where they may see none."""
        session = self.sessions.session_of(socket)
        try:
            has_changed = await self._callers.renew(socket)
        except Forbidden as error:
            if session is not None:
                self.sessions.end(session.name, error)
        except (SignalbookError, KeyError):
            return  # it has gone, or the database is away: it is looked at again soon
        else:
            self._rooms.expel_from_others(socket)
            if has_changed:
                self._list.resync(socket)

    async def _on_event(self, name: str, socket: str, *args: Any) -> dict[str, Any]:
        try:
            if name not in self.EVENTS:
                words = f"No event is called so: there are {', '.join(self.EVENTS)}."
                raise NotFound(words, error="Unknown event")  # noqa: TRY301  # answered below
            self._callers.require(socket, name)
            request = self.EVENTS[name].read(args).sent_by(self._callers.of(socket))
            return await self._handlers[name](socket, request)
        except SignalbookError as error:
            return error.acknowledgement()
        except Exception:  # noqa: BLE001  # an error of ours must not end a connection
            _log.exception("unforeseen", event_name=name if name in self.EVENTS else "?")
            return SignalbookError("Something failed here; it has been logged.").acknowledgement()

    def _send_to_all(self, name: str, payload: str) -> None:
        packet = event(name, payload)
        for socket in tuple(self._rooms.sockets):
            if queue := self.sessions.send_queue(socket):
                queue.put_nowait(packet)

    async def _join_list(self, socket: str, _: SocketRequest) -> dict[str, Any]:
        if socket in self._rooms:  # it may have gone meanwhile
            await self._list.enter(socket)
        return {}

    async def _leave_list(self, socket: str, _: SocketRequest) -> dict[str, Any]:
        self._list.leave(socket)
        return {}
