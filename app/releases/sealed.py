"""Sealed history: what every revision said when it was written, and whether it still says so.

``alembic/history.json`` holds each revision's hash. ``scripts/seal`` adds new ones and never
changes one that is there; ``scripts/check`` compares. The gate keeps the hash of what it applied.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from app.releases.revisions import FOLDER
from app.releases.source_hash import source_hash

SEALS: Final = "history.json"


def hash_of(revision: str) -> str:
    """Give the hash of what this image's revision says. Raises FileNotFoundError."""
    return source_hash((FOLDER / "versions" / f"{revision}.py").read_text())


def problems(folder: Path = FOLDER) -> list[str]:
    """Compare the revisions with their seals, and tell what is not as it was sealed."""
    written, sealed = _written(folder), _sealed(folder)
    return [
        *(
            f"alembic/versions/{name}.py is edited history: the file was changed after it had been "
            "sealed. Restore it as it was (git checkout), and write the change as a new revision."
            for name in sealed
            if name in written and written[name] != sealed[name]
        ),
        *(
            f"alembic/versions/{name}.py is gone, though it was sealed: databases may be at it. "
            "Restore the file; what it did is undone by a new revision."
            for name in sealed
            if name not in written
        ),
        *(
            f"alembic/versions/{name}.py is not sealed yet: when it is finished, run scripts/seal."
            for name in written
            if name not in sealed
        ),
    ]


def seal(folder: Path = FOLDER) -> list[str]:
    """Add the revisions that are not sealed yet, and give their names; all others stay."""
    written, sealed = _written(folder), _sealed(folder)
    new = {name: written[name] for name in written if name not in sealed}
    text = json.dumps({**sealed, **new}, indent=2, sort_keys=True)
    (folder / SEALS).write_text(f"{text}\n")
    return list(new)


def main(words: Sequence[str], folder: Path = FOLDER) -> int:
    """Check the seals; with the word "seal" add new ones first. 1 when something is wrong."""
    if list(words) == ["seal"]:
        for name in seal(folder):
            sys.stdout.write(f"Sealed {name}.\n")
    found = problems(folder)
    sys.stderr.writelines(f"{problem}\n" for problem in found)
    return 1 if found else 0


def _written(folder: Path) -> dict[str, str]:
    files = sorted((folder / "versions").glob("*.py"))
    return {file.stem: source_hash(file.read_text()) for file in files}


def _sealed(folder: Path) -> dict[str, str]:
    file = folder / SEALS
    return dict(json.loads(file.read_text())) if file.exists() else {}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
