"""The two tokens of settings, ACCESS_TOKEN and OPERATOR_TOKEN, which several people may hold."""

import hmac
from typing import Final

from app.access.caller import Caller, Role
from app.settings import Settings

SETTING: Final = "setting:"
"""What the subject of a token of settings begins with."""


class SharedTokens:
    """Knows the tokens of settings, and who calls with one."""

    def __init__(self, settings: Settings) -> None:
        named = (
            ("ACCESS_TOKEN", settings.access_token, Role.EDITOR),
            ("OPERATOR_TOKEN", settings.operator_token, Role.OPERATOR),
        )
        self._callers = [
            (token.get_secret_value().encode(), _caller(name, role))
            for name, token, role in named
            if token is not None
        ]

    def of_subject(self, subject: str) -> Caller | None:
        """Return the caller with a subject, where that token is still set."""
        callers = (caller for _, caller in self._callers)
        return next((caller for caller in callers if caller.subject == subject), None)

    def find(self, token: bytes) -> Caller | None:
        """Return who calls with a token. Each comparison takes the same time either way."""
        for own, caller in self._callers:
            if hmac.compare_digest(own, token):
                return caller
        return None

    def token_of(self, subject: str) -> bytes:
        """Return the token of a subject, empty where none is set."""
        return next((token for token, caller in self._callers if caller.subject == subject), b"")


def _caller(name: str, role: Role) -> Caller:
    return Caller(f"{SETTING}{name}", None, None, role, {}, is_shared=True)
