"""The examples in the documents do what stands below them.

A ``sh`` block of curl calls is sent to a service with the sample show. Of the ``json`` block after
it the last answer must have every member; "…" stands for any value, or for further members.
"""

import asyncio
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx
import pytest

from app.cli.load_show import SAMPLE, load, read
from app.database.database import Database
from app.database.url import DatabaseUrl
from app.settings import PROJECT
from tests.support.service import service, settings

ANY: Final = "…"
EXAMPLE: Final = re.compile(r"```sh\n(curl .*?)```\n+```json\n(.*?)```", re.DOTALL)
PAGES: Final = [
    page
    for page in (PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md")))
    if EXAMPLE.search(page.read_text())
]


@pytest.fixture
def served(own_database: str) -> Iterator[httpx.Client]:
    """Serve a fresh sample show."""

    async def fill() -> None:
        database = Database(DatabaseUrl.parse(own_database), settings())
        await database.open()
        try:
            await load(database, read(SAMPLE), lambda _: None)
        finally:
            await database.close()

    asyncio.run(fill())
    with service(own_database) as client:
        yield client


def sent(client: httpx.Client, command: str) -> httpx.Response:
    """Send what a curl command says."""
    words = iter(shlex.split(command.replace("\\\n", " "))[1:])
    method, headers, body, url = "", {}, None, ""
    for word in words:
        if word == "-X":
            method = next(words)
        elif word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = next(words).encode()
        else:
            url = word
    address = urlsplit(url)
    path = quote(address.path) + (f"?{address.query}" if address.query else "")
    return client.request(method or "GET", path, headers=headers, content=body)


def differs(shown: Any, answer: Any, where: str = "") -> Iterator[str]:
    """Yield where an answer is not what is shown."""
    if shown == ANY:
        return
    if isinstance(shown, dict) and isinstance(answer, dict):
        if ANY not in shown and (more := answer.keys() - shown.keys()):
            yield f"{where}: it has {sorted(more)} as well"
        for name in shown.keys() - {ANY}:
            yield from differs(shown[name], answer.get(name), f"{where}.{name}")
    elif isinstance(shown, list) and isinstance(answer, list) and len(shown) == len(answer):
        for number, (one, other) in enumerate(zip(shown, answer, strict=True)):
            yield from differs(one, other, f"{where}[{number}]")
    elif shown != answer:
        yield f"{where}: {shown!r} is shown, and it is {answer!r}"


def test_there_are_examples() -> None:
    assert PROJECT / "README.md" in PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_example_does_what_it_says(page: Path, served: httpx.Client) -> None:
    for block, shown in EXAMPLE.findall(page.read_text()):
        calls = re.split(r"(?m)^(?=curl )", block)[1:]
        *_, answer = [sent(served, call) for call in calls]
        assert list(differs(json.loads(shown), answer.json())) == [], block
