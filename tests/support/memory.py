"""How much memory a process holds."""

import os
from pathlib import Path


def resident(pid: int | None = None) -> float:
    """Return the resident memory of a process, or of this one, in MB."""
    pages = int(Path(f"/proc/{pid or os.getpid()}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
