"""What a statement takes: the tables it names, the strongest lock on one, and what it destroys.

Read from its words, so it is a prediction; the rehearsal measures. A table that is locked without
being named (the other end of a foreign key that is dropped) shows there and not here. What is not
known to be weaker counts as ACCESS EXCLUSIVE.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final, NamedTuple

from app.releases.sql.text import bodies, masked, parts, statements, unquoted

# From the weakest to the strongest, in PostgreSQL's words.
STRENGTH: Final = (
    "", "ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE",
    "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE",
)  # fmt: skip

NAME: Final = r'(?:(?:"(?:[^"]|"")*"|[\w$]+)\.)?(?:"(?:[^"]|"")*"|[^\W\d][\w$]*)'
_SKIPPED: Final = r"(?:(?:ONLY|CONCURRENTLY|VERBOSE|FULL|ANALYZE|IF (?:NOT )?EXISTS) |\([^)]*\) ?)*"
_BEFORE: Final = (
    "TABLE|ON|FROM|JOIN|INTO|UPDATE|REFERENCES|USING|ANALYZE|VACUUM|CLUSTER|TRUNCATE|LOCK|VIEW|COPY"
    r"|COLUMN|LIKE|TO|PARTITION OF|INHERITS \("
)
_PLACE: Final = re.compile(
    rf"\b(?:{_BEFORE})(?= ?(?P<first>{_SKIPPED}{NAME})"
    rf"(?P<more>(?:(?: ?\([^)]*\)| ?(?:AS )?(?:{NAME})?)?, ?(?:ONLY )?{NAME})*))",
    re.IGNORECASE,
)
_INDEXED: Final = re.compile(
    rf"(?:DROP|ALTER|REINDEX) (?:\([^)]*\) ?)?INDEX {_SKIPPED}(?P<names>{NAME}(?:, {NAME})*)",
    re.IGNORECASE,
)
_DESTROYS: Final = re.compile(
    r"^DROP (TABLE|TYPE|SCHEMA|DOMAIN|MATERIALIZED VIEW|SEQUENCE|OWNED|DATABASE|EXTENSION)\b"
    r"|^TRUNCATE\b|\bDELETE FROM\b|\bMERGE INTO\b.*\bTHEN DELETE\b",
    re.IGNORECASE,
)
_DROPS_COLUMN: Final = re.compile(r"DROP (?!CONSTRAINT\b)", re.IGNORECASE)

# What names no table and may touch any.
_ANY_TABLE: Final = re.compile(
    r"(?:DROP|REASSIGN) OWNED\b|DROP SCHEMA\b|ALTER TABLE ALL IN\b", re.IGNORECASE
)
# An UPDATE of its own, and not that of "FOR UPDATE", of a trigger, of a foreign key or of a right.
UPDATES: Final = (
    rf"(?<!\bFOR )(?<!\bKEY )(?<!\bON )(?<!\bDO )(?<!\bTHEN )(?<!\bOR )(?<!\bBEFORE )(?<!\bAFTER )"
    rf"(?<!\bOF )\bUPDATE (?:ONLY )?{NAME} ?\*? ?(?:AS )?(?:{NAME} )?SET\b"
)
_WRITES: Final = re.compile(rf"\b(?:INSERT INTO|DELETE FROM|MERGE INTO)\b|{UPDATES}", re.IGNORECASE)

_Lock = str | Callable[[str], str]


class Effect(NamedTuple):
    """What a statement does to the tables that are there already."""

    tables: tuple[str, ...]
    lock: str
    destroys: bool


def describe(sql: str, known: Collection[str], indexes: Mapping[str, str] | None = None) -> Effect:
    """Tell which of the ``known`` tables a statement names, its strongest lock, what it destroys.

    ``indexes`` gives the table of each index; where it does not, the index's name tells. Of
    several statements in one text it tells all.
    """
    effects = [_describe(one, known, indexes or {}) for one in statements(sql)]
    tables = {table for effect in effects for table in effect.tables}
    lock = max((effect.lock for effect in effects), key=STRENGTH.index)
    return Effect(tuple(sorted(tables)), lock, any(effect.destroys for effect in effects))


def _describe(sql: str, known: Collection[str], indexes: Mapping[str, str]) -> Effect:
    text = masked(sql)
    tables = [*known] if _ANY_TABLE.match(text) else _tables(text, known, indexes)
    destroys = bool(_DESTROYS.search(text)) or _drops_columns(text)
    if re.match(r"DO\b", text, re.IGNORECASE):
        body = bodies(sql)
        tables = [name for name in known if re.search(rf"\b{re.escape(name)}\b", body)]
        destroys = bool(re.search(r"\b(DROP|TRUNCATE|DELETE)\b", body, re.IGNORECASE))
    return Effect(tuple(sorted(set(tables))), _lock(text) if tables else "", destroys)


def stronger(lock: str, other: str) -> bool:
    """Tell whether the first lock is stronger than the other."""
    return STRENGTH.index(lock) > STRENGTH.index(other)


def subcommands(text: str) -> list[str]:
    """Give the changes of an ALTER TABLE; none for another statement. ``text`` is masked."""
    found = re.match(rf"ALTER TABLE {_SKIPPED}{NAME} ?\*? ?(?P<rest>.*)", text, re.IGNORECASE)
    return parts(found["rest"]) if found else []


def _tables(text: str, known: Collection[str], indexes: Mapping[str, str]) -> list[str]:
    # Of a dotted name either part may be the table: schema.table, table.column.
    named = [unquoted(part) for name in _named(text) for part in (name, name.rpartition(".")[0])]
    for found in _INDEXED.finditer(text):
        names = [unquoted(name) for name in found["names"].split(", ")]
        named += [indexes.get(name) or _by_name(name, known) for name in names]
    return [name for name in named if name in known]


def _named(text: str) -> Iterator[str]:
    for found in _PLACE.finditer(text):
        yield re.sub(rf"^{_SKIPPED}", "", found["first"], flags=re.IGNORECASE)
        yield from re.findall(rf", ?(?:ONLY )?({NAME})", found["more"], re.IGNORECASE)


def _by_name(index: str, known: Collection[str]) -> str:
    """Guess an index's table by PostgreSQL's way to name it."""
    return max((name for name in known if index.startswith(f"{name}_")), key=len, default="")


def _drops_columns(text: str) -> bool:
    return any(_DROPS_COLUMN.match(change) for change in subcommands(text))


def _lock(text: str) -> str:
    found = next((lock for pattern, lock in _LOCKS if pattern.match(text)), "ACCESS EXCLUSIVE")
    lock = found if isinstance(found, str) else found(text)
    return max(lock, "ROW EXCLUSIVE" if _WRITES.search(text) else "", key=STRENGTH.index)


def _of_alter_table(text: str) -> str:
    changes = (_of_change(change) for change in subcommands(text))
    return max(changes, key=STRENGTH.index, default="ACCESS EXCLUSIVE")


def _of_change(change: str) -> str:
    return next((lock for p, lock in _CHANGES if p.match(change)), "ACCESS EXCLUSIVE")


def _of_lock_table(text: str) -> str:
    found = re.search(r"\bIN ([A-Z ]+?) MODE\b", text, re.IGNORECASE)
    return found[1].upper() if found else "ACCESS EXCLUSIVE"


def _of_reading(text: str) -> str:
    locking = re.search(r"\bFOR (NO KEY |KEY )?(UPDATE|SHARE)\b", text, re.IGNORECASE)
    return "ROW SHARE" if locking else "ACCESS SHARE"


def _of_create_table(text: str) -> str:
    if re.search(r"\bPARTITION OF\b", text, re.IGNORECASE):
        return "ACCESS EXCLUSIVE"
    if re.search(r"\bREFERENCES\b", text, re.IGNORECASE):
        return "SHARE ROW EXCLUSIVE"
    inherits = re.search(r"\bINHERITS\b", text, re.IGNORECASE)
    return "SHARE UPDATE EXCLUSIVE" if inherits else _of_reading(text)


def _of_explained(text: str) -> str:
    """Tell what the statement takes that is explained: it is planned at least."""
    return _lock(_EXPLAIN.sub("", text))


def _compiled(*rows: tuple[str, _Lock]) -> tuple[tuple[re.Pattern[str], _Lock], ...]:
    return tuple((re.compile(rf"(?:{pattern})\b", re.IGNORECASE), lock) for pattern, lock in rows)


_EXPLAIN: Final = re.compile(r"EXPLAIN (?:(?:ANALY[SZ]E|VERBOSE) |\([^)]*\) ?)*", re.IGNORECASE)
# The first that fits the statement's beginning counts.
_LOCKS: Final = _compiled(
    ("ALTER TABLE", _of_alter_table),
    ("CREATE (UNIQUE )?INDEX CONCURRENTLY", "SHARE UPDATE EXCLUSIVE"),
    ("CREATE (UNIQUE )?INDEX", "SHARE"),
    ("DROP INDEX CONCURRENTLY|REINDEX.* CONCURRENTLY", "SHARE UPDATE EXCLUSIVE"),
    ("REINDEX", "SHARE"),
    ("CREATE (OR REPLACE )?(CONSTRAINT )?TRIGGER", "SHARE ROW EXCLUSIVE"),
    (r"VACUUM (FULL|\([^)]*FULL)", "ACCESS EXCLUSIVE"),
    ("ANALYZE|VACUUM|COMMENT ON|CREATE STATISTICS", "SHARE UPDATE EXCLUSIVE"),
    (r"UPDATE|INSERT|DELETE|MERGE|COPY [^(][^ ]*( \([^)]*\))? FROM", "ROW EXCLUSIVE"),
    ("SELECT|WITH|VALUES|TABLE|COPY", _of_reading),
    ("CREATE (OR REPLACE )?(TEMP(ORARY)? |RECURSIVE |MATERIALIZED )*VIEW", "ACCESS SHARE"),
    ("CREATE ((GLOBAL |LOCAL )?TEMP(ORARY)? |UNLOGGED )?TABLE", _of_create_table),
    ("LOCK", _of_lock_table),
    ("REFRESH MATERIALIZED VIEW CONCURRENTLY", "EXCLUSIVE"),
    ("CREATE (OR REPLACE )?(FUNCTION|PROCEDURE|AGGREGATE|TYPE|DOMAIN|SCHEMA|SEQUENCE)", ""),
    ("EXPLAIN", _of_explained),
    ("GRANT|REVOKE", "ACCESS SHARE"),
    ("(DROP|ALTER) (FUNCTION|PROCEDURE|AGGREGATE)|SET|RESET", ""),
)
_CHANGES: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), lock)
    for pattern, lock in (
        ("VALIDATE CONSTRAINT", "SHARE UPDATE EXCLUSIVE"),
        (rf"(ALTER (COLUMN )?{NAME} )?SET STATISTICS", "SHARE UPDATE EXCLUSIVE"),
        (rf"(ALTER (COLUMN )?{NAME} )?(RE)?SET ?\(", "SHARE UPDATE EXCLUSIVE"),
        ("CLUSTER ON|SET WITHOUT CLUSTER", "SHARE UPDATE EXCLUSIVE"),
        ("ATTACH PARTITION|DETACH PARTITION .*(CONCURRENTLY|FINALIZE)", "SHARE UPDATE EXCLUSIVE"),
        ("(ENABLE|DISABLE) ((REPLICA|ALWAYS) )?TRIGGER", "SHARE ROW EXCLUSIVE"),
        (rf"ADD (CONSTRAINT {NAME} )?FOREIGN KEY", "SHARE ROW EXCLUSIVE"),
    )
)
