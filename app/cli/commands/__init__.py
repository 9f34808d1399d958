"""The work behind each word of the command line: a module a word, with its function ``run``.

What a word needs may be slow to load, the service or the migrations for instance. So a word's
module is imported when the word is used, here and nowhere else, and ``--help`` loads none.
"""

from importlib import import_module
from typing import Any


def run(word: str, /, **options: Any) -> Any:
    """Import the module of a word, run it, and return what it returns."""
    return import_module(f"{__name__}.{word}").run(**options)
