"""Browsers that sign in at the issuer: OpenID Connect's authorization code, with PKCE.

The browser is led to the issuer and comes back with a code, which we change for a token that says
who it is. Meanwhile it holds a signed cookie, so that nobody can come back for somebody else.
"""

import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote_plus, urlsplit

import httpx
import structlog
from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from app.access.caller import Caller
from app.access.cookies import cookie_header, cookie_value, is_secure
from app.access.oidc.issuer import Issuer
from app.access.peppers import Peppers
from app.errors import BadRequest, Unauthorized, Unavailable
from app.settings import Settings

CALLBACK: Final = "/sign-in/callback"
"""Where the issuer leads the browser back to."""
_log: Final = structlog.get_logger()
_COOKIE: Final = "signalbook-sign-in"
_PURPOSE: Final = "sign-in at the issuer"
_SECONDS: Final = 600
"""How long somebody may take at the issuer."""
_BASIC, _POST = "client_secret_basic", "client_secret_post"
_AGAIN: Final = "begin again at this page."


class Authorization:
    """Signs browsers in at the issuer that the settings name."""

    def __init__(self, settings: Settings, issuer: Issuer, peppers: Peppers) -> None:
        assert settings.oidc_client_id is not None, "made where one is set"
        self._issuer, self._peppers = issuer, peppers
        self._client, self._scopes = settings.oidc_client_id, settings.oidc_scopes
        self._name = settings.oidc_issuer
        self.host = urlsplit(settings.oidc_issuer or "").netloc
        """What people know the issuer by."""
        secret = settings.oidc_client_secret
        self._secret = secret.get_secret_value() if secret else ""

    async def begin(self, scope: Mapping[str, Any], there: str) -> tuple[str, str]:
        """Return the address at the issuer to go to, and the ``Set-Cookie`` header.

        ``there`` is the path to go to in the end. Raises Unavailable without the issuer.
        """
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        address = httpx.URL(await self._issuer.endpoint("authorization_endpoint"))
        challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).decode().rstrip("=")
        query = {
            "response_type": "code", "client_id": self._client, "scope": self._scopes,
            "redirect_uri": _callback(scope), "state": state, "nonce": nonce,
            "code_challenge": challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        cookie = self._signer().dumps([state, nonce, verifier, there])
        more = f"; Max-Age={_SECONDS}"
        return str(address.copy_merge_params(query)), cookie_header(_COOKIE, cookie, scope, more)

    async def finish(
        self, scope: Mapping[str, Any], query: Mapping[str, str]
    ) -> tuple[Caller, str]:
        """Return who has come back from the issuer, and the path that they wanted to go to.

        Raises BadRequest where it is not who went there, Unauthorized where the issuer does not say
        who it is, and Unavailable without the issuer.
        """
        state, nonce, verifier, there = self._read(cookie_value(_COOKIE, scope))
        if not hmac.compare_digest(state.encode(), query.get("state", "").encode()):
            raise BadRequest(f"Another tab has begun to sign in meanwhile: {_AGAIN}")
        if query.get("iss", self._name) != self._name:
            raise BadRequest(f"This answer is another issuer's: {_AGAIN}")
        if "code" not in query:
            raise Unauthorized(
                "The issuer has not let you in: sign in with another account there, or ask an "
                "operator for a token."
            )
        token = await self._exchange(query["code"], _callback(scope), verifier)
        claims = await self._issuer.claims(token, self._client)
        is_ours = claims.get("azp", self._client) == self._client
        if not is_ours or not hmac.compare_digest(
            str(claims.get("nonce")).encode(), nonce.encode()
        ):
            raise Unauthorized(f"The issuer's answer was not made for this sign-in: {_AGAIN}")
        return self._issuer.holder(claims), there

    @staticmethod
    def end(scope: Mapping[str, Any]) -> str:
        """Return the ``Set-Cookie`` header that takes the cookie of ``begin`` away."""
        return cookie_header(_COOKIE, "", scope, "; Max-Age=0")

    def _read(self, cookie: str) -> list[str]:
        """Return what ``begin`` has put into the cookie. Raises BadRequest."""
        try:
            return list(self._signer().loads(cookie, max_age=_SECONDS))
        except SignatureExpired:
            minutes = _SECONDS // 60
            raise BadRequest(f"This took longer than {minutes} minutes: {_AGAIN}") from None
        except BadSignature:
            raise BadRequest(f"This browser has not begun to sign in here: {_AGAIN}") from None

    async def _exchange(self, code: str, callback: str, verifier: str) -> str:
        """Return the token that the issuer gives for a code. Raises Unauthorized, Unavailable."""
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": callback,
            "client_id": self._client, "code_verifier": verifier,
        }  # fmt: skip
        address = await self._issuer.endpoint("token_endpoint")
        methods = self._issuer.offers("token_endpoint_auth_methods_supported") or [_BASIC]
        how: dict[str, Any] = {"data": form}
        if self._secret and (_BASIC in methods or _POST not in methods):
            how["auth"] = httpx.BasicAuth(quote_plus(self._client), quote_plus(self._secret))
        elif self._secret:
            form["client_secret"] = self._secret
        try:
            status, answer = await self._issuer.post(address, **how)
        except (OSError, ValueError, httpx.HTTPError) as error:
            _log.warning("issuer away", reason=type(error).__name__)
            raise Unavailable(f"The issuer cannot be reached: {_AGAIN}") from None
        token = answer.get("id_token") if isinstance(answer, dict) else None
        if status != HTTPStatus.OK or not isinstance(token, str):
            _log.warning("issuer refused a code", status=status, reason=_reason(answer))
            raise Unauthorized(
                f"The issuer does not say who you are: {_AGAIN} If it says so again, an operator "
                "finds the reason in the log."
            )
        return token

    def _signer(self) -> URLSafeTimedSerializer:
        keys = self._peppers.keys(_PURPOSE)[::-1]
        return URLSafeTimedSerializer(keys, salt=_PURPOSE, signer_kwargs={"digest_method": sha256})


def _callback(scope: Mapping[str, Any]) -> str:
    """Return the address of ``CALLBACK`` as the browser calls it. The issuer knows which are ours.

    Raises BadRequest where a request does not say by which name it came.
    """
    host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
    if not host:
        raise BadRequest("Send a Host header: the issuer leads back to it.")
    return f"{'https' if is_secure(scope) else 'http'}://{host}{CALLBACK}"


def _reason(answer: Any) -> str:
    """Return the issuer's code of an error, which names no secret: ``invalid_client``."""
    return str(answer.get("error", "none"))[:40] if isinstance(answer, dict) else "no object"
