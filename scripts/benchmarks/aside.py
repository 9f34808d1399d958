"""Helper processes of the benchmark, which run beside the servers.

Each reads orders as lines of JSON and answers each with one line. It ends with its input.
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
    """A running helper process."""

    def __init__(self, name: str, process: subprocess.Popen[str], errors: IO[bytes]) -> None:
        self._name, self._process, self._errors = name, process, errors

    def ask(self, order: Any, within: float) -> Any:
        """Return its answer. Raise LoadFailed if none comes within so many seconds."""
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
            self._errors.seek(0)
            errors = self._errors.read()[-1000:].decode(errors="replace")
            raise LoadFailed(f"{self._name} gave no answer in {within:.0f} s. {errors}".strip())
        return json.loads(line)


@contextmanager
def aside(name: str) -> Iterator[Aside]:
    """Start the module of this name, and stop it at the end of the block."""
    with TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", f"scripts.benchmarks.{name}"], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
        )  # fmt: skip
        try:
            yield Aside(name, process, errors)
        finally:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    try:
        process.communicate(timeout=_END_SECONDS)
    except (subprocess.TimeoutExpired, OSError, ValueError):
        process.kill()
        process.wait()


async def answer(do: Callable[[Any], Awaitable[Any]]) -> None:
    """Answer each order in such a process, until its input ends."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await do(json.loads(line))), flush=True)
