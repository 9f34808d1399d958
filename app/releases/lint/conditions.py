"""What makes a statement dangerous: the conditions of our own lint rules.

A condition is a pattern over a statement's masked SQL, or a function. A table that the same plan
creates is nobody's yet, so most ask whether the statement touches an existing one.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from app.releases.migrations.revisions import Phase
from app.releases.plan.plan import Statement
from app.releases.sql.locks import NAME, UPDATES, stronger, subcommands
from app.releases.sql.text import masked, normalise, statements

# Functions that give one value for the whole statement, so that a default of them rewrites nothing.
_STABLE: Final = """now transaction_timestamp statement_timestamp current_timestamp localtimestamp
  current_setting lower upper btrim replace concat format left right md5 coalesce nullif greatest
  least abs round make_date make_time make_timestamp make_timestamptz make_interval date_trunc
  to_date to_timestamp to_char to_jsonb jsonb_build_object jsonb_build_array cast"""
# A type with its length, after :: or in CAST(… AS …): no call.
_TYPE: Final = re.compile(
    r"(?:::|\bAS\b) ?[\w.]+(?: varying)? ?\( ?\d+(?: ?, ?-?\d+)? ?\)", re.IGNORECASE
)
_CALL: Final = re.compile(
    rf'(?<!\bWITH )(?<!\bRECURSIVE )(?<!\bINTO )(?<!\bAS )(?<![\w"$])({NAME}) ?\(', re.IGNORECASE
)


class LintedStatement(NamedTuple):
    """A statement with what stands before it in its plan.

    ``sql`` is normalised, ``text`` masked: of one statement, where a text holds several.
    """

    statement: Statement
    sql: str
    text: str
    changes: tuple[str, ...]
    phase: Phase
    before: Sequence["LintedStatement"]

    @property
    def existing(self) -> bool:
        """Whether it touches a table that is there already."""
        return bool(self.statement.tables)


def statements_to_lint(
    plan: Sequence[Statement], phases: dict[str, Phase]
) -> list[LintedStatement]:
    """Prepare a plan's statements for the rules; a revision without a phase is an expand."""
    found: list[LintedStatement] = []
    for statement in plan:
        phase = phases.get(statement.revision, "expand")
        for sql in statements(statement.sql):
            text = masked(sql)
            one = LintedStatement(
                statement, normalise(sql), text, tuple(subcommands(text)), phase, tuple(found)
            )
            found.append(one)
    return found


def says(pattern: str, *, existing: bool = False) -> Callable[[LintedStatement], bool]:
    """Make a condition: the statement begins like this."""
    compiled = re.compile(rf"(?:{pattern})", re.IGNORECASE)
    return lambda s: bool(compiled.match(s.text)) and (s.existing or not existing)


def changes(pattern: str, *, existing: bool = True) -> Callable[[LintedStatement], bool]:
    """Make a condition: one change of an ALTER TABLE begins like this."""
    compiled = re.compile(rf"(?:{pattern})", re.IGNORECASE)
    return lambda s: (s.existing or not existing) and any(map(compiled.match, s.changes))


def outside_contract(
    condition: Callable[[LintedStatement], bool],
) -> Callable[[LintedStatement], bool]:
    """Make a condition that holds in every phase but a contract."""
    return lambda s: s.phase != "contract" and condition(s)


def either(*conditions: Callable[[LintedStatement], bool]) -> Callable[[LintedStatement], bool]:
    """Make a condition that holds where one of these does."""
    return lambda s: any(condition(s) for condition in conditions)


def several(s: LintedStatement) -> bool:
    """Tell whether one text holds several statements."""
    return len(statements(masked(s.statement.sql))) > 1


_UNBATCHED: Final = re.compile(rf"{UPDATES}|\b(?:DELETE FROM|MERGE INTO)\b", re.IGNORECASE)


