"""Which of the pending revisions are the next release."""

import itertools
from collections.abc import Sequence

from app.releases.migrations.revisions import Revision, history


def next_release(before: str | None, *, everything: bool, whole: bool = False) -> tuple[str, ...]:
    """Return the revisions that come next, oldest first; none when nothing is pending.

    ``before`` is where the database is. With ``everything`` (an empty database) all of them are
    one release; otherwise those that change one existing table, and a contract alone. With
    ``whole`` all expands and switches that come next are one release, or all contracts.
    """
    pending = [*_after(before)]
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


def _after(before: str | None) -> Sequence[Revision]:
    names = [revision.name for revision in history()]
    return history()[names.index(before) + 1 if before else 0 :]
