"""The service, patched to announce nothing or to listen to nothing; only ``announcing`` uses it.

The service has no switch for that. It is patched before any of it has run.
"""

import os
import runpy
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from app.live.feed.listener import Listener
from app.model.entity import Row
from app.sql import writes

SILENT, DEAF = "BENCH_SILENT", "BENCH_DEAF"
_NOTHING: Final = "NULL AS announced"


def _unannounced(entity: type[Row]) -> str:  # noqa: ARG001  # as what it stands for
    return _NOTHING


@asynccontextmanager
async def _deaf(self: Listener) -> AsyncIterator[None]:  # noqa: ARG001  # a method
    """Listen to nothing."""
    yield


def _patch() -> None:
    if SILENT in os.environ:
        writes._announced = _unannounced  # noqa: SLF001  # the only place that announces
    if DEAF in os.environ:
        Listener.running = _deaf  # type: ignore[method-assign]  # on purpose


if __name__ == "__main__":
    _patch()
    sys.argv = ["app", "serve"]
    runpy.run_module("app", run_name="__main__")
