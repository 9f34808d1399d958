"""A small issuer of OpenID Connect on the loopback, in which everybody is signed in already."""

import json
import threading
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

AUDIENCE: Final = "signalbook"
CLIENT: Final = "a client & more"
SECRET: Final = "a secret: with signs"


@cache
def private_key(name: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def published(name: str) -> dict[str, Any]:
    key = RSAAlgorithm.to_jwk(private_key(name).public_key(), as_dict=True)
    return {**key, "kid": name, "use": "sig", "alg": "RS256"}


@dataclass
class Issuer:
    """An issuer; ``keys`` are the names of those that it publishes.

    ``claims`` are what the next browser's token says beside its own. ``discovery`` is added to the
    document of discovery. Codes that are not used yet stand in ``codes``, with their request.
    """

    url: str
    keys: list[str] = field(default_factory=lambda: ["one"])
    is_away: bool = False
    claims: dict[str, Any] = field(default_factory=dict)
    discovery: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def token(self, key: str = "one", algorithm: str = "RS256", **claims: Any) -> str:
        said = {"iss": self.url, "aud": AUDIENCE, "sub": "ann", "name": "Ann", "role": "editor",
                "exp": int(time.time()) + 600, **claims}  # fmt: skip
        said = {name: value for name, value in said.items() if value is not None}
        secret: Any = private_key(key) if algorithm == "RS256" else None
        return jwt.encode(said, secret, algorithm=algorithm, headers={"kid": key})

    def document(self, path: str) -> Any:
        """Return what it publishes at a path."""
        if path == "/keys":
            return {"keys": [published(name) for name in self.keys]}
        return {
            "issuer": self.url, "jwks_uri": f"{self.url}/keys",
            "authorization_endpoint": f"{self.url}/authorize?tenant=1",
            "token_endpoint": f"{self.url}/token", **self.discovery,
        }  # fmt: skip

    def authorize(self, query: dict[str, str]) -> str:
        """Return where a browser is led back to, with a code."""
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        assert query["scope"].split()[0] == "openid"
        code = f"code-{len(self.codes)}-{query['state'][:5]}"
        self.codes[code] = query
        answer = {"code": code, "state": query["state"], "iss": self.url}
        return f"{query['redirect_uri']}?{urlencode(answer)}"

    def exchange(self, form: dict[str, str], authorization: str) -> tuple[int, Any]:
        """Return the answer to a code, as RFC 6749 and RFC 7636 have it."""
        client, _, secret = b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        if (unquote_plus(client), unquote_plus(secret)) != (CLIENT, SECRET):
            client, secret = form["client_id"], form.get("client_secret", "")
            if (client, secret) != (CLIENT, SECRET):
                return 401, {"error": "invalid_client"}
        asked = self.codes.pop(form["code"], None)
        challenge = urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest())
        if (
            asked is None
            or asked["code_challenge"] != challenge.decode().rstrip("=")
            or asked["redirect_uri"] != form["redirect_uri"]
            or form["grant_type"] != "authorization_code"
        ):
            return 400, {"error": "invalid_grant"}
        token = self.token(**{"aud": CLIENT, "nonce": asked["nonce"], **self.claims})
        return 200, {"access_token": "x", "token_type": "Bearer", "id_token": token}


def _handler(issuer: list[Issuer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers as the issuer does."""

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            if address.path == "/authorize":
                there = issuer[0].authorize(dict(parse_qsl(address.query)))
                self._answer(303, b"", location=there)
            else:
                content = json.dumps(issuer[0].document(address.path)).encode()
                self._answer(503 if issuer[0].is_away else 200, content)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = dict(parse_qsl(body))
            status, answer = issuer[0].exchange(form, self.headers.get("authorization", ""))
            self._answer(status, json.dumps(answer).encode())

        def _answer(self, status: int, content: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def serving_issuer() -> Iterator[Issuer]:
    """Serve an issuer while the block runs."""
    issuers: list[Issuer] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(issuers)) as server:
        issuers.append(Issuer(f"http://127.0.0.1:{server.server_port}"))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield issuers[0]
        server.shutdown()
        thread.join()
