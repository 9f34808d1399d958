"""How many files, connections among them, this process may have open."""

import resource
from typing import Final

_ENOUGH: Final = 1_048_576


def raise_open_files() -> int:
    """Allow this process as many open files as its system does, and return how many.

    Systems start programs with 1,024 to spare very old ones, which a few clients exhaust.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _ENOUGH if hard == resource.RLIM_INFINITY else hard
    if soft == resource.RLIM_INFINITY or soft >= most:
        return most
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError):  # a system with a lower limit of its own
        return soft
    return most