def unbatched(s: LintedStatement) -> bool:
    """Tell whether it, or a part of it, writes rows of an existing table other than in batches."""
    return s.existing and s.statement.way != "backfill" and bool(_UNBATCHED.search(s.text))


def copies(s: LintedStatement) -> bool:
    """Tell whether it writes what it has read."""
    return s.existing and bool(re.search(r"\bINSERT INTO\b.*\bSELECT\b", s.text, re.IGNORECASE))


def cascades(s: LintedStatement) -> bool:
    """Tell whether it drops, with CASCADE, what it does not name."""
    whole = re.match(r"(?:DROP|TRUNCATE)\b.*\bCASCADE\Z", s.text, re.IGNORECASE)
    return bool(whole) or any(
        re.match(r"DROP\b.*\bCASCADE\Z", change, re.IGNORECASE) for change in s.changes
    )


def _retypes(s: LintedStatement) -> list[str]:
    pattern = re.compile(rf"ALTER (?:COLUMN )?{NAME} (?:SET DATA )?TYPE (.*)", re.IGNORECASE)
    return [found[1].lower() for c in s.changes if s.existing and (found := pattern.match(c))]


def rewrites(s: LintedStatement) -> bool:
    """Tell whether a type is changed other than by giving times in UTC their zone."""
    zoned = {"timestamptz", "timestamp with time zone"}
    wide = {"text", "varchar", "character varying"}
    types = set(_retypes(s)) - wide
    return bool(types - zoned) or (bool(types) and not _in_utc(s))


def _in_utc(s: LintedStatement) -> bool:
    together = (e.statement.sql for e in s.before if e.statement.step == s.statement.step)
    pattern = r"SET (LOCAL )?(TimeZone (=|TO)|TIME ZONE) 'UTC'"
    return any(re.match(pattern, normalise(sql), re.IGNORECASE) for sql in together)


def widens(s: LintedStatement) -> bool:
    """Tell whether a type becomes plain text."""
    return bool(set(_retypes(s)) & {"text", "varchar", "character varying"})


def fills_on_adding(s: LintedStatement) -> bool:
    """Tell whether a column is added whose value differs from row to row: a rewrite."""
    return s.existing and any(
        re.search(r"\b(?:small|big)?serial\b|\bGENERATED\b", change, re.IGNORECASE)
        or (_called_by_default(change) - {*_STABLE.split()})
        for change in s.changes
        if re.match(
            r"ADD (?!CONSTRAINT\b|CHECK\b|FOREIGN\b|UNIQUE\b|PRIMARY\b)", change, re.IGNORECASE
        )
    )


def _called_by_default(change: str) -> set[str]:
    default = re.search(r"\bDEFAULT (.*)", change, re.IGNORECASE)
    return called(_TYPE.sub(" ", default[1])) if default else set()


def called(text: str) -> set[str]:
    """Name the functions that are called, in small letters; with its schema one that is not
    PostgreSQL's. ``text`` is masked. A word before a bracket is taken for one, too.
    """
    names = (found.replace('"', "").lower() for found in _CALL.findall(text))
    return {name.removeprefix("pg_catalog.") for name in names}


def requires(s: LintedStatement) -> bool:
    """Tell whether a column is added that must not be NULL and has no default."""
    added = [c for c in s.changes if re.match(r"ADD (?:COLUMN )?", c, re.IGNORECASE)]
    return s.existing and any(
        re.search(r"(?<!IS )\bNOT NULL\b", c, re.IGNORECASE)
        and not re.search(r"\bDEFAULT\b|\bGENERATED\b|\bCHECK\b|serial\b", c, re.IGNORECASE)
        for c in added
    )


def scans_for_null(s: LintedStatement) -> bool:
    """Tell whether SET NOT NULL has to look at every row."""
    pattern = re.compile(rf"ALTER (?:COLUMN )?({NAME}) SET NOT NULL", re.IGNORECASE)
    columns = [found[1] for c in s.changes if (found := pattern.match(c))]
    return s.existing and not all(_is_proven(s, column) for column in columns)


