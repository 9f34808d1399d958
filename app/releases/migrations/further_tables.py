"""The tables that an older service got with its later versions, as statements that create them."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from app.releases.migrations.revisions import FOLDER

_FILE: Final = FOLDER / "further_older_tables.sql"
_TABLE: Final = re.compile(r"CREATE TABLE (\w+)|CREATE (?:UNIQUE )?INDEX \w+ ON\s+(\w+)")


@cache
def further_statements() -> tuple[str, ...]:
    """Return all statements, types first; a table's indexes stand behind it."""
    paragraphs = _FILE.read_text(encoding="utf-8").split("\n\n")
    return tuple(each.strip().removesuffix(";") for each in paragraphs if each.startswith("CREATE"))


def further_types() -> tuple[str, ...]:
    """Return the statements that create the types of the tables."""
    return tuple(each for each in further_statements() if each.startswith("CREATE TYPE"))


@cache
def further_tables() -> Mapping[str, Sequence[str]]:
    """Return what creates each table, by name; a table stands behind those it refers to."""
    tables: dict[str, list[str]] = {}
    for statement in further_statements():
        if named := _TABLE.match(statement):
            tables.setdefault(named[1] or named[2], []).append(statement)
    return tables
