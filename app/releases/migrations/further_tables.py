"""The tables that an older service got with its later versions, as statements that create them."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from app.releases.migrations.revisions import FOLDER

_FILE: Final = FOLDER / "further_older_tables.sql"
_TYPE: Final = re.compile(r'CREATE TYPE ("\w+")')
_TABLE: Final = re.compile(r"(?:CREATE|ALTER) TABLE (\w+)|CREATE (?:UNIQUE )?INDEX \w+ ON\s+(\w+)")


@cache
def further_statements() -> tuple[str, ...]:
    """Return all statements, types first; a table's foreign key and indexes stand behind it."""
    paragraphs = _FILE.read_text(encoding="utf-8").split("\n\n")
    return tuple(p.strip().removesuffix(";") for p in paragraphs if not p.startswith("--"))


@cache
def further_types() -> Mapping[str, str]:
    """Return what creates each type of the tables, by its name in quotes."""
    matches = [(_TYPE.match(statement), statement) for statement in further_statements()]
    return {named[1]: statement for named, statement in matches if named}


@cache
def further_tables() -> Mapping[str, Sequence[str]]:
    """Return what creates each table, by name; a table stands behind those it refers to."""
    tables: dict[str, list[str]] = {}
    for statement in further_statements():
        if named := _TABLE.match(statement):
            tables.setdefault(named[1] or named[2], []).append(statement)
    return tables
