"""Tokens of another issuer: OpenID Connect's, signed with keys that it publishes.

Issuer, audience and algorithms are pinned by settings. Its keys are fetched without blocking
anybody, and remembered; a token with an unknown key makes us ask again, but not more often than
every half a minute.
"""

import asyncio
import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

import httpx
import jwt
import structlog
from jwt import PyJWK, PyJWKSet

from app.access.caller import ISSUER, Caller, Role
from app.errors import Unauthorized, Unavailable
from app.settings import Settings

_log: Final = structlog.get_logger()
_DISCOVERY: Final = "/.well-known/openid-configuration"
_FRESH: Final = 600.0  # seconds after which the keys are asked for anew
_PAUSE: Final = 30.0  # seconds between two questions, whatever tokens come
_LARGEST: Final = 200_000  # bytes
_LONGEST: Final = 10  # seconds for an answer of the issuer, whole
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
        self._document: dict[str, Any] = {}
        self._asked_at = -_FRESH
        self._asking = asyncio.Lock()
        # Made at the start: to read the certificates would hold up requests.
        self._client = httpx.AsyncClient(timeout=5, follow_redirects=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def caller(self, token: str) -> Caller:
        """Return who holds a token. Raises Unauthorized, and Unavailable without any keys."""
        if self._audience is None:
            raise Unauthorized("The issuer's tokens are not taken here: sign in with a browser.")
        return self.holder(await self.claims(token, self._audience))

    async def claims(self, token: str, audience: str) -> dict[str, Any]:
        """Return what a token for ``audience`` says. Raises as ``caller``."""
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in self._algorithms:
                raise jwt.InvalidAlgorithmError  # answered as the others are
            key = await self._key(header.get("kid"))
            claims: dict[str, Any] = jwt.decode(
                token, key, algorithms=self._algorithms, audience=audience,
                issuer=self._issuer, leeway=_LEEWAY, options={"require": _REQUIRED},
            )  # fmt: skip
        except jwt.ExpiredSignatureError:
            raise Unauthorized("This token of the issuer has expired: sign in again.") from None
        except (jwt.PyJWTError, TypeError, ValueError):
            raise Unauthorized("This is no valid token of the issuer: sign in again.") from None
        return claims

    def holder(self, claims: dict[str, Any]) -> Caller:
        """Return whom the claims of a valid token name."""
        subject = str(claims["sub"])[:200]
        names = (claims.get(name) for name in _NAMES)
        name = next((name for name in names if name and isinstance(name, str)), subject)
        words = claims.get(self._claim) if self._claim else None
        several = words if isinstance(words, list) else [words]
        role = max((role for role in Role if role.word in several), default=None)
        until = datetime.fromtimestamp(int(claims["exp"]) + _LEEWAY, UTC)
        return Caller(f"{ISSUER}{subject}", subject, name[:200], role, {}, expires_at=until)

    async def endpoint(self, name: str) -> str:
        """Return the address of an endpoint of the issuer. Raises Unavailable without it."""
        age = time.monotonic() - self._asked_at
        if (age >= _FRESH) or (name not in self._document and age >= _PAUSE):
            await self._ask()
        address = self._document.get(name)
        if not isinstance(address, str) or not self._is_safe(address):
            raise Unavailable("The issuer cannot be reached: try again in half a minute.")
        return address

    def offers(self, name: str) -> list[str]:
        """Return a list of what the issuer says that it can; empty where it says nothing."""
        words = self._document.get(name)
        return [*map(str, words)] if isinstance(words, list) else []

    async def post(self, address: str, **how: Any) -> tuple[int, Any]:
        """Send a form to the issuer. Return the status and the JSON that it answers.

        Raises httpx.HTTPError, and ValueError for what is no JSON or too large.
        """
        async with asyncio.timeout(_LONGEST):
            return await _json(self._client, "POST", address, **how)

    def _is_safe(self, address: str) -> bool:
        """Whether an address has the issuer's own scheme, which is https but on loopback."""
        return address.split(":", maxsplit=1)[0] == self._issuer.split(":", maxsplit=1)[0]

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
                async with asyncio.timeout(_LONGEST):
                    await self._fetch()
            except (OSError, LookupError, TypeError, ValueError, *_FAULTS) as error:
                words = "Its keys could not be read; those that are here go on."
                _log.warning("issuer away", reason=type(error).__name__, words=words)
            self._asked_at = time.monotonic()

    async def _fetch(self) -> None:
        document = await self._get(f"{self._issuer.rstrip('/')}{_DISCOVERY}")
        if document["issuer"] != self._issuer:
            raise ValueError("another issuer")
        address = str(document["jwks_uri"])
        if not self._is_safe(address):
            raise ValueError("keys without TLS")
        keys = PyJWKSet.from_dict(await self._get(address)).keys
        self._keys = {key.key_id: key for key in keys if key.public_key_use in {None, "sig"}}
        self._document = document

    async def _get(self, address: str) -> Any:
        status, document = await _json(self._client, "GET", address)
        if status != HTTPStatus.OK:
            raise ValueError("refused")
        return document


async def _json(
    client: httpx.AsyncClient, method: str, address: str, **how: Any
) -> tuple[int, Any]:
    async with client.stream(method, address, **how) as answer:
        content = b""
        async for part in answer.aiter_bytes():
            content += part
            if len(content) > _LARGEST:
                raise ValueError("too large")
    return answer.status_code, httpx.Response(200, content=content).json()
