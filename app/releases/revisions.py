"""What this image knows of the migrations: its head, and the revision it needs to serve.

An image serves from its last switch on; contracts may follow weeks later. Read from the script
directory once, so a web process may ask as often as it likes.
"""

from functools import cache
from pathlib import Path
from typing import Final, Literal, NamedTuple

from alembic.script import Script, ScriptDirectory

Phase = Literal["expand", "switch", "contract"]
State = Literal["unmigrated", "behind", "ready", "head", "ahead"]

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "alembic"


class Revision(NamedTuple):
    """One revision: its phase, and the existing table it changes (None for none)."""

    name: str
    phase: Phase
    table: str | None


@cache
def history() -> tuple[Revision, ...]:
    """Give every revision of this image, oldest first. Raises when there is not one head."""
    scripts = ScriptDirectory(str(FOLDER))
    newest_first = scripts.walk_revisions(head=scripts.get_current_head() or "base")
    return tuple(reversed([_read(script) for script in newest_first]))


def heads() -> list[str]:
    """Give the revisions that no other follows: one, unless two were written side by side."""
    return sorted(ScriptDirectory(str(FOLDER)).get_heads())


def head() -> str:
    """Give the newest revision."""
    return history()[-1].name


def needed() -> str:
    """Give the last revision that is not a contract: what this image needs to serve."""
    return [revision.name for revision in history() if revision.phase != "contract"][-1]


def point_of_no_return() -> str | None:
    """Give the first contract, which cannot be downgraded; None when there is none."""
    return next((r.name for r in history() if r.phase == "contract"), None)


def known(revision: str) -> bool:
    """Tell whether this image has the revision."""
    return revision in _names()


def state(current: str | None) -> State:
    """Place a database's revision.

    ``behind`` is before what this image needs, ``ready`` serves though contracts are to follow,
    ``ahead`` was migrated by a newer image.
    """
    if current is None:
        return "unmigrated"
    if not known(current):
        return "ahead"
    if current == head():
        return "head"
    return "ready" if _names().index(current) >= _names().index(needed()) else "behind"


@cache
def _names() -> tuple[str, ...]:
    return tuple(revision.name for revision in history())


def _read(script: Script) -> Revision:
    return Revision(script.revision, script.module.phase, script.module.table)
