"""Tokens of another issuer: OpenID Connect's, signed with keys that it publishes.

Issuer, audience and algorithms are pinned by settings. Its keys are fetched without blocking
anybody, and remembered; a token with an unknown key makes us ask again, but not more often than
every half a minute.
"""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import jwt
import structlog
from jwt import PyJWK, PyJWKSet

from app.access.caller import Caller, Role
from app.errors import Unauthorized, Unavailable
from app.settings import Settings

_log: Final = structlog.get_logger()
_DISCOVERY: Final = "/.well-known/openid-configuration"
_FRESH: Final = 600.0  # seconds after which the keys are asked for anew
_PAUSE: Final = 30.0  # seconds between two questions, whatever tokens come
_LARGEST: Final = 200_000  # bytes
_LEEWAY: Final = 30  # seconds that two clocks may differ
_NAMES: Final = ("name", "preferred_username", "email")
_FAULTS: Final = (httpx.HTTPError, jwt.PyJWTError)
_REQUIRED: Final = ["exp", "iss", "aud", "sub"]


class Issuer:
    """Verifies the tokens of the issuer that the settings name."""

    def __init__(self, settings: Settings) -> None:
        assert settings.oidc_issuer is not None, "made where one is set"
        self._issuer, self._audience = settings.oidc_issuer, settings.oidc_audience
        self._algorithms = list(settings.oidc_algorithms)
        self._claim = settings.oidc_role_claim
        self._keys: dict[str | None, PyJWK] = {}
        self._asked_at = -_FRESH
        self._asking = asyncio.Lock()
        # Made at the start: to read the certificates would hold up requests.
        self._client = httpx.AsyncClient(timeout=5, follow_redirects=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def caller(self, token: str) -> Caller:
        """Return who holds a token. Raises Unauthorized, and Unavailable without any keys."""
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in self._algorithms:
                raise jwt.InvalidAlgorithmError  # answered as the others are
            key = await self._key(header.get("kid"))
            claims = jwt.decode(
                token, key, algorithms=self._algorithms, audience=self._audience,
                issuer=self._issuer, leeway=_LEEWAY, options={"require": _REQUIRED},
            )  # fmt: skip
        except jwt.ExpiredSignatureError:
            raise Unauthorized("This token of the issuer has expired: sign in again.") from None
        except (jwt.PyJWTError, TypeError, ValueError):
            raise Unauthorized("This is no valid token of the issuer: sign in again.") from None
        return self._caller(claims)

    def _caller(self, claims: dict[str, Any]) -> Caller:
        subject = str(claims["sub"])[:200]
        names = (claims.get(name) for name in _NAMES)
        name = next((name for name in names if name and isinstance(name, str)), subject)
        words = claims.get(self._claim) if self._claim else None
        several = words if isinstance(words, list) else [words]
        role = max((role for role in Role if role.word in several), default=None)
        until = datetime.fromtimestamp(int(claims["exp"]) + _LEEWAY, UTC)
        return Caller(f"issuer:{subject}", subject, name[:200], role, {}, expires_at=until)

    async def _key(self, name: str | None) -> PyJWK:
        """Return the key of a name. Raises Unauthorized where the issuer has none such."""
        age = time.monotonic() - self._asked_at
        if (age >= _FRESH) or (name not in self._keys and age >= _PAUSE):
            await self._ask()
        if not self._keys:
            raise Unavailable("The issuer's keys cannot be had: try again in a moment.")
        if name not in self._keys:
            raise jwt.InvalidKeyError
        return self._keys[name]

    async def _ask(self) -> None:
        """Ask for the keys; keep those that are here where they cannot be had."""
        now = time.monotonic()
        async with self._asking:
            if self._asked_at > now:
                return  # somebody else has just asked
            try:
                async with asyncio.timeout(10):
                    self._keys = await self._fetch()
            except (OSError, LookupError, TypeError, ValueError, *_FAULTS) as error:
                words = "Its keys could not be read; those that are here go on."
                _log.warning("issuer away", reason=type(error).__name__, words=words)
            self._asked_at = time.monotonic()

    async def _fetch(self) -> dict[str | None, PyJWK]:
        document = await _json(self._client, f"{self._issuer.rstrip('/')}{_DISCOVERY}")
        if document["issuer"] != self._issuer:
            raise ValueError("another issuer")
        address = str(document["jwks_uri"])
        if address.split(":", maxsplit=1)[0] != self._issuer.split(":")[0]:
            raise ValueError("keys without TLS")
        keys = PyJWKSet.from_dict(await _json(self._client, address)).keys
        return {key.key_id: key for key in keys if key.public_key_use in {None, "sig"}}


async def _json(client: httpx.AsyncClient, address: str) -> Any:
    async with client.stream("GET", address) as answer:
        answer.raise_for_status()
        content = b""
        async for part in answer.aiter_bytes():
            content += part
            if len(content) > _LARGEST:
                raise ValueError("too large")
    return httpx.Response(200, content=content).json()
