"""Sealed history: what every revision said when it was written, and whether it still says so.

``alembic/history.json`` holds two hashes of each revision: of its file, and of the SQL it gives
through the helpers it calls, as far as the code alone tells. ``scripts/seal`` adds new ones and
never changes one that is there; ``scripts/check`` compares. The gate keeps the file's hash of what
it applied.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from alembic.util.exc import CommandError

from app.releases.migrations.revisions import FOLDER
from app.releases.migrations.source_hash import source_hash
from app.releases.plan.render import offline_hash
from app.releases.verdict import MigrationError

SEALS: Final = "history.json"


def hash_of(revision: str) -> str:
    """Return the hash of what this image's revision says. Raises FileNotFoundError."""
    return source_hash((FOLDER / "versions" / f"{revision}.py").read_text())


def problems(folder: Path = FOLDER) -> list[str]:
    """Compare the revisions with their seals; return what differs, in words."""
    hashes, sealed = _file_hashes(folder), _read_seals(folder)
    whole = {name: seal for name, seal in sealed.items() if {*seal} == {"file", "sql"}}
    lost = [name for name in sealed if name not in hashes]
    same = [name for name in whole if hashes.get(name) == whole[name]["file"]]
    # Without a file there is no history to ask what it says.
    changed = [] if lost else [n for n in same if offline_hash([n]) != whole[n]["sql"]]
    return [
        *(
            f"alembic/versions/{name}.py is edited history: the file was changed after it had been "
            "sealed. Restore it as it was (git checkout), and write the change as a new revision."
            for name in whole
            if name in hashes and name not in same
        ),
        *(
            f"alembic/versions/{name}.py is gone, though it was sealed: databases may be at it. "
            "Restore the file; what it did is undone by a new revision."
            for name in lost
        ),
        *(_SAID_ANEW.format(", ".join(names)) for names in [changed] if names),
        *(
            f"alembic/versions/{name}.py is not sealed yet: when it is finished, run scripts/seal."
            for name in hashes
            if name not in whole
        ),
    ]


_SAID_ANEW: Final = (
    "Sealed revisions give other SQL than when they were sealed, though their files are the same: "
    "{}. So what the revisions call was changed (in app/releases/migrations: phased_change.py, "
    "ddl.py, column_sync.py, backfill.py; or a package they use). Let it say the same again for "
    "them, and give it a new parameter or a new helper, which only new revisions use."
)


def seal(folder: Path = FOLDER) -> list[str]:
    """Add the seals that are missing, and return their revisions' names; all others stay.

    While a sealed file is gone, nothing is added: nobody can tell what would be sealed.
    """
    hashes, sealed = _file_hashes(folder), _read_seals(folder)
    missing = [name for name in hashes if {*sealed.get(name, {})} != {"file", "sql"}]
    new = {
        name: {"file": hashes[name], "sql": offline_hash([name])} | sealed.get(name, {})
        for name in missing
        if sealed.keys() <= hashes.keys()
    }
    text = json.dumps({**sealed, **new}, indent=2, sort_keys=True)
    (folder / SEALS).write_text(f"{text}\n")
    return list(new)


def main(words: Sequence[str], folder: Path = FOLDER) -> int:
    """Check the seals; with the word "seal" add new ones first. 1 when something is wrong."""
    try:
        for name in seal(folder) if list(words) == ["seal"] else []:
            sys.stdout.write(f"Sealed {name}.\n")
        problem_lines = problems(folder)
    except (CommandError, MigrationError) as broken:
        words = f"The revisions cannot be read one after another, so nothing is known: {broken}"
        problem_lines = [words]
    sys.stderr.writelines(f"{problem}\n" for problem in problem_lines)
    return 1 if problem_lines else 0


def _file_hashes(folder: Path) -> dict[str, str]:
    files = sorted((folder / "versions").glob("*.py"))
    return {file.stem: source_hash(file.read_text()) for file in files}


def _read_seals(folder: Path) -> dict[str, dict[str, str]]:
    file = folder / SEALS
    return dict(json.loads(file.read_text())) if file.exists() else {}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
