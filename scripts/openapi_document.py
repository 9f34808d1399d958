"""Writes the service's OpenAPI document into ``openapi.json``: scripts/openapi.

``scripts/openapi --record`` first records its examples anew (``scripts/recorded_examples.py``).

It is committed, so that a review shows what a change does to clients. ``tests/test_openapi.py``
holds it to the code.
"""

import json
import sys
from pathlib import Path
from typing import Final

from app.database.url import DatabaseUrl
from app.main import create_app
from app.settings import PROJECT, Settings
from scripts import recorded_examples

FILE: Final = PROJECT / "openapi.json"


def text() -> str:
    """Return the document as the file has it."""
    # The address is never asked: the document comes from the code alone.
    app = create_app(Settings.model_construct(), DatabaseUrl.parse("postgresql:///none"))
    return json.dumps(app.openapi(), indent=2, ensure_ascii=False) + "\n"


def main(file: Path = FILE) -> None:
    """Write the file."""
    file.write_text(text())
    print(f"Wrote {file}.")  # said to who runs it


if __name__ == "__main__":
    if sys.argv[1:2] == ["--record"]:
        recorded_examples.main()
    main()
