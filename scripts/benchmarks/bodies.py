"""Measures for how long hostile bodies hold the event loop, in time of the processor.

`.venv/bin/python -m scripts.benchmarks.bodies [WORD]` prints the slowest first; WORD narrows it to
the places and values whose name holds it. It makes a database of its own. The application runs in
this process, without a socket.
"""

import asyncio
import gc
import sys
import time
from asyncio import events
from collections.abc import Callable
from typing import Any, cast

import httpx

from app.database.url import DatabaseUrl
from app.main import create_app
from tests.support import databases
from tests.support.hostile_bodies import VALUES, places, send, show_keys
from tests.support.memory import resident
from tests.support.service import settings

_ROUNDS = 40


class LongestSlice:
    """The most time of the processor that one callback took, in ms."""

    def __init__(self) -> None:
        self.ms = 0.0
        handle = cast("Any", events.Handle)
        run: Callable[[Any], None] = handle._run  # noqa: SLF001  # nothing else sees each callback

        def timed(self_: Any) -> None:
            start = time.thread_time()
            run(self_)
            self.ms = max(self.ms, (time.thread_time() - start) * 1_000)

        handle._run = timed  # noqa: SLF001  # see above


async def measure(url: str, word: str) -> None:
    """Send each body, and print what it cost."""
    longest, rows = LongestSlice(), list[tuple[float, str]]()
    app = create_app(settings(), DatabaseUrl.parse(url))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client,
    ):
        keys = await show_keys(client)
        for place in places(keys):  # schemas are built at first use
            await send(client, place, b"1")
        gc.collect()
        gc.freeze()  # as the server does
        for value, make in VALUES.items():
            content = make()
            for place in places(keys):
                if word in f"{place.name} {value}":
                    await asyncio.sleep(0)  # what came before was a slice of its own
                    longest.ms = 0.0
                    answer = await send(client, place, content)
                    await asyncio.sleep(0)
                    row = f"{answer.status_code}  {place.name} <- {value}"
                    rows.append((longest.ms, row))
        before = resident()
        for _ in range(_ROUNDS):
            for place in places(keys):
                await send(client, place, VALUES["5,000 objects"]())
        print(f"resident memory: {before:.0f} MB, then {resident():.0f} MB")
    for ms, row in sorted(rows, reverse=True)[:60]:
        print(f"{ms:8.1f} ms  {row}")


if __name__ == "__main__":
    with databases.server() as server, server.lent(databases.migrated(server)) as own:
        asyncio.run(measure(own, sys.argv[1] if len(sys.argv) > 1 else ""))
