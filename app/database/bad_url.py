"""The error of a database URL that cannot be used, and the check for unresolved references.

Standard library only.
"""

import re
from typing import Final

# What a platform should have replaced by a value: ${{A.B}}, ${A}, $A, %A%, {{A}}.
_REFERENCE: Final = r"\$?\{+[^{}]*\}+|\$[A-Za-z_]\w*|%[A-Za-z_]\w*%"
_BRACED: Final = r"\$\{\w+\}"
_DOUBLE: Final = re.compile(r"\$?\{\{[^{}]*\}\}")


class BadDatabaseUrl(ValueError):
    """DATABASE_URL cannot be used; the message says why and never contains the password."""

    def __init__(self, reason: str, name: str = "DATABASE_URL") -> None:
        super().__init__(f"{name} {reason}.")
        self.reason = reason


def raise_if_unresolved(bare: str) -> None:
    """Raise BadDatabaseUrl if the hosting platform has not replaced a reference to a variable."""
    whole = re.fullmatch(rf"{_REFERENCE}|<[^<>]*>|[{{}}]+", bare)
    authority = re.sub(r"[/?].*", "", bare.partition("://")[2])
    login, _, server = authority.rpartition("@")
    user, _, password = login.partition(":")
    inside = _DOUBLE.search(bare) or re.fullmatch(_BRACED, password)  # "$word" may be a password
    parts = (user, *server.rsplit(":", 1))
    if whole or inside or any(re.fullmatch(_REFERENCE, part) for part in parts):
        raise BadDatabaseUrl(
            "holds a reference to another variable that nobody has resolved, such as "
            "${{Postgres.DATABASE_URL}}: check the name of the service and of the variable it "
            "refers to, or set the address itself"
        )
    if re.fullmatch(r":@:?", authority):
        raise BadDatabaseUrl(
            "has neither user, password nor host: what it was put together from is empty"
        )
