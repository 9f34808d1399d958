"""Starts the service as a deploy does: a process of its own on a port of the loopback."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from app.settings import PROJECT
from scripts.adoption_drill.gate import environment

_SECONDS_TO_START: Final = 120


class NotServing(Exception):
    """The service did not start; the text holds the end of its output."""


@asynccontextmanager
async def served(url: str) -> AsyncIterator[str]:
    """Run the service on the database and yield its root URL. Raise NotServing."""
    settings = {"HOST": "127.0.0.1", "PORT": "0", "LOG_LEVEL": "ERROR"}
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", "serve",
        cwd=PROJECT, env=environment(url, **settings),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert running.stderr is not None
    try:
        origin, lines = await _read_origin(running.stderr)
        reading = asyncio.create_task(_drain(running.stderr, lines))
        yield origin
        reading.cancel()
    finally:
        if running.returncode is None:
            running.terminate()
        await running.wait()


async def _read_origin(output: asyncio.StreamReader) -> tuple[str, list[str]]:
    """Read until the service says where it serves; return its URL and the lines so far."""
    lines: list[str] = []
    try:
        async with asyncio.timeout(_SECONDS_TO_START):
            while line := (await output.readline()).decode(errors="replace"):
                lines.append(line)
                if match := re.search(r"serves on (\S+)", line):
                    return match[1], lines
    except TimeoutError:
        pass
    raise NotServing(f"The service did not start: {''.join(lines)[-2_000:]}")


async def _drain(output: asyncio.StreamReader, lines: list[str]) -> None:
    """Keep reading, or the service would block on a full pipe."""
    while line := (await output.readline()).decode(errors="replace"):
        lines.append(line)
