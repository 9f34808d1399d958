"""The examples in the documents do what stands below them.

A ``sh`` block of curl calls is sent to a service with the sample show. Of the ``json`` block after
it the last answer must have every member; "…" stands for any value, or for further members. A
``python`` block and commands of ours are run; what they print is the ``text`` block after them, as
is what a call with ``-N`` reads of a stream. A ``sql`` block is executed.
"""

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
import pytest

from app.cli.load_show import SAMPLE, load, read
from app.database.database import Database
from app.database.url import DatabaseUrl
from app.settings import PROJECT
from tests.support.service import service, settings

ANY: Final = "…"
OURS: Final = ".venv/bin/python -m app"
ORIGIN: Final = "http://127.0.0.1:3010"
BLOCK: Final = re.compile(
    r"(?ms)^```(sh|python|sql)\n(.*?)^```$(?:\n+^```(json|text)\n(.*?)^```$)?"
)
CURL: Final = re.compile(r"(?m)^(?=curl )")
# Two pages are run elsewhere: by test_railway, and by test_drill.
ELSEWHERE: Final = {"railway.md", "carrying-over.md"}
PAGES: Final = [
    page
    for page in (PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md")))
    if BLOCK.search(page.read_text()) and page.name not in ELSEWHERE
]
# What no URL holds as it is: curl refuses it.
NOT_OF_A_URL: Final = re.compile(r"[^!-~]|[\"<>\\^`{|}]")


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


def request_of(client: httpx.Client, command: str) -> httpx.Request:
    """Return what a curl command sends."""
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
        elif word != "-N":
            url = word
    assert url.startswith(ORIGIN), f"{url} is not the address that scripts/serve serves at"
    assert not NOT_OF_A_URL.search(url), f"curl refuses {url}"
    return client.build_request(
        method or ("POST" if body else "GET"), url.removeprefix(ORIGIN),
        headers=headers, content=body,
    )  # fmt: skip


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


def check_calls(client: httpx.Client, block: str, shown: str) -> None:
    calls = [request_of(client, call) for call in CURL.split(block)[1:]]
    *_, answer = [client.send(call) for call in calls]
    assert list(differs(json.loads(shown), answer.json())) == [], block


def check_stream(client: httpx.Client, block: str, shown: str) -> None:
    """Compare as many lines of a stream as are shown."""
    lines = shown.splitlines()
    answer = client.send(request_of(client, block), stream=True)
    read = [*islice(answer.iter_lines(), len(lines))]
    answer.close()
    for one, other in zip(lines, read, strict=True):
        assert other.startswith(one.removesuffix(ANY)) if one.endswith(ANY) else other == one


def check_python(client: httpx.Client, program: str, shown: str) -> None:
    program = program.replace(ORIGIN, str(client.base_url).rstrip("/"))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == (shown, "")


def check_commands(database: str, folder: Path, block: str, shown: str) -> None:
    """Run commands of the command line, in a folder of their own."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "DATABASE_URL": database}
    script = block.replace(OURS, f"{sys.executable} -m app")
    done = subprocess.run(
        ["sh", "-ec", script], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, shown), done.stderr


async def execute(database: str, sql: str) -> None:
    connection = await asyncpg.connect(**DatabaseUrl.parse(database).connect_args())
    try:
        # An update of nothing tells as well whether the tables and columns are there.
        await connection.execute(sql.replace(ANY, "gen_random_uuid()"))
    finally:
        await connection.close()


def test_there_are_examples() -> None:
    assert PROJECT / "README.md" in PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_example_does_what_it_says(
    page: Path, served: httpx.Client, own_database: str, tmp_path: Path
) -> None:
    for language, block, kind, shown in BLOCK.findall(page.read_text()):
        if language == "sql":
            asyncio.run(execute(own_database, block))
        elif language == "python":
            check_python(served, block, shown)
        elif kind == "json":
            check_calls(served, block, shown)
        elif block.startswith("curl "):
            check_stream(served, block, shown)
        elif block.startswith(OURS):
            check_commands(own_database, tmp_path, block, shown)
        else:
            pytest.fail(f"nothing runs this example of {page.name}: {block}")
