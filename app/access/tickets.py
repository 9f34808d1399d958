"""Tickets: what opens an event stream in place of a token, for a minute.

A browser's EventSource sends no header, so its credential stands in the address, where proxies log
it. A ticket says who asked for it, and is signed; whoever reads it later can do nothing with it.
"""

import hmac
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from app.access.caller import Caller, Role
from app.errors import Unauthorized

SECONDS: Final = 60
"""How long a ticket opens a stream. One that is open goes on."""


def issue(caller: Caller, key: bytes) -> str:
    """Return a ticket of a caller, signed with ``key``."""
    role = caller.role.word if caller.role else None
    ends = caller.expires_at.timestamp() if caller.expires_at else None
    content = json.dumps([
        caller.subject, caller.user_id, caller.user_name, role, ends, int(time.time()) + SECONDS,
    ]).encode()  # fmt: skip
    return f"{_text(content)}.{_text(_signature(key, content))}"


def read(ticket: str, keys: Sequence[bytes]) -> Caller:
    """Return whose ticket it is, without memberships. Raises Unauthorized."""
    content, signature = _parts(ticket)
    signed = [hmac.compare_digest(_signature(key, content), signature) for key in keys]
    if not any(signed):
        raise Unauthorized("This is no ticket of ours: ask for one at /api/access/tickets.")
    subject, user_id, user_name, word, ends, until = json.loads(content)
    if until < time.time():
        raise Unauthorized("This ticket has expired: ask for another at /api/access/tickets.")
    role = Role[word.upper()] if word else None
    expires_at = datetime.fromtimestamp(ends, UTC) if ends else None
    if expires_at and expires_at <= datetime.now(UTC):
        raise Unauthorized("The token of this ticket has expired: sign in again.")
    return Caller(subject, user_id, user_name, role, {}, expires_at=expires_at)


def _parts(ticket: str) -> tuple[bytes, bytes]:
    try:
        content, _, signature = ticket.encode("ascii").partition(b".")
        return _bytes(content), _bytes(signature)
    except ValueError:
        return b"", b""


def _signature(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, sha256)


def _text(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


def _bytes(text: bytes) -> Any:
    return urlsafe_b64decode(text + b"=" * (-len(text) % 4))
