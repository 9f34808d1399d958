"""Our own lint rules: what squawk does not see, or cannot without the steps around it."""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from app.releases.lint.conditions import (
    LintedStatement,
    blocks_itself,
    cascades,
    changes,
    concurrent_together,
    copies,
    drops,
    either,
    fills_on_adding,
    outside_contract,
    proves_at_once,
    requires,
    rewrites,
    says,
    scans_for_null,
    several,
    stands_outside,
    unbatched,
    validates_at_once,
    waits_for_ever,
    widens,
)
from app.releases.lint.session_conditions import (
    calls_unread,
    locks_by_number,
    sets_sequence,
    silences_triggers,
    timeout_off,
)
from app.releases.sql.locks import NAME

Level = Literal["error", "warning"]


class Rule(NamedTuple):
    """A rule: its name, how bad a breach is, what to do instead, and what breaks it."""

    name: str
    level: Level
    words: str
    broken: Callable[[LintedStatement], bool]


RULES: Final = (
    Rule("several-statements", "error",
         "one text holds several statements, and only its first words are judged: give each a text "
         "of its own, and a function's body its $$", several),
    Rule("unbatched-write", "error",
         "it writes all rows in one transaction, and whoever writes one of them waits that long: "
         "fill with a Backfill", unbatched),
    Rule("write-from-select", "warning",
         "it may write many rows in one transaction; where it does, use a Backfill",
         copies),
    Rule("lock-table", "error",
         "LOCK TABLE stops others for as long as the transaction lasts: let each statement take "
         "the lock it needs", says(r"LOCK\b")),
    Rule("vacuum-full", "error", "VACUUM FULL rewrites the table while nobody may read it",
         says(r"VACUUM (?:FULL|\([^)]*\bFULL)\b")),
    Rule("cluster", "error", "CLUSTER rewrites the table while nobody may read it",
         says(r"CLUSTER\b")),
    Rule("refresh-blocks-readers", "error",
         "REFRESH MATERIALIZED VIEW keeps readers out: add CONCURRENTLY",
         says(r"REFRESH MATERIALIZED VIEW (?!CONCURRENTLY\b)")),
    Rule("drop-trigger", "error",
         "a trigger keeps two services in step until the older is retired: drop it in a contract",
         outside_contract(says(r"DROP TRIGGER\b"))),
    Rule("disabled-trigger", "error",
         "rows that are written meanwhile miss what the trigger does, foreign keys included",
         either(changes(r"DISABLE (?:TRIGGER|RULE)\b", existing=False),
              silences_triggers)),
    Rule("instead-rule", "error",
         "what the serving version writes no longer reaches the table: keep both in step with a "
         "trigger", says(r"CREATE (?:OR REPLACE )?RULE\b.*\bDO INSTEAD\b")),
    Rule("row-security", "error",
         "who serves sees other rows from that moment, and may see none: ship it with code that "
         "expects it, by hand", changes(r"(?:ENABLE|DISABLE|(?:NO )?FORCE) ROW LEVEL SECURITY\b")),
    Rule("rights", "error",
         "the version that serves may lose what it may do: owners and rights are given by hand, "
         "apart from a release",
         says(r"REVOKE\b|REASSIGN OWNED\b|ALTER DEFAULT PRIVILEGES\b.*\bREVOKE\b"
              r"|ALTER\b.*\bOWNER TO\b")),
    Rule("timeout-off", "error",
         "without its timeout a statement can hold a lock for ever, and a long one is as bad: the "
         "steps set what is right; SET LOCAL may make it shorter",
         timeout_off),
    Rule("index-if-not-exists", "error",
         "IF NOT EXISTS calls an index done that an interrupted build left INVALID: use "
         "build_index", says(r"CREATE (?:UNIQUE )?INDEX (?:CONCURRENTLY )?IF NOT EXISTS\b")),
    Rule("index-blocks-writers", "error",
         "it stops all writers of the table while it runs: use build_index or drop_index",
         says(r"(?:(?:CREATE (?:UNIQUE )?|DROP )INDEX|REINDEX .*\b(?:TABLE|INDEX)) "
               r"(?!CONCURRENTLY\b)(?!.*\bINDEX CONCURRENTLY\b)", existing=True)),
    Rule("concurrently-in-transaction", "error",
         "CONCURRENTLY cannot run inside a transaction: make it a patient step",
         concurrent_together),
    Rule("cascade", "error",
         "CASCADE drops what nobody named, other services' foreign keys included: name each",
         cascades),
    Rule("rewriting-type", "error",
         "the new type rewrites every row while nobody may read the table: add a column beside, "
         "keep both in step, and drop the old one in a contract (times: give_zone)", rewrites),
    Rule("rewriting-storage", "error",
         "it writes every row anew while nobody may read the table: move it by hand, in a window, "
         "or to a new table",
         either(changes(r"SET (?:UNLOGGED|LOGGED|TABLESPACE|ACCESS METHOD)\b"),
                changes(rf"ALTER (?:COLUMN )?{NAME} SET EXPRESSION\b"),
                says(r"ALTER (?:TABLE ALL IN|INDEX|MATERIALIZED VIEW)\b.*"
                     r"\bSET (?:TABLESPACE|ACCESS METHOD)\b"))),
    Rule("widening-type", "warning",
         "only from one text type to another does this rewrite nothing", widens),
    Rule("rewriting-default", "error",
         "a default that differs from row to row rewrites the table: add the column without it, "
         "set the default, then fill", fills_on_adding),
    Rule("required-column", "error",
         "a NOT NULL column without a default refuses the rows that are there, and the inserts of "
         "the version that serves", requires),
    Rule("not-null-scan", "error",
         "SET NOT NULL reads the whole table while nobody may: use set_not_null, which validates "
         "a CHECK first", scans_for_null),
    Rule("validate-at-once", "error",
         "validated in the transaction that adds it, a constraint keeps its strong lock for the "
         "whole scan: validate it in a later step", validates_at_once),
    Rule("constraint-scan", "error",
         "adding it reads the whole table under a strong lock: add it NOT VALID and validate it "
         "later, or USING INDEX", proves_at_once),
    Rule("rename", "error",
         "the version that serves knows the old name: add the new beside it, keep both in step, "
         "and drop the old one in a contract",
         either(changes(r"RENAME (?!CONSTRAINT\b)"), changes(r"SET SCHEMA\b"),
                says(r"ALTER (?:TYPE|DOMAIN|FUNCTION|PROCEDURE|ROUTINE|SEQUENCE|SCHEMA"
                     r"|(?:MATERIALIZED )?VIEW)\b.*\b(?:RENAME|SET SCHEMA)\b"))),
    Rule("drop-outside-contract", "error",
         "the version that serves may still use it: drop it in a contract",
         outside_contract(drops)),
    Rule("endless-wait", "error",
         "a patient step has no lock_timeout, and all others queue behind a strong lock that "
         "waits: make it a brief step", waits_for_ever),
    Rule("blocks-itself", "error",
         "a statement outside the steps has locked the table until the revision ends, so this step "
         "can never have it: put that statement into a step, too", blocks_itself),
    Rule("not-a-step", "warning",
         "outside the steps a lock is kept until the revision ends and is not tried again: put it "
         "into a step", stands_outside),
    Rule("unread-block", "warning",
         "what a DO block does cannot be read beforehand: write its statements out",
         says(r"DO\b")),
    Rule("unread-call", "warning",
         "what a function does cannot be read beforehand: write its statements out", calls_unread),
    Rule("advisory-lock", "warning",
         "who else asks for this number waits, for as long as the session lasts: the gate lets "
         "only one migration run anyway", locks_by_number),
    Rule("sequence-moved", "warning",
         "a sequence that goes back gives numbers again that are taken",
         either(sets_sequence, says(r"ALTER SEQUENCE\b.*\bRESTART\b"),
                changes(rf"ALTER (?:COLUMN )?{NAME} (?:.* )?RESTART\b"))),
)  # fmt: skip
