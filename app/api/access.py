"""Who needs which token: the open paths, the operators' paths, and the check of a token."""

import hmac
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Scope

OPEN_PATHS: Final = frozenset({"/health", "/livez", "/api/health", "/api/server/info"})
"""Served without a token: the platform and the frontend have none yet."""
OPERATOR_PATHS: Final = "/api/admin/"
"""What the paths of operators begin with."""


def has_token(scope: Scope, token: bytes) -> bool:
    """Whether a request bears the token. The comparison takes the same time either way."""
    credentials = Headers(scope=scope).get("authorization", "").encode("latin-1")
    scheme, _, sent_token = credentials.partition(b" ")
    same = hmac.compare_digest(sent_token.strip(), token)
    return same and scheme.lower() == b"bearer"