def _is_proven(s: LintedStatement, column: str) -> bool:
    """Tell whether a CHECK that the column is not NULL was validated in a step before."""
    check = re.compile(
        rf"ADD CONSTRAINT ({NAME}) CHECK ?\( ?{re.escape(column)} IS NOT NULL ?\)", re.IGNORECASE
    )
    earlier = [e for e in s.before if e.statement.tables == s.statement.tables]
    names = {found[1] for e in earlier for c in e.changes if (found := check.match(c))}
    validated = {
        change.split(" ")[2]
        for e in earlier
        for change in e.changes
        if e.statement.step < s.statement.step and change.upper().startswith("VALIDATE CONSTRAINT ")
    }
    return bool(names & validated)


def validates_at_once(s: LintedStatement) -> bool:
    """Tell whether a constraint is validated in the step that adds it."""
    names = [c.split(" ")[2] for c in s.changes if c.upper().startswith("VALIDATE CONSTRAINT ")]
    same = [e for e in s.before if e.statement.step == s.statement.step]
    added = {c.split(" ")[2] for e in [*same, s] for c in e.changes if _ADDED.match(c)}
    return s.existing and any(name in added for name in names)


_ADDED: Final = re.compile(r"ADD CONSTRAINT ", re.IGNORECASE)


def proves_at_once(s: LintedStatement) -> bool:
    """Tell whether a constraint is added that all rows are checked for at once."""
    proof = rf"(?:CONSTRAINT {NAME} )?(?:CHECK|FOREIGN KEY|UNIQUE|PRIMARY KEY|EXCLUDE)\b"
    pattern = re.compile(rf"ADD {proof}(?!.*\b(?:NOT VALID|USING INDEX)\b)", re.IGNORECASE)
    inline = re.compile(
        r"ADD (?:COLUMN )?.*\b(?:REFERENCES|UNIQUE|PRIMARY KEY|CHECK)\b", re.IGNORECASE
    )
    return s.existing and any(
        pattern.match(c) or (not re.match(rf"ADD {proof}", c, re.IGNORECASE) and inline.match(c))
        for c in s.changes
    )


def concurrent_together(s: LintedStatement) -> bool:
    """Tell whether something CONCURRENTLY stands inside a transaction."""
    pattern = r"(?:CREATE (?:UNIQUE )?INDEX|DROP INDEX|REINDEX\b.*) CONCURRENTLY\b"
    inside = s.statement.way in {"brief", "direct"}
    return inside and bool(re.match(pattern, s.text, re.IGNORECASE))


def waits_for_ever(s: LintedStatement) -> bool:
    """Tell whether it wants a strong lock and has no timeout."""
    return s.statement.way == "patient" and stronger(s.statement.lock, "SHARE UPDATE EXCLUSIVE")


def stands_outside(s: LintedStatement) -> bool:
    """Tell whether it locks a table outside the steps."""
    return s.statement.way == "direct" and stronger(s.statement.lock, "ROW EXCLUSIVE")


def blocks_itself(s: LintedStatement) -> bool:
    """Tell whether Alembic's own transaction holds a table that this step needs."""
    held = {
        table
        for e in s.before
        if e.statement.way == "direct" and e.statement.revision == s.statement.revision
        for table in e.statement.tables
        if stronger(e.statement.lock, "ROW SHARE")
    }
    return s.statement.way != "direct" and bool(held & {*s.statement.tables})


def drops(s: LintedStatement) -> bool:
    """Tell whether something is dropped that others may use."""
    # Of a trigger another rule speaks; an index is only slower to be without.
    pattern = r"DROP (?!(?:INDEX|TRIGGER|STATISTICS)\b)|TRUNCATE\b"
    return bool(re.match(pattern, s.text, re.IGNORECASE)) or (
        bool(s.changes) and s.statement.destroys
    )
