"""Conditions of our own lint rules about the session: its settings, and the functions it calls."""

import re
from typing import Final

from app.releases.lint.conditions import LintedStatement
from app.releases.migrations.migration_session import (
    BRIEF_STATEMENT_TIMEOUT,
    LOCK_TIMEOUT,
    shorter,
)
from app.releases.sql.parser import Node, called_functions, constant, texts

_LONGEST: Final = {"lock_timeout": LOCK_TIMEOUT, "statement_timeout": BRIEF_STATEMENT_TIMEOUT}
_TIMEOUT: Final = re.compile(r"0*([1-9]\d*) ?(ms|s|)", re.IGNORECASE)

# Of PostgreSQL's own functions, those that only read.
_READING: Final = """count min max sum avg every bool_and bool_or string_agg array_agg
  json_agg jsonb_agg jsonb_object_agg row_number rank lag lead first_value lower upper btrim length
  substring left right replace concat format to_char to_date to_timestamp to_jsonb
  jsonb_build_object jsonb_build_array jsonb_typeof now age date_trunc date_part extract
  clock_timestamp gen_random_uuid random abs round floor ceil generate_series unnest version
  current_setting set_config pg_backend_pid to_regclass md5"""
_ADVISORY: Final = re.compile(r"pg_(?:try_)?advisory_(?:xact_)?lock(?:_shared)?")


def loosens_timeout(s: LintedStatement) -> bool:
    """Return whether it takes a timeout away, or sets one that is longer or stays longer than ours.

    What is allowed is a shorter one for the transaction alone.
    """
    if s.kind == "DiscardStmt":
        return bool(s.tree["target"] == "DISCARD_ALL")
    resets = (node["kind"] == "VAR_RESET_ALL" for node in s.tree.all("VariableSetStmt"))
    return any(resets) or (not _LONGEST.keys().isdisjoint(_settings(s)) and not _is_short(s.tree))


def silences_triggers(s: LintedStatement) -> bool:
    """Return whether a session, or every later one, writes without triggers and foreign keys."""
    return "session_replication_role" in _settings(s)


def calls_unread(s: LintedStatement) -> bool:
    """Return whether it calls what is no function of PostgreSQL's own that only reads."""
    queries = {"SelectStmt", "ExplainStmt"}
    reads = s.kind in queries or any(node.kind == "WithClause" for node in s.tree.children())
    unknown = called_functions(s.tree) - {
        *_READING.split(),
        "setval",
    }  # of which another rule speaks
    return s.kind == "CallStmt" or (reads and not all(map(_ADVISORY.fullmatch, unknown)))


def locks_by_number(s: LintedStatement) -> bool:
    """Return whether it takes an advisory lock."""
    return any(map(_ADVISORY.fullmatch, called_functions(s.tree)))


def _settings(s: LintedStatement) -> set[str]:
    """Return the settings that a statement changes, by SET or by ``set_config``."""
    calls = (
        constant(call["args"][0]).lower()
        for call in s.tree.all("FuncCall")
        if texts(call["funcname"])[-1] == "set_config" and call["args"]
    )
    return {*calls, *(node["name"].lower() for node in s.tree.all("VariableSetStmt"))}


def _is_short(tree: Node) -> bool:
    """Return whether the statement is a SET LOCAL of a timeout that is no longer than ours."""
    if tree.kind != "VariableSetStmt" or not tree["is_local"] or len(tree["args"]) != 1:
        return False
    timeout = _TIMEOUT.fullmatch(constant(tree["args"][0]))
    if timeout is None:
        return False
    value = f"{timeout[1]}{timeout[2].lower() or 'ms'}"
    return shorter(value, _LONGEST[tree["name"].lower()]) == value
