"""Who holds each socket, and what they may do: looked at anew while the socket is open."""

from typing import Any
from uuid import UUID

from starlette.types import Scope

from app.access.caller import Caller, Role
from app.access.client_address import address_of
from app.access.credentials import Credentials
from app.access.policies import EVENTS, Shows, refusal


class SocketCallers:
    """The callers of one process's sockets."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._callers: dict[str, Caller] = {}
        self._nobody = Caller.nobody(None)

    async def add(self, socket: str, scope: Scope, auth: Any) -> None:
        """Find whom the connection's token names, else who has opened the session in ``scope``.

        Raises Unauthorized, Forbidden for who has no role in any production, and what the database
        raises.
        """
        token = auth.get("token") if isinstance(auth, dict) else None
        if isinstance(token, str) and token:
            encoded = token.encode("utf-8", "replace")
            caller = await self._credentials.of_token(encoded, address_of(scope))
        else:
            caller = await self._credentials.caller(scope)
        _require_some(caller)
        self._callers[socket] = caller

    def remove(self, socket: str) -> None:
        self._callers.pop(socket, None)

    def of(self, socket: str) -> Caller:
        """Return who holds a socket; nobody, who may do nothing, where it has gone."""
        return self._callers.get(socket, self._nobody)

    def with_subject(self, subject: str | None) -> list[str]:
        """Return the sockets that a subject holds, of all subjects where none is named."""
        every = self._callers.items()
        return [socket for socket, caller in every if subject in {None, caller.subject}]

    def sees(self, socket: str, production: UUID) -> bool:
        """Return whether a production exists for who holds a socket."""
        return self.of(socket).role_in(production) is not None

    def require(self, socket: str, event: str) -> None:
        """Raise Unauthorized or Forbidden where who holds a socket may not send an event anywhere.

        For which production they may, is asked where that is known.
        """
        caller, policy = self.of(socket), EVENTS[event]
        least = policy.role or Role.VIEWER
        if caller.role is None or caller.role < least:
            roles = caller.memberships.values()
            if not (policy.shows is Shows.BODY or least is Role.VIEWER) or not any(roles):
                raise refusal(caller, least)

    async def renew(self, socket: str) -> bool:
        """Look anew at what a socket's holder may do; return whether it is something else now.

        Raises Forbidden for who has no role in any production, and what the database raises. Then
        nothing is changed.
        """
        before = self._callers[socket]
        caller = await self._credentials.renewed(before)
        _require_some(caller)
        if socket in self._callers:
            self._callers[socket] = caller
        return before.memberships != caller.memberships


def _require_some(caller: Caller) -> None:
    if caller.role is None and not caller.memberships:
        raise refusal(caller, Role.VIEWER)
