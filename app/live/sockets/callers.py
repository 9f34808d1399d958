"""Who holds each socket, and what they may do: looked at anew while the socket is open."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from uuid import UUID

from starlette.types import Scope

from app.access.caller import Caller, Role
from app.access.credentials import Credentials
from app.access.policies import EVENTS, Shows, refusal

FindAgain = Callable[[], Awaitable[Caller]]


class SocketCallers:
    """The callers of one process's sockets, each with what finds them again by their credential."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._callers: dict[str, tuple[Caller, FindAgain]] = {}
        self._nobody = Caller.nobody(None)

    async def add(self, socket: str, scope: Scope, auth: Any) -> None:
        """Find whom the connection's token names, else who has opened the session in ``scope``.

        Raises Unauthorized, Forbidden for who has no role in any production, and what the database
        raises.
        """
        token = auth.get("token") if isinstance(auth, dict) else None
        find_again: FindAgain = partial(self._credentials.caller, scope)
        if isinstance(token, str) and token:
            encoded = token.encode("utf-8", "replace")
            find_again = partial(self._credentials.of_token, encoded)
        caller = await find_again()
        _require_some(caller)
        self._callers[socket] = caller, find_again

    def remove(self, socket: str) -> None:
        self._callers.pop(socket, None)

    def of(self, socket: str) -> Caller:
        """Return who holds a socket; nobody, who may do nothing, where it has gone."""
        return self._callers.get(socket, (self._nobody, None))[0]

    def with_subject(self, subject: str | None) -> list[str]:
        """Return the sockets that a subject holds, of all subjects where none is named."""
        every = self._callers.items()
        return [socket for socket, (who, _) in every if subject in {None, who.subject}]

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

    async def renew(self, socket: str) -> tuple[Caller, Caller]:
        """Find who holds a socket anew; return who it was before, and who it is now.

        Raises what ``add`` does, and then nothing is changed.
        """
        before, find_again = self._callers[socket]
        caller = await find_again()
        _require_some(caller)
        if socket in self._callers:
            self._callers[socket] = caller, find_again
        return before, caller


def _require_some(caller: Caller) -> None:
    if caller.role is None and not caller.memberships:
        raise refusal(caller, Role.VIEWER)
