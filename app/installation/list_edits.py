"""What is done to a list of words: added, removed, reordered, restored. One edit at a time.

An edit is a function from all rows of a list to all rows. Rows that it leaves as they are, are not
written: the older service may have its own.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import uuid4

from pydantic_core import to_json

from app.database.database import DatabaseConnection
from app.errors import Conflict, DuplicateId, Invalid, NotFound
from app.installation.announcements import announce
from app.installation.lists import WordList
from app.model.fields import INT4_MAX

MOST: Final = 500
"""Words that a list may offer."""


@dataclass(frozen=True)
class Word:
    """A row of a list."""

    id: str
    name: str
    sort_order: int
    is_active: bool = True


Words = tuple[Word, ...]
"""All rows of a list in their order, those that were removed too."""
ListEdit = Callable[[WordList, Words], Words]


async def edit_list(connection: DatabaseConnection, words: WordList, edit: ListEdit) -> bytes:
    """Edit a list, in a transaction; return its words as JSON. Raises what the edit does.

    Everybody is told where the words or their order have changed.
    """
    await connection.execute(words.lock_sql)
    stored = tuple(Word(**row) for row in await connection.fetch(words.rows_sql))
    before = stored or _defaults(words)
    after = tuple(sorted(edit(words, before), key=lambda word: word.sort_order))
    if changed := set(after) - set(stored):
        columns = zip(*((w.id, w.name, w.sort_order, w.is_active) for w in changed), strict=True)
        await connection.execute(words.save_sql, *map(list, columns))
    names = _names(after)
    if names != _names(before):
        await announce(connection, words.event)
    return to_json(names)


def add(name: str) -> ListEdit:
    """Put a word at the end; one that was removed comes back, as it is written now.

    The edit raises DuplicateId, and Conflict for a list that is full.
    """

    def edit(words: WordList, rows: Words) -> Words:
        active = [row for row in rows if row.is_active]
        if twin := _find(words, active, name):
            raise DuplicateId(
                f"{twin.name!r} is in the list already: choose it there.",
                error="Already in the list",
            )
        if len(active) >= MOST:
            raise Conflict(f"The list has {MOST} words: remove one before you add another.")
        former = _find(words, [row for row in rows if not row.is_active], name)
        last = max((row.sort_order for row in rows), default=-1)
        word = Word(former.id if former else str(uuid4()), name, min(last + 1, INT4_MAX))
        return (*(row for row in rows if row != former), word)

    return edit


def remove(name: str) -> ListEdit:
    """Take a word out of the list; its row stays. The edit raises NotFound."""

    def edit(words: WordList, rows: Words) -> Words:
        word = _find(words, [row for row in rows if row.is_active], name)
        if word is None:
            raise NotFound(
                f"The list has no {words.noun} {name[:100]!r}: it may have been removed already.",
                error=f"{words.noun.capitalize()} not found",
            )
        return tuple(replace(row, is_active=False) if row == word else row for row in rows)

    return edit


def reorder(names: Sequence[str], member: str) -> ListEdit:
    """Put the named words first, in this order; the others follow in their old order.

    The edit raises Invalid, which names the ``member`` of the request and each word that the list
    does not have or that is named twice.
    """

    def edit(words: WordList, rows: Words) -> Words:
        active = [row for row in rows if row.is_active]
        first = [_find(words, active, name) for name in names]
        faults = [
            {"path": f"{member}.{index}", "message": message}
            for index, (name, row) in enumerate(zip(names, first, strict=True))
            if (message := _fault(name, row, first[:index]))
        ]
        if faults:
            raise Invalid(faults[:100])
        rest = [row for row in active if row not in first]
        ordered = [row for row in (*first, *rest) if row]
        return (*_numbered(ordered), *(row for row in rows if not row.is_active))

    return edit


def _fault(name: str, row: Word | None, earlier: Sequence[Word | None]) -> str:
    if row is None:
        return f"{name[:100]!r} is not in the list (any more): load it again"
    return f"{name[:100]!r} is named twice" if row in earlier else ""


def restore_defaults(words: WordList, rows: Words) -> Words:
    """Return the list as it ships; all other words are removed."""
    defaults = []
    for name, new in zip(words.defaults, _defaults(words), strict=True):
        row = _find(words, rows, name) or new
        defaults.append(replace(row, name=name, is_active=True))
    ids = {word.id for word in defaults}
    others = (replace(row, is_active=False) for row in rows if row.id not in ids)
    return (*_numbered(defaults), *others)


def _defaults(words: WordList) -> Words:
    return tuple(Word(str(uuid4()), name, at) for at, name in enumerate(words.defaults))


def _names(rows: Words) -> list[str]:
    return [row.name for row in rows if row.is_active]


def _numbered(rows: Iterable[Word]) -> Iterable[Word]:
    return (replace(row, sort_order=at) for at, row in enumerate(rows))


def _find(words: WordList, rows: Sequence[Word], name: str) -> Word | None:
    """Return the row of a word: the one of this very spelling, else of one that says the same."""
    exact = (row for row in rows if row.name == name)
    same = (row for row in rows if words.same(row.name) == words.same(name))
    return next(exact, None) or next(same, None)
