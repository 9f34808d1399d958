"""Real server processes: ``python -m app serve`` on ports of the loopback, killed and restarted.

What each of them says goes into a file of its folder, which pytest keeps when a test fails.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from app.settings import PROJECT
from tests.support.forks import ForkedProcess

_READY: Final = 60.0  # seconds; a start takes about two, and more beside other tests
_KEPT: Final = {"PATH", "HOME", "LANG", "TMPDIR"}


def plain(**how: Any) -> httpx.AsyncClient:
    """Return a client for HTTP without TLS: certificates take longer to load than many requests."""
    return httpx.AsyncClient(verify=False, trust_env=False, **how)  # noqa: S501  # see above


class Process:
    """One server process. It keeps its port when it is killed and started again."""

    def __init__(
        self, number: int, url: str, folder: Path, project: Path = PROJECT, **environment: Any
    ) -> None:
        self._project = project
        self.number, self.port = number, _free_port()
        self.root = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"process-{number}.log"
        self._environment = {k: v for k, v in os.environ.items() if k in _KEPT} | {
            "DATABASE_URL": url, "PORT": str(self.port), "ENVIRONMENT": "test",
            "LOG_LEVEL": "WARNING", "POOL_SIZE": "5", "DRAIN": "2",
            **{name.upper(): str(value) for name, value in environment.items()},
        }  # fmt: skip
        self._running: ForkedProcess | subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; ``ready`` waits until it answers."""
        with self.log.open("ab") as log:
            if self._project == PROJECT:
                self._running = ForkedProcess("app", "serve", env=self._environment, output=log)
            else:
                self._running = subprocess.Popen(
                    [sys.executable, "-m", "app", "serve"],
                    cwd=self._project, env=self._environment, stdout=log, stderr=log,
                )  # fmt: skip

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._running is not None and self._running.poll() is None

    async def ready(self) -> None:
        """Wait until it answers. Raises RuntimeError where it has ended or says nothing."""
        async with plain(base_url=self.root, timeout=5) as client:
            give_up = asyncio.get_running_loop().time() + _READY
            while asyncio.get_running_loop().time() < give_up and self.is_running:
                try:
                    if (await client.get("/livez")).status_code == 200:
                        return
                except httpx.TransportError:
                    await asyncio.sleep(0.05)  # it tells nobody when it listens
        told = self.log.read_text(errors="replace")[-2_000:]
        raise RuntimeError(f"Process {self.number} does not serve; its log ends with:\n{told}")

    def end(self, word: signal.Signals = signal.SIGKILL) -> None:
        """End it at once, or in the way of another signal, and wait until it has ended."""
        if self._running is not None:
            self._running.send_signal(word)
            self._running.wait(20)
            self._running = None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@contextmanager
def processes(count: int, url: str, folder: Path, **environment: Any) -> Iterator[list[Process]]:
    """Start processes on one database; await ``ready`` of each. They are killed in the end."""
    made = [Process(number, url, folder, **environment) for number in range(1, count + 1)]
    with ExitStack() as stack:
        for one in made:
            one.start()
            stack.callback(one.end)
        yield made
