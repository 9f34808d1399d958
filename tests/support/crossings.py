"""Follow one request through the modules of ``app``: which it enters, from where, in what order."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import httpx
from fastapi import FastAPI

from app.settings import PROJECT

_APP = str(PROJECT / "app") + "/"
_DOOR = "api/middleware"


class Crossings:
    """The modules that were entered, each as a path below ``app`` without its suffix."""

    def __init__(self) -> None:
        self.order: list[str] = []
        """Each module once, in the order of their first call."""
        self.chains: set[tuple[str, ...]] = set()
        """The modules on the call stack at each call, outermost first, neighbours joined."""
        self._running: list[FrameType] = []

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        """Note the first call of a function; that a coroutine resumes is none."""
        if event != "call" or _module(frame.f_code) is None:
            return
        if any(frame is other for other in self._running) or _answers(frame.f_code):
            return
        self._running.append(frame)
        chain = tuple(_joined(reversed(list(_modules(frame)))))
        if chain[0] != _DOOR:  # another task, which runs meanwhile
            return
        self.chains.add(chain)
        if chain[-1] not in self.order:
            self.order.append(chain[-1])

    def turning_back(self) -> list[str]:
        """List the chains in which a module is entered again while it has not returned."""
        return sorted(" → ".join(chain) for chain in self.chains if len({*chain}) < len(chain))

    def rooms(self) -> list[str]:
        """List the rooms, each once, in the order in which they were entered."""
        return list(dict.fromkeys(module.split("/")[0] for module in self.order))


def _modules(frame: FrameType | None) -> Iterator[str]:
    while frame is not None:
        module = _module(frame.f_code)
        if module is not None:
            yield module
        frame = frame.f_back


def _module(code: CodeType) -> str | None:
    if not code.co_filename.startswith(_APP):
        return None
    return str(Path(code.co_filename[len(_APP) :]).with_suffix(""))


def _answers(code: CodeType) -> bool:
    """Whether it is a middleware's ``send``: by it the answer comes back through each of them."""
    return "__call__.<locals>" in code.co_qualname


def _joined(modules: Iterable[str]) -> Iterator[str]:
    before = None
    for module in modules:
        if module != before:
            yield module
        before = module


async def followed(app: FastAPI, method: str, path: str, **sent: Any) -> Crossings:
    """Send a request to an application that runs, and return what it crossed."""
    crossings = Crossings()
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        request = client.build_request(method, path, **sent)
        with _profiled(crossings):
            answer = await client.send(request)
    answer.raise_for_status()
    return crossings


@contextmanager
def _profiled(profile: Crossings) -> Iterator[None]:
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)
