"""Writes at a steady pace, whether or not earlier answers have come.

Each write changes the note of the next camera. It is timed from just before its request is sent.
The report says by how much the writer itself was late.
"""

import asyncio
import json
import time
from typing import Any, Final
from urllib.parse import urljoin

import aiohttp
import uvloop

from scripts.benchmarks.aside import answer
from scripts.benchmarks.hearing import NOTE, Write, now
from scripts.benchmarks.workloads import NUMBER

_HEADERS: Final = {"Content-Type": "application/json"}
_AHEAD: Final = 100_000_000  # nanoseconds until the first write, when all is ready


async def _paced(order: dict[str, Any]) -> dict[str, Any]:
    connector = aiohttp.TCPConnector(limit=order["connections"])
    patience = aiohttp.ClientTimeout(total=order["answer_seconds"])
    async with aiohttp.ClientSession(connector=connector, timeout=patience) as session:
        paths = [urljoin(order["origin"], f"/api/cameras/{key}") for key in order["cameras"]]
        await (await session.get(paths[0])).read()
        busy, begin, pause = time.process_time(), now() + _AHEAD, 1e9 / order["rate"]
        tasks, late = [], []
        for n in range(order["writes"]):
            due = begin + int(n * pause)
            await asyncio.sleep(max(0, due - now()) / 1e9)
            late.append(now() - due)
            path, number = paths[n % len(paths)], order["first"] + n
            tasks.append(asyncio.create_task(_write(session, path, number)))
        writes = await asyncio.gather(*tasks)
        seconds = (now() - begin) / 1e9
    late.sort()
    share = (time.process_time() - busy) / seconds
    return {"written": writes, "late": late[len(late) * 99 // 100] / 1e6, "share": share,
            "seconds": seconds}  # fmt: skip


async def _write(session: aiohttp.ClientSession, path: str, number: int) -> Write:
    body = json.dumps({"note": NOTE.replace(NUMBER, str(number))})
    sent_at = now()
    async with session.patch(path, data=body, headers=_HEADERS, raise_for_status=True) as response:
        await response.read()
    return Write(number, sent_at, now())


if __name__ == "__main__":
    uvloop.run(answer(_paced))
