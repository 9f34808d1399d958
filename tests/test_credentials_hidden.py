"""Credentials are nowhere but with their holders, through whatever door they come, right or wrong.

Each of them is looked for in all that the service says, and in what PostgreSQL logs.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from pydantic import SecretStr

from app.access import tokens
from app.access.caller import Role
from app.access.peppers import Peppers
from app.masking import hide, masked
from app.releases.connection.open_connection import open_connection
from app.settings import PROJECT
from tests.support import databases
from tests.support.processes import plain, processes
from tests.support.service import settings
from tests.support.sockets import refused, tab
from tests.test_secrets import server_log

OPERATOR: Final = "canary-operator-7d1f3e"
CREW: Final = "canary-crew-91b2c4"
PEPPER: Final = "canary-pepper-" + "p" * 32
PASSWORD: Final = "canary-password-55aa"
WRONG: Final = f"sb_{'C' * 16}.{'canary' * 8}"
SETTINGS: Final = {
    "access_token": CREW, "operator_token": OPERATOR, "token_peppers": f"one:{PEPPER}",
    "log_level": "DEBUG",
}  # fmt: skip


class Doors:
    """Sends credentials through every door of a process, and remembers what it answers."""

    def __init__(self, http: httpx.AsyncClient, answers: list[str]) -> None:
        self.http, self.answers = http, answers

    async def ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        answer = await self.http.request(method, path, **how)
        told = [value for name, value in answer.headers.items() if name != "set-cookie"]
        self.answers.extend([answer.text, *told])
        return answer

    async def try_all(self, secret: str) -> None:
        """Send one credential, right or wrong, wherever a client could."""
        bearer = {"authorization": f"Bearer {secret}"}
        for headers in (bearer, {"authorization": f"Basic {secret}"}, {"x-request-id": secret},
                        {"cookie": f"signalbook={secret}"}, {"host": secret[:60]}):  # fmt: skip
            await self.ask("GET", "/api/productions", headers=headers)
        for path in (f"/api/cameras/{secret}", f"/{secret}", f"/api/{secret}/x", f"/docs/{secret}",
                     f"/api/productions/{secret}/changes/stream?ticket={secret}",
                     f"/api/productions?token={secret}", f"/api/productions?{secret}=1",
                     f"/socket.io/?EIO=4&transport=polling&token={secret}",
                     f"/api/productions/{secret}/show",
                     f"/api/admin/releases/{secret}"):  # fmt: skip
            for method in ("GET", "DELETE", "POST"):
                await self.ask(method, path, headers={"authorization": f"Bearer {CREW}"})
                await self.ask(method, path)
        for body in ({"token": secret}, secret, {"name": "x", "userId": 1, secret: 1},
                     {"id": 7, "name": {"token": secret}}):  # fmt: skip
            await self.ask("POST", "/api/productions", json=body, headers=bearer)
            await self.ask("POST", "/sign-in", data={"token": secret})
        await self.ask("POST", "/api/productions", content=f'{{"token": {secret}', headers=bearer)


async def ask_by_socket(root: str, secret: str) -> list[str]:
    """Name a credential in every place of a socket's events; return all that is told."""
    told: list[Any] = [await refused(root, auth={"token": f"{secret}x"})]
    async with tab(root, auth={"token": CREW}) as one:
        for word in ("production:join", "production:change", "production:leave", secret):
            told.append(await one.ask(word, {"productionId": secret, "userId": {"a": secret}}))
            told.append(await one.ask(word, secret))
        told.extend(one.told)
    return [repr(each) for each in told]


