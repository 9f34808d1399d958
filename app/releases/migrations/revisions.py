"""What this image knows of the migrations: its head, what it needs to serve, what comes next.

An image serves from its last switch on; contracts may follow weeks later. What a revision says of
itself is read from its file without running it, so that neither Alembic nor SQLAlchemy is loaded to
know it; and once, so a web process may ask as often as it likes.
"""

import ast
import itertools
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from app.releases.verdict import MigrationError

Phase = Literal["expand", "switch", "contract"]
State = Literal["unmigrated", "behind", "ready", "head", "ahead"]

ROOT: Final = Path(__file__).parents[3]
FOLDER: Final = ROOT / "alembic"
_MEMBERS: Final = frozenset({"revision", "down_revision", "phase", "table"})


class Revision(NamedTuple):
    """One revision: its phase, and the existing table it changes (None for none)."""

    name: str
    phase: Phase
    table: str | None


class BadRevisions(MigrationError):
    """This image's revisions make no single line, or one does not say what it is."""


@cache
def history() -> tuple[Revision, ...]:
    """Return every revision, oldest first. Raises BadRevisions when there is not one head."""
    revisions = _files()
    if len(ends := _ends(revisions)) != 1:
        raise BadRevisions(
            f"This image's revisions have {len(ends)} heads ({', '.join(ends) or 'none'}): let one "
            "follow the other, and deploy again."
        )
    parents = {name: sorted(_parents(revisions[name])) for name in sorted(revisions)}
    order = (revisions[name] for name in TopologicalSorter(parents).static_order())
    return tuple(Revision(each["revision"], each["phase"], each["table"]) for each in order)


@cache
def names() -> tuple[str, ...]:
    """Return the names of every revision, oldest first."""
    return tuple(revision.name for revision in history())


def heads() -> list[str]:
    """Return the revisions that no other follows: one, unless two were written side by side."""
    return _ends(_files())


def head() -> str:
    """Return the newest revision."""
    return names()[-1]


def needed() -> str:
    """Return the last revision that is not a contract: what this image needs to serve."""
    return [revision.name for revision in history() if revision.phase != "contract"][-1]


def has_revision(revision: str) -> bool:
    """Return whether this image has the revision."""
    return revision in names()


def state(current: str | None) -> State:
    """Place a database's revision.

    ``behind`` is before what this image needs, ``ready`` serves though contracts are to follow,
    ``ahead`` was migrated by a newer image.
    """
    if current is None:
        return "unmigrated"
    if not has_revision(current):
        return "ahead"
    if current == head():
        return "head"
    return "ready" if names().index(current) >= names().index(needed()) else "behind"


def next_release(before: str | None, *, everything: bool, whole: bool = False) -> tuple[str, ...]:
    """Return the revisions that come next, oldest first; none when nothing is pending.

    ``before`` is where the database is. With ``everything`` (an empty database) all of them are
    one release; otherwise those that change one existing table, and a contract alone. With
    ``whole`` all expands and switches that come next are one release, or all contracts.
    """
    pending: Sequence[Revision] = history()[names().index(before) + 1 if before else 0 :]
    if not everything:
        pending = whole_release(pending) if whole else first_release(pending)
    return tuple(revision.name for revision in pending)


def first_release(pending: Sequence[Revision]) -> list[Revision]:
    """Take the first release off the pending revisions.

    A revision that changes no existing table goes with the next table's, or with the one before
    it where no such follows.
    """
    release: list[Revision] = []
    for place, revision in enumerate(pending):
        if release and not _goes_with(release, pending[place:]):
            break
        release.append(revision)
        if revision.phase == "contract":
            break
    return release


def whole_release(pending: Sequence[Revision]) -> list[Revision]:
    """Take all expands and switches off the pending revisions, or all contracts."""
    contracts = bool(pending) and pending[0].phase == "contract"
    return list(itertools.takewhile(lambda r: (r.phase == "contract") == contracts, pending))


def _goes_with(release: Sequence[Revision], rest: Sequence[Revision]) -> bool:
    """Return whether the first of the rest belongs to the release that is being taken."""
    if rest[0].phase == "contract":
        return False
    table = next((r.table for r in release if r.table), None)
    following = itertools.takewhile(lambda r: r.phase != "contract", rest)
    coming = next((r.table for r in following if r.table), None)
    return table is None or coming in {None, table}


def _files() -> dict[str, dict[str, Any]]:
    """Return what each file of the script directory says of itself, by revision."""
    read = (_members(path) for path in sorted((FOLDER / "versions").glob("*.py")))
    return {members["revision"]: members for members in read}


def _members(path: Path) -> dict[str, Any]:
    """Read the members of a revision's file. Raises BadRevisions where one is no plain value."""
    members: dict[str, Any] = {}
    for name, value in _assignments(ast.parse(path.read_bytes(), path.name).body):
        try:
            members[name] = ast.literal_eval(value)
        except ValueError:
            raise BadRevisions(
                f"The revision {path.name} must write its {name} as a plain value: mend the file."
            ) from None
    if lacking := sorted(_MEMBERS - members.keys()):
        raise BadRevisions(
            f"The revision {path.name} does not say its {', '.join(lacking)}: mend the file."
        )
    return members


def _assignments(body: Iterable[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    for node in body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name) and target.id in _MEMBERS:
                    yield target.id, node.value


def _parents(members: dict[str, Any]) -> tuple[str, ...]:
    before = members["down_revision"]
    return (before,) if isinstance(before, str) else tuple(before or ())


def _ends(revisions: dict[str, dict[str, Any]]) -> list[str]:
    followed = {parent for members in revisions.values() for parent in _parents(members)}
    return sorted(revisions.keys() - followed)
