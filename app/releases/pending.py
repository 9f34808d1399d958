"""Which of the pending revisions are the next release."""

import itertools
from collections.abc import Sequence

from app.releases.revisions import Revision, history


def next_release(before: str | None, *, everything: bool) -> tuple[str, ...]:
    """Give the revisions that come next, oldest first; none when nothing is pending.

    ``before`` is where the database is. With ``everything`` (an empty database) all of them are
    one release; otherwise those that change one existing table, and a contract always alone.
    """
    pending = [*_after(before)]
    chosen = pending if everything else first_release(pending)
    return tuple(revision.name for revision in chosen)


def first_release(pending: Sequence[Revision]) -> list[Revision]:
    """Take the first release off the pending revisions.

    A revision that changes no existing table goes with the next table's, or with the one before
    it where no such follows.
    """
    taken: list[Revision] = []
    for place, revision in enumerate(pending):
        if taken and not _goes_with(taken, pending[place:]):
            break
        taken.append(revision)
        if revision.phase == "contract":
            break
    return taken


def _goes_with(taken: Sequence[Revision], rest: Sequence[Revision]) -> bool:
    """Tell whether the first of the rest belongs to the release that is being taken."""
    if rest[0].phase == "contract":
        return False
    table = next((r.table for r in taken if r.table), None)
    following = itertools.takewhile(lambda r: r.phase != "contract", rest)
    coming = next((r.table for r in following if r.table), None)
    return table is None or coming in {None, table}


def _after(before: str | None) -> Sequence[Revision]:
    names = [revision.name for revision in history()]
    return history()[names.index(before) + 1 if before else 0 :]