async def secrets_of(url: str, root: str) -> dict[str, str]:
    """Return a valid token, and the ticket and the cookie that it gives."""
    new = tokens.NewToken("Ann's laptop", "ann", "Ann", Role.EDITOR, "the tests")
    async with open_connection(url) as connection:
        peppers = Peppers(settings(token_peppers=SecretStr(SETTINGS["token_peppers"])))
        own = await tokens.create(connection, peppers, new)
    headers = {"authorization": f"Bearer {own}"}
    async with plain(base_url=root, timeout=60) as http:
        ticket = (await http.post("/api/access/tickets", headers=headers)).json()["ticket"]
        signed_in = await http.post("/sign-in", data={"token": own})
    cookie = signed_in.headers["set-cookie"].partition("=")[2].partition(";")[0]
    return {"own": own, "ticket": ticket, "cookie": cookie}


@pytest.mark.parametrize("form", ["json", "console"])
async def test_no_credential_is_repeated(own_database: str, tmp_path: Path, form: str) -> None:
    url = own_database.replace("://postgres@", f"://postgres:{PASSWORD}@")
    answers: list[str] = []
    with processes(1, url, tmp_path, log_format=form, **SETTINGS) as [process]:
        await process.ready()
        secrets = {"crew": CREW, "operator": OPERATOR, "wrong": WRONG, "pepper": PEPPER,
                   **await secrets_of(own_database, process.root)}  # fmt: skip
        async with plain(base_url=process.root, timeout=60) as http:
            doors = Doors(http, answers)
            for secret in secrets.values():
                await doors.try_all(secret)
                answers.extend(await ask_by_socket(process.root, secret))
            # The database's own errors: it refuses all, and is not there at all.
            await databases.execute(own_database, "ALTER TABLE access_tokens RENAME TO away")
            await doors.try_all(WRONG.replace("C", "D"))
            await databases.execute(own_database, "ALTER TABLE away RENAME TO access_tokens")
            audit = await http.get(
                "/api/admin/audit?limit=1000", headers={"authorization": f"Bearer {OPERATOR}"}
            )
    assert "UNAUTHORIZED" in audit.text
    everywhere = {
        "an answer": "\n".join(answers), "the audit": audit.text,
        "the service's log": process.log.read_text(),
        "PostgreSQL's log": server_log(own_database),
        "the export": exported_audit(own_database),
    }  # fmt: skip
    assert '"path"' in everywhere["the service's log"] or "path=" in everywhere["the service's log"]
    secrets |= {"another": WRONG.replace("C", "D"), "password": PASSWORD}
    # A token's key is no secret: lists and the audit name it.
    looked_for = {name: secret.rpartition(".")[2] for name, secret in secrets.items()}
    found = [
        (name, where, text[max(0, text.index(secret) - 200) : text.index(secret) + 80])
        for name, secret in looked_for.items()
        for where, text in everywhere.items()
        if secret in text
    ]
    assert not found, found


def exported_audit(url: str) -> str:
    """Return what ``python -m app audit export`` prints."""
    command = [sys.executable, "-m", "app", "audit", "export"]
    environment = {**os.environ, "DATABASE_URL": url, "ENVIRONMENT": "test"}
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout + done.stderr


def test_what_has_the_form_of_a_credential_is_hidden_and_nothing_else() -> None:
    assert masked(f"GET /api/{WRONG}/x") == "GET /api/[secret]/x"
    for text in ("/api/cameras/5b5b1f9e-6f0e-4f0e-9d5e-000000000000", "rtmp://live.example.com/x",
                 "sb_short.x", "a" * 500):  # fmt: skip
        assert masked(text) == text


def test_a_long_path_costs_little_to_look_through() -> None:
    for hostile in ("a" * 200_000, "a." * 100_000, ("a" * 20 + ".") * 10_000):
        assert len(masked(hostile)) == len(hostile)


def test_known_secrets_are_hidden_also_as_json_writes_them() -> None:
    secret = 'a "quoted" secret'
    hide([secret, "short"])
    try:
        for text in (secret, json.dumps(secret), f"short {secret}"):
            assert "quoted" not in masked(text)
        assert masked("short") == "short"
    finally:
        hide([])
