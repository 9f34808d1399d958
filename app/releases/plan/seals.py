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
    """Give the hash of what this image's revision says. Raises FileNotFoundError."""
    return source_hash((FOLDER / "versions" / f"{revision}.py").read_text())


def problems(folder: Path = FOLDER) -> list[str]:
    """Compare the revisions with their seals, and tell what is not as it was sealed."""
    written, sealed = _written(folder), _sealed(folder)
    whole = {name: seal for name, seal in sealed.items() if {*seal} == {"file", "sql"}}
    gone = [name for name in sealed if name not in written]
    same = [name for name in whole if written.get(name) == whole[name]["file"]]
    # Without a file there is no history to ask what it says.
    changed = [] if gone else [n for n in same if offline_hash([n]) != whole[n]["sql"]]
    return [
        *(
            f"alembic/versions/{name}.py is edited history: the file was changed after it had been "
            "sealed. Restore it as it was (git checkout), and write the change as a new revision."
            for name in whole
            if name in written and name not in same
        ),
        *(
            f"alembic/versions/{name}.py is gone, though it was sealed: databases may be at it. "
            "Restore the file; what it did is undone by a new revision."
            for name in gone
        ),
        *(_SAID_ANEW.format(", ".join(names)) for names in [changed] if names),
        *(
            f"alembic/versions/{name}.py is not sealed yet: when it is finished, run scripts/seal."
            for name in written
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
    """Add the seals that are missing, and give their revisions' names; all others stay.

    While a sealed file is gone, nothing is added: nobody can tell what would be sealed.
    """
    written, sealed = _written(folder), _sealed(folder)
    missing = [name for name in written if {*sealed.get(name, {})} != {"file", "sql"}]
    new = {
        name: {"file": written[name], "sql": offline_hash([name])} | sealed.get(name, {})
        for name in missing
        if sealed.keys() <= written.keys()
    }
    text = json.dumps({**sealed, **new}, indent=2, sort_keys=True)
    (folder / SEALS).write_text(f"{text}\n")
    return list(new)


def main(words: Sequence[str], folder: Path = FOLDER) -> int:
    """Check the seals; with the word "seal" add new ones first. 1 when something is wrong."""
    try:
        for name in seal(folder) if list(words) == ["seal"] else []:
            sys.stdout.write(f"Sealed {name}.\n")
        found = problems(folder)
    except (CommandError, MigrationError) as broken:
        found = [f"The revisions cannot be read one after another, so nothing is known: {broken}"]
    sys.stderr.writelines(f"{problem}\n" for problem in found)
    return 1 if found else 0


def _written(folder: Path) -> dict[str, str]:
    files = sorted((folder / "versions").glob("*.py"))
    return {file.stem: source_hash(file.read_text()) for file in files}


def _sealed(folder: Path) -> dict[str, dict[str, str]]:
    file = folder / SEALS
    return dict(json.loads(file.read_text())) if file.exists() else {}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
