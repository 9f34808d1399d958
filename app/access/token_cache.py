"""Tokens that were verified a moment ago, so that most requests cost no statement."""

import hmac
import time
from dataclasses import dataclass
from hashlib import sha256

from app.access.caller import Caller


@dataclass(frozen=True, slots=True)
class _Verified:
    """A caller, the digest of the secret that was right, and until when neither is asked anew."""

    digest: bytes
    caller: Caller
    until: float


class TokenCache:
    """Holds verified tokens by key for a few ``seconds``, at most ``most`` of them.

    ``generation`` changes whenever something is forgotten. So who began to verify a token before
    it was revoked, and ends afterwards, does not bring it back.
    """

    def __init__(self, seconds: float = 5.0, most: int = 10_000) -> None:
        self._seconds, self._most = seconds, most
        self._verified: dict[str, _Verified] = {}
        self.generation = 0

    def find(self, key: str, secret: str) -> Caller | None:
        """Return the caller of a token that was verified lately."""
        verified = self._verified.get(key)
        if verified is None or verified.until <= time.time():
            return None
        return verified.caller if hmac.compare_digest(verified.digest, _digest(secret)) else None

    def put(
        self, key: str, secret: str, caller: Caller, expires_at: float | None, generation: int
    ) -> None:
        """Remember a token, for no longer than it is valid. ``expires_at`` is in epoch seconds."""
        if generation != self.generation:
            return
        if len(self._verified) >= self._most:
            self._verified.clear()
        until = time.time() + self._seconds
        if expires_at is not None:
            until = min(until, expires_at)
        self._verified[key] = _Verified(_digest(secret), caller, until)

    def forget(self, key: str) -> None:
        self.generation += 1
        self._verified.pop(key, None)

    def clear(self) -> None:
        self.generation += 1
        self._verified.clear()


def _digest(secret: str) -> bytes:
    return sha256(secret.encode()).digest()
