"""Tokens of another issuer: only those that it made for us, with its own keys."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from app.access import issuer as issuers
from tests.support.service import ServiceClient, service
from tests.test_tokens import bearer

AUDIENCE: Final = "signalbook"


@cache
def private_key(name: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def published(name: str) -> dict[str, Any]:
    key = RSAAlgorithm.to_jwk(private_key(name).public_key(), as_dict=True)
    return {**key, "kid": name, "use": "sig", "alg": "RS256"}


@dataclass
class Issuer:
    """An issuer on the loopback; ``keys`` are the names of those that it publishes."""

    url: str
    keys: list[str] = field(default_factory=lambda: ["one"])
    is_away: bool = False

    def token(self, key: str = "one", algorithm: str = "RS256", **claims: Any) -> str:
        said = {"iss": self.url, "aud": AUDIENCE, "sub": "ann", "name": "Ann", "role": "editor",
                "exp": int(time.time()) + 600, **claims}  # fmt: skip
        said = {name: value for name, value in said.items() if value is not None}
        secret: Any = private_key(key) if algorithm == "RS256" else None
        return jwt.encode(said, secret, algorithm=algorithm, headers={"kid": key})


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    class Handler(BaseHTTPRequestHandler):
        """Answers with the discovery document and the keys."""

        def do_GET(self) -> None:
            document: Any = {"issuer": made.url, "jwks_uri": f"{made.url}/keys"}
            if self.path == "/keys":
                document = {"keys": [published(name) for name in made.keys]}
            content = json.dumps(document).encode()
            self.send_response(503 if made.is_away else 200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Issuer(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def guarded(shared_database: str, issuer: Issuer) -> Iterator[ServiceClient]:
    with service(
        shared_database, oidc_issuer=issuer.url, oidc_audience=AUDIENCE, oidc_role_claim="role"
    ) as client:
        yield client


def status(client: httpx.Client, token: str) -> int:
    return client.get("/api/productions", headers=bearer(token)).status_code


def test_its_tokens_let_in_and_name_the_holder(guarded: httpx.Client, issuer: Issuer) -> None:
    headers = bearer(issuer.token())
    show = guarded.post("/api/productions", headers=headers, json={"name": "x", "userId": "boss"})
    assert show.status_code == 201
    (event,) = guarded.get(f"/api/productions/{show.json()['uuid']}/events", headers=headers).json()
    assert (event["userId"], event["userName"]) == ("ann", "Ann")


@pytest.mark.parametrize(
    ("role", "code"),
    [("viewer", 200), (["x", "editor"], 200), (None, 403), ("boss", 403), ({"a": 1}, 403)],
)
def test_the_role_is_the_one_of_the_claim(
    guarded: httpx.Client, issuer: Issuer, role: Any, code: int
) -> None:
    assert status(guarded, issuer.token(role=role)) == code


def test_no_other_token_lets_in(guarded: httpx.Client, issuer: Issuer) -> None:
    past = int(time.time()) - 120
    good = issuer.token()
    head, body, signature = good.split(".")
    forged = jwt.encode({"sub": "ann"}, "k" * 64, algorithm="HS256", headers={"kid": "one"})
    for wrong in (
        issuer.token(iss="https://other.example"), issuer.token(aud="other"),
        issuer.token(aud=None), issuer.token(exp=past), issuer.token(exp=None),
        issuer.token(sub=None), issuer.token(nbf=int(time.time()) + 600),
        issuer.token(algorithm="none"), issuer.token("other"), forged,
        f"{head}.{body}.", f"{head}.{body}.{signature[:-4]}AAAA", "a.b.c", "..", f"{good}.x",
    ):  # fmt: skip
        assert status(guarded, wrong) == 401, wrong
    assert status(guarded, good) == 200


def test_a_new_key_is_asked_for_and_the_old_ones_outlast_an_outage(
    guarded: httpx.Client, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert status(guarded, issuer.token()) == 200
    issuer.keys.append("two")
    assert status(guarded, issuer.token("two")) == 401  # asked a moment ago
    monkeypatch.setattr(issuers, "_PAUSE", 0.0)
    assert status(guarded, issuer.token("two")) == 200
    issuer.is_away = True
    assert status(guarded, issuer.token("three")) == 401
    assert status(guarded, issuer.token("two", sub="ben")) == 200
    issuer.is_away = False


def test_without_any_key_nobody_is_refused_for_good(shared_database: str) -> None:
    away = Issuer("http://127.0.0.1:1")
    with service(shared_database, oidc_issuer=away.url, oidc_audience=AUDIENCE) as client:
        answer = client.get("/api/productions", headers=bearer(away.token()))
    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
