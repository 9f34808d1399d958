"""Peppers: the keys with which the secrets of tokens are hashed. No database holds them.

``TOKEN_PEPPERS`` names them, the newest first: it hashes new tokens, the others verify older ones.
Outside production one is made where none is set, and kept in DATA_DIR.
"""

import hmac
import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Final

from app.settings import BadSettings, Settings

_LOCAL: Final = "local"
_FILE: Final = "token-pepper"


class Peppers:
    """The peppers of an installation, by name."""

    def __init__(self, settings: Settings) -> None:
        self._named = settings.peppers
        shared = settings.operator_token or settings.access_token
        self._shared = [shared.get_secret_value().encode()] if shared else []
        is_production = settings.environment == "production"
        self._file: Path | None = None if is_production else settings.data_dir / _FILE

    def hash_new(self, secret: str) -> tuple[str, bytes]:
        """Return the name of the newest pepper, and the secret hashed with it.

        Raises BadSettings in production where no pepper is set.
        """
        if not self._named:
            self._make_local()
        name = next(iter(self._named))
        return name, _hash(self._named[name], secret)

    def matches(self, name: str, secret: str, stored: bytes) -> bool:
        """Whether a secret has the hash that is stored; never where the pepper is not known."""
        if name == _LOCAL and name not in self._named:
            self._read_local()
        pepper = self._named.get(name, b"")
        return hmac.compare_digest(_hash(pepper, secret), stored) and bool(pepper)

    def keys(self, purpose: str) -> list[bytes]:
        """Return the keys with which something else is signed, the newest first.

        They are the same in every process of the installation. They come from the peppers, which
        nobody who calls holds. Where none is set they come from the shared token that may most: its
        holders could sign nothing that they may not do anyway. Raises BadSettings as ``hash_new``.
        """
        if not self._named and not self._shared:
            self._make_local()
        secrets = list(self._named.values()) or self._shared
        return [hmac.digest(secret, purpose.encode(), sha256) for secret in secrets]

    def _make_local(self) -> None:
        if self._file is None:
            raise BadSettings(
                "TOKEN_PEPPERS is not set: in production tokens are hashed with a key of your own. "
                "Set it to a name, a colon and a secret of at least 32 characters."
            )
        self._file.parent.mkdir(parents=True, exist_ok=True)
        # Linked when it is whole: another process may make one at the same moment.
        mine = self._file.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as new:
            new.write(token_urlsafe(32))
        with suppress(FileExistsError):
            os.link(mine, self._file)
        mine.unlink()
        self._read_local()

    def _read_local(self) -> None:
        """Read what an earlier start, or the command line beside this service, has made."""
        if self._file is not None and self._file.exists():
            self._named = {**self._named, _LOCAL: self._file.read_bytes()}


def _hash(pepper: bytes, secret: str) -> bytes:
    return hmac.digest(pepper, secret.encode(), sha256)
