"""The TLS settings of a database URL, and the error of one that cannot be used.

Standard library only.
"""

import ssl
from dataclasses import dataclass, field
from typing import Final

SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# libpq itself reads ssl=true as sslmode=require; the others are habits of other drivers.
_SSL_WORDS: Final = {"true": "require", "no-verify": "require", "false": "disable"}


class BadDatabaseUrl(ValueError):
    """DATABASE_URL cannot be used; the message says why and never contains the password."""

    def __init__(self, reason: str, name: str = "DATABASE_URL") -> None:
        super().__init__(f"{name} {reason}.")
        self.reason = reason


@dataclass(frozen=True)
class Tls:
    """How the connection is encrypted, in libpq's terms; certificates and keys are file names."""

    mode: str = "prefer"
    root_certificate: str = ""
    certificate: str = ""
    key: str = ""
    key_password: str = field(default="", repr=False)
    revocations: str = ""
    direct: bool = False

    def argument(self) -> str | ssl.SSLContext:
        """Return asyncpg's `ssl=`. Raises BadDatabaseUrl when a certificate file is unusable.

        asyncpg's own "verify-full" looks for ~/.postgresql/root.crt, which no container has, so we
        make a context to verify. Only asyncpg's own "prefer" and "allow" can fall back to none.
        """
        if self.mode == "disable" or not (self._verifies() or self.certificate):
            return self.mode
        try:
            return self._context()
        except (OSError, ValueError) as unusable:  # ssl.SSLError is an OSError
            reason = unusable.strerror if isinstance(unusable, OSError) else str(unusable)
        files = filter(None, (self.root_certificate, self.certificate, self.key, self.revocations))
        raise BadDatabaseUrl(f"has an unusable TLS certificate in {', '.join(files)}: {reason}")

    def _verifies(self) -> bool:
        strict_require = self.mode == "require" and self.root_certificate != ""  # as in libpq
        return self.mode.startswith("verify") or strict_require

    def _context(self) -> ssl.SSLContext:
        # libpq's "system" is the machine's trust store, and always checks the host's name.
        stored = self.root_certificate in {"", "system"}
        context = ssl.create_default_context(cafile=None if stored else self.root_certificate)
        context.check_hostname = self.mode == "verify-full" or self.root_certificate == "system"
        if not self._verifies():
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if self.revocations:
            context.load_verify_locations(cafile=self.revocations)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
        if self.certificate:
            # A callable, so that OpenSSL never asks the terminal for a missing key password.
            context.load_cert_chain(self.certificate, self.key or None, lambda: self.key_password)
        context.set_alpn_protocols(["postgresql"])  # PostgreSQL 17+ insists on it for direct TLS
        return context


def read_tls(member: dict[str, str]) -> Tls:
    """Take the TLS members out of a URL's query. Raises BadDatabaseUrl."""
    word = (member.pop("sslmode", "") or member.pop("ssl", "")).lower().replace("_", "-")
    root = member.pop("sslrootcert", "")
    mode = _SSL_WORDS.get(word, word) or ("verify-full" if root == "system" else Tls.mode)
    if mode not in SSL_MODES:
        raise BadDatabaseUrl(f"has an sslmode that is none of {', '.join(SSL_MODES)}")
    direct = member.pop("sslnegotiation", "") == "direct"
    if direct and SSL_MODES.index(mode) < SSL_MODES.index("require"):
        raise BadDatabaseUrl("has sslnegotiation=direct, which needs sslmode=require or stricter")
    rest = ("sslcert", "sslkey", "sslpassword", "sslcrl")
    certificate, key, secret, revocations = (member.pop(name, "") for name in rest)
    return Tls(mode, root, certificate, key, secret, revocations, direct)
