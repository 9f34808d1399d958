"""Lays diagrams out in a process of its own: one at a time, and none for longer than it may."""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import structlog
from pydantic_core import from_json

from app.errors import Unavailable
from app.signal import diagram

PROGRAM: Final = Path(diagram.__file__).with_name("layout_program.py")
_LONGEST: Final = 20.0
"""Seconds. A show of 400 devices takes one or two."""
_PASSED_ON: Final = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""What the program has of our environment, so that it has no secrets of it."""
_logger: Final = structlog.get_logger()


async def lay_out(graph: str, longest: float = _LONGEST) -> Mapping[str, Any]:
    """Return what Graphviz says of a graph. Raises Unavailable where it takes too long or fails."""
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-I", str(PROGRAM), env=environment, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(longest):
            answer, faults = await program.communicate(graph.encode())
    except TimeoutError:
        raise Unavailable(
            f"Graphviz did not lay this diagram out within {longest:.0f} seconds: ask for the "
            "diagram of one device with 'trace', or for diagram.dot and lay it out yourself."
        ) from None
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
    if program.returncode:
        _logger.error("diagram_layout_failed", code=program.returncode, words=faults[-500:])
        raise Unavailable(
            "Graphviz could not lay this diagram out, and the log says why: ask for diagram.dot "
            "and lay it out yourself."
        )
    placed: Mapping[str, Any] = await asyncio.to_thread(from_json, answer)
    return placed
