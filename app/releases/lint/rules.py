"""Our own lint rules: what squawk does not see, or cannot without the steps around it."""

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from app.releases.lint import column_conditions as columns
from app.releases.lint import conditions
from app.releases.sql.effects import is_concurrent, is_full_vacuum, stronger

Level = Literal["error", "warning"]


@dataclass(frozen=True)
class LintFinding:
    """One finding: an "error" must not be applied; a "warning" is for who approves."""

    rule: str
    level: Level
    revision: str
    sql: str
    words: str


class Rule(NamedTuple):
    """A rule: its name, how bad a breach is, what to do instead, and what breaks it."""

    name: str
    level: Level
    words: str
    broken: conditions.Condition


RULES: Final = (
    Rule("several-statements", "error",
         "one text holds several statements, and only its first words are judged: give each a text "
         "of its own, and a function's body its $$", conditions.is_several),
    Rule("unread-sql", "warning",
         "PostgreSQL's own parser does not accept it, so no rule has read it: correct it, or see "
         "what PostgreSQL says in the rehearsal", conditions.is_a("ParseResult")),
    Rule("unbatched-write", "error",
         "it writes all rows in one transaction, and whoever writes one of them waits that long: "
         "fill with a Backfill", conditions.writes_unbatched),
    Rule("write-from-select", "warning",
         "it may write many rows in one transaction; where it does, use a Backfill",
         conditions.copies_rows),
    Rule("lock-table", "error",
         "LOCK TABLE stops others for as long as the transaction lasts: let each statement take "
         "the lock it needs", conditions.is_a("LockStmt")),
    Rule("vacuum-full", "error", "VACUUM FULL rewrites the table while nobody may read it",
         lambda s: is_full_vacuum(s.tree)),
    Rule("cluster", "error", "CLUSTER rewrites the table while nobody may read it",
         conditions.is_a("ClusterStmt")),
    Rule("refresh-blocks-readers", "error",
         "REFRESH MATERIALIZED VIEW keeps readers out: add CONCURRENTLY",
         lambda s: s.kind == "RefreshMatViewStmt" and not s.tree["concurrent"]),
    Rule("drop-trigger", "error",
         "a trigger keeps two services in step until the older is retired: drop it in a contract",
         conditions.outside_contract(lambda s: s.is_drop_of("TRIGGER"))),
    Rule("disabled-trigger", "error",
         "rows that are written meanwhile miss what the trigger does, foreign keys included",
         conditions.either(
             conditions.alters("DisableTrig", "DisableTrigAll", "DisableTrigUser", "DisableRule",
                               existing=False), conditions.silences_triggers)),
    Rule("instead-rule", "error",
         "what the serving version writes no longer reaches the table: keep both in step with a "
         "trigger", lambda s: s.kind == "RuleStmt" and s.tree["instead"]),
    Rule("row-security", "error",
         "who serves sees other rows from that moment, and may see none: ship it with code that "
         "expects it, by hand",
         conditions.alters("EnableRowSecurity", "DisableRowSecurity", "ForceRowSecurity",
                           "NoForceRowSecurity")),
    Rule("rights", "error",
         "the version that serves may lose what it may do: owners and rights are given by hand, "
         "apart from a release",
         conditions.takes_rights),
    Rule("timeout-off", "error",
         "without its timeout a statement can hold a lock for ever, and a long one is as bad: the "
         "steps set what is right; SET LOCAL may make it shorter",
         conditions.loosens_timeout),
    Rule("index-if-not-exists", "error",
         "IF NOT EXISTS calls an index done that an interrupted build left INVALID: use "
         "build_index", lambda s: s.kind == "IndexStmt" and s.tree["if_not_exists"]),
    Rule("index-blocks-writers", "error",
         "it stops all writers of the table while it runs: use build_index or drop_index",
         conditions.blocks_writers),
    Rule("concurrently-in-transaction", "error",
         "CONCURRENTLY cannot run inside a transaction: make it a patient step",
         lambda s: s.statement.way in {"brief", "direct"} and is_concurrent(s.tree)),
    Rule("cascade", "error",
         "CASCADE drops what nobody named, other services' foreign keys included: name each",
         conditions.cascades),
    Rule("rewriting-type", "error",
         "the new type rewrites every row while nobody may read the table: add a column beside, "
         "keep both in step, and drop the old one in a contract (times: give_zone)",
         columns.rewrites_type),
    Rule("rewriting-storage", "error",
         "it writes every row anew while nobody may read the table: move it by hand, in a window, "
         "or to a new table",
         conditions.either(
             conditions.alters("SetUnLogged", "SetLogged", "SetTableSpace", "SetAccessMethod",
                               "SetExpression"), conditions.rewrites_storage)),
    Rule("widening-type", "warning",
         "only from one text type to another does this rewrite nothing", columns.widens_type),
    Rule("rewriting-default", "error",
         "a default that differs from row to row rewrites the table: add the column without it, "
         "set the default, then fill", columns.fills_on_adding),
    Rule("required-column", "error",
         "a NOT NULL column without a default refuses the rows that are there, and the inserts of "
         "the version that serves", columns.requires_value),
    Rule("not-null-scan", "error",
         "SET NOT NULL reads the whole table while nobody may: use set_not_null, which validates "
         "a CHECK first", columns.scans_for_null),
    Rule("validate-at-once", "error",
         "validated in the transaction that adds it, a constraint keeps its strong lock for the "
         "whole scan: validate it in a later step", columns.validates_at_once),
    Rule("constraint-scan", "error",
         "adding it reads the whole table under a strong lock: add it NOT VALID and validate it "
         "later, or USING INDEX", columns.proves_at_once),
    Rule("rename", "error",
         "the version that serves knows the old name: add the new beside it, keep both in step, "
         "and drop the old one in a contract",
         conditions.renames),
    Rule("drop-outside-contract", "error",
         "the version that serves may still use it: drop it in a contract",
         conditions.outside_contract(conditions.drops_in_use)),
    Rule("endless-wait", "error",
         "a patient step has no lock_timeout, and all others queue behind a strong lock that "
         "waits: make it a brief step",
         lambda s: s.statement.way == "patient"
         and stronger(s.statement.lock, "SHARE UPDATE EXCLUSIVE")),
    Rule("blocks-itself", "error",
         "a statement outside the steps has locked the table until the revision ends, so this step "
         "can never have it: put that statement into a step, too", conditions.blocks_itself),
    Rule("not-a-step", "warning",
         "outside the steps a lock is kept until the revision ends and is not tried again: put it "
         "into a step",
         lambda s: s.statement.way == "direct" and stronger(s.statement.lock, "ROW EXCLUSIVE")),
    Rule("unread-block", "warning",
         "what a DO block does cannot be read beforehand: write its statements out",
         conditions.is_a("DoStmt")),
    Rule("unread-call", "warning",
         "what a function does cannot be read beforehand: write its statements out",
         conditions.calls_unread),
    Rule("advisory-lock", "warning",
         "who else asks for this number waits, for as long as the session lasts: the gate lets "
         "only one migration run anyway", conditions.locks_by_number),
    Rule("sequence-moved", "warning",
         "a sequence that goes back gives numbers again that are taken",
         conditions.restarts_sequence),
)  # fmt: skip
