"""Every SQL statement that the service runs, registered where it is written.

A module that runs SQL names it once: ``FEED = statement("SELECT …")``. SQL that is made from an
entity's declaration is registered by the function that makes it (``@statements_of_entities``).
``app.all_statements`` imports all these modules and returns the whole.

PostgreSQL plans a statement against the catalogue as it is. So preparing the registered ones finds
a column that no migration has made, before a client meets it.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from itertools import chain
from typing import Any, Final, TypeVar, cast

import asyncpg

CHANGE_LOG: Final = "changes"
"""What is written beside the entities: the log, and what belongs to a process or a while."""
SHOW: Final = "show"
INSTALLATION: Final = "installation"
"""What belongs to no show (``app.installation``)."""
CATALOGUE: Final = "catalogue"
"""What reads PostgreSQL's own tables alone: no migration of ours can break it."""

T = TypeVar("T")
_statements: Final[dict[str, str]] = {}
_makers: Final[list[Callable[[type[Any]], Any]]] = []


def statement(sql: str, owner: str = CHANGE_LOG) -> str:
    """Register a statement and return it. Raises ValueError for one that is registered already."""
    if sql in _statements:
        raise ValueError(f"registered twice: {sql}")
    _statements[sql] = owner
    return sql


def statements_of_entities(make: Callable[[type[Any]], T]) -> Callable[[type[Any]], T]:
    """Register what makes an entity's statements, once: each field has one, or several by name."""
    cached = cast("Callable[[type[Any]], T]", cache(make))
    _makers.append(cached)
    return cached


def statements_of(owner: str) -> tuple[str, ...]:
    """Return what is registered so far of one owner."""
    return tuple(sql for sql, owned_by in _statements.items() if owned_by == owner)


def named_statements(entity: type[Any]) -> dict[str, str]:
    """Return the statements that are made from an entity's declaration, by name."""
    named: dict[str, str] = {}
    for name, sql in chain.from_iterable(vars(make(entity)).items() for make in _makers):
        named |= {name: sql} if isinstance(sql, str) else {f"{name} {k}": v for k, v in sql.items()}
    return named


async def failures(
    connection: asyncpg.Connection, statements: Mapping[str, Iterable[str]]
) -> dict[str, str]:
    """Prepare all of them; return the first failure of each owner that has one."""
    errors = {owner: await _first_failure(connection, sql) for owner, sql in statements.items()}
    return {owner: words for owner, words in errors.items() if words}


async def _first_failure(connection: asyncpg.Connection, statements: Iterable[str]) -> str:
    for sql in statements:
        try:
            # Without a name it needs no session that lasts, and nothing has to be closed.
            await connection.prepare(sql, name="")
        except asyncpg.SyntaxOrAccessError as error:
            return str(error).partition("\n")[0]
    return ""
