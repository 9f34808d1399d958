"""Tokens of another issuer: only those that it made for us, with its own keys."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest

from app.access.oidc import issuer as issuers
from tests.support.issuers import AUDIENCE, Issuer, serving_issuer
from tests.support.service import ServiceClient, service
from tests.test_tokens import bearer


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with serving_issuer() as made:
        yield made


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
