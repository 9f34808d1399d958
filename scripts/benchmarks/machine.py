"""The machine and the versions that the numbers were measured on."""

import math
import os
import platform
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("fastapi", "starlette", "uvicorn", "uvloop", "httptools", "asyncpg", "sqlmodel",
             "sqlalchemy", "pydantic")  # fmt: skip


def described(generator: str, postgresql: str) -> list[str]:
    """Return the lines for the report."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return [
        (
            f"Machine: {_cores()} cores ({platform.machine()}), {memory:.0f} GiB; load before the "
            f"run {os.getloadavg()[0]:.1f}."
        ),
        f"Python {platform.python_version()}, PostgreSQL {postgresql}, {packages}.",
        f"Load generator: {generator}.",
    ]


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # the cores that we may use; macOS has no such call
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process in all; NaN if the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return math.nan
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
