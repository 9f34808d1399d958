"""Runs the service's command line as the image does: without the packages that only tests need.

python-socketio imports aiohttp and requests for its clients, if they are installed. With them a
process holds 13 MB more than in the image.
"""

import runpy
import sys
from typing import Any, cast

ABSENT = ("aiohttp", "requests")


def leave_out() -> None:
    """Make importing them fail, as if they were not installed."""
    cast("dict[str, Any]", sys.modules).update(dict.fromkeys(ABSENT))


if __name__ == "__main__":
    leave_out()
    runpy.run_module("app", run_name="__main__")
