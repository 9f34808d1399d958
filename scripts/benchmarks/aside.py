"""Processes of the benchmark's own beside the servers: each is asked in lines of JSON, and answers
each by one. It ends when nothing more will be asked.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from threading import Timer
from typing import IO, Any, Final

from scripts.benchmarks.load import LoadFailed

_END_SECONDS: Final = 10


class Aside:
    """One such process, as the benchmark sees it."""

    def __init__(self, name: str, process: subprocess.Popen[str], said: IO[bytes]) -> None:
        self._name, self._process, self._said = name, process, said

    def ask(self, order: Any, within: float) -> Any:
        """Give its answer. Raises LoadFailed where none comes within so many seconds."""
        watchdog = Timer(within, self._process.kill)
        watchdog.start()
        try:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(f"{json.dumps(order)}\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        finally:
            watchdog.cancel()
        if not line:
            self._said.seek(0)
            errors = self._said.read()[-1000:].decode(errors="replace")
            raise LoadFailed(f"{self._name} gave no answer in {within:.0f} s. {errors}".strip())
        return json.loads(line)


@contextmanager
def aside(name: str) -> Iterator[Aside]:
    """Start the module of this name, and end it with the block."""
    with TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", f"scripts.benchmarks.{name}"], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said,
        )  # fmt: skip
        try:
            yield Aside(name, process, said)
        finally:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    try:
        process.communicate(timeout=_END_SECONDS)
    except (subprocess.TimeoutExpired, OSError, ValueError):
        process.kill()
        process.wait()


async def answer(do: Callable[[Any], Awaitable[Any]]) -> None:
    """Answer what is asked, in such a process, until nothing more will be."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await do(json.loads(line))), flush=True)
