"""The two tokens of settings, ACCESS_TOKEN and OPERATOR_TOKEN, which several people may hold."""

import hmac

from app.access.caller import Caller, Role
from app.settings import Settings


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

    def find(self, token: bytes) -> Caller | None:
        """Return who calls with a token. Each comparison takes the same time either way."""
        for own, caller in self._callers:
            if hmac.compare_digest(own, token):
                return caller
        return None


def _caller(name: str, role: Role) -> Caller:
    return Caller(f"setting:{name}", None, None, role, {}, is_shared=True)
