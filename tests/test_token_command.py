"""``python -m app token``: make, list and revoke tokens beside a running service."""

import json
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
from pydantic import SecretStr

from tests.support.service import created, service
from tests.test_command_line import _refused as gave_up
from tests.test_command_line import _run as run

PEPPERS: Final = f"one:{'p' * 32}"


@pytest.fixture(scope="module")
def client(shared_database: str) -> Iterator[httpx.Client]:
    with service(shared_database, token_peppers=SecretStr(PEPPERS), anonymous="editor") as client:
        yield client


def token(url: str, *words: str, **settings: str) -> Any:
    return run("token", *words, **{"DATABASE_URL": url, "TOKEN_PEPPERS": PEPPERS, **settings})


def test_a_token_is_made_shown_once_listed_and_revoked(
    client: httpx.Client, shared_database: str
) -> None:
    show = created(client, "productions", name="x")
    limits = ("--production", show["id"], "--days", "1", "--who", "ben")
    done = token(shared_database, "create", "Anna's laptop", *limits)
    made = done.stdout.strip()
    key = made[3:19]
    assert done.returncode == 0
    assert made not in done.stderr
    assert "shown only this once" in done.stderr
    headers = {"authorization": f"Bearer {made}"}
    shows = client.get("/api/productions", headers=headers).raise_for_status().json()
    assert [each["uuid"] for each in shows] == [show["uuid"]], "the shows of its own"

    listed = token(shared_database, "list", "--json").stdout
    (row,) = [row for row in json.loads(listed) if row["key"] == key]
    assert (row["label"], row["user_id"], row["role"]) == (
        "Anna's laptop",
        "Anna's laptop",
        "editor",
    )
    assert (row["every_production"], row["created_by"]) == (False, "ben")
    assert row["expires_at"]
    assert made[20:] not in listed
    assert f"{key}  editor of its shows, " in token(shared_database, "list").stdout

    assert token(shared_database, "revoke", key).stderr == "Revoked: Anna's laptop.\n"
    assert f"{key}  editor of its shows, revoked 20" in token(shared_database, "list").stdout
    assert "token list" in gave_up(token(shared_database, "revoke", key))


def test_a_token_opens_what_its_role_may(client: httpx.Client, shared_database: str) -> None:
    who = ("--role", "operator", "--user-id", "ann", "--user-name", "Ann")
    made = token(shared_database, "create", "operators", *who).stdout.strip()
    headers = {"authorization": f"Bearer {made}"}
    assert client.get("/api/admin/releases", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("a\nb",), "label"),
        (("x", "--user-id", " "), "userId"),
        (("x", "--role", "operator", "--production", "SHOW 1"), "role"),
        (("x", "--production", "no such show"), "no such show"),
    ],
)
def test_what_cannot_be_made_is_named(
    shared_database: str, words: tuple[str, ...], fault: str
) -> None:
    assert fault in gave_up(token(shared_database, "create", *words))


def test_production_makes_no_token_without_a_pepper(shared_database: str) -> None:
    done = token(shared_database, "create", "x", ENVIRONMENT="production", TOKEN_PEPPERS="",
                 LOG_FORMAT="console")  # fmt: skip
    assert "TOKEN_PEPPERS" in gave_up(done)
