"""The work behind each command: a module for each, with its function ``run``.

What a command needs may be slow to load, the service or the migrations for instance. So a module is
imported when its command is used, here and nowhere else, and ``--help`` loads none.
"""

import gc
from importlib import import_module
from typing import Any


def run(word: str, /, **options: Any) -> Any:
    """Import the module of a command, run it, and return what it returns."""
    # What is imported stays: to look for garbage in it takes a tenth of the time.
    gc.disable()
    try:
        command = import_module(f"{__name__}.{word}")
    finally:
        gc.enable()
    return command.run(**options)
