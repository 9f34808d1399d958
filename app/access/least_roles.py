"""The least role that a request or a socket's event needs."""

from typing import Final

from app.access.caller import Caller, Role
from app.errors import Forbidden, Unauthorized

OPERATOR_PATHS: Final = "/api/admin/"
"""What the paths of operators begin with."""
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_WRITING_EVENTS: Final = frozenset({"production:change"})


def of_request(method: str, path: str) -> Role:
    """Return the least role that a request needs."""
    if path.startswith(OPERATOR_PATHS):
        return Role.OPERATOR
    return Role.VIEWER if method in _READING else Role.EDITOR


def of_event(name: str) -> Role:
    """Return the least role that an event of a socket needs."""
    return Role.EDITOR if name in _WRITING_EVENTS else Role.VIEWER


def require(caller: Caller, least: Role) -> None:
    """Raise Unauthorized where nobody known calls, Forbidden where their role is too low."""
    if caller.role is not None and caller.role >= least:
        return
    if caller.is_anonymous:
        raise Unauthorized(
            "Send an access token: Authorization: Bearer …, or with a socket auth: {token: …}."
        )
    raise Forbidden(f"This needs the role {least.word}: ask an operator for it.")
