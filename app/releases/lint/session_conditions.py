"""Conditions of our own lint rules about the session: its settings, and the functions it calls."""

import re
from typing import Final

from app.releases.connection.migration_session import BRIEF_STATEMENT_TIMEOUT, LOCK_TIMEOUT, shorter
from app.releases.lint.conditions import LintedStatement, called

_LONGEST: Final = {"lock": LOCK_TIMEOUT, "statement": BRIEF_STATEMENT_TIMEOUT}
_TIMEOUT: Final = r"(?:statement|lock)_timeout"
_SHORT: Final = re.compile(
    r"SET LOCAL (lock|statement)_timeout ?(?:=|\bTO\b) ?('?)(0*[1-9]\d*) ?(ms|s|)\2", re.IGNORECASE
)
_RESETS: Final = re.compile(
    rf'DISCARD ALL\b|(?:ALTER\b.*\b)?RESET (?:ALL\b|"?{_TIMEOUT})', re.IGNORECASE
)

# Of PostgreSQL's own, those that only read; and the words that a bracket may follow.
_READING: Final = """count min max sum avg every bool_and bool_or string_agg array_agg json_agg
  jsonb_agg jsonb_object_agg row_number rank lag lead first_value coalesce nullif greatest least
  lower upper trim btrim length substring left right replace concat format to_char to_date
  to_timestamp to_jsonb jsonb_build_object jsonb_build_array jsonb_typeof now age date_trunc
  date_part extract clock_timestamp gen_random_uuid random abs round floor ceil generate_series
  unnest version current_setting set_config pg_backend_pid to_regclass md5 cast row array any all
  some exists in values as from over filter and or not when then else on using where lateral by
  select union except intersect within numeric varchar char timestamp time materialized limit
  offset having case between like is"""
# These have rules of their own.
_RULED: Final = re.compile(r"setval|pg_(?:try_)?advisory_(?:xact_)?lock(?:_shared)?")


def timeout_off(s: LintedStatement) -> bool:
    """Tell whether it takes a timeout away, or sets one that is longer or stays longer than ours.

    What is allowed is a shorter one for the transaction alone.
    """
    return bool(_RESETS.match(s.text)) or (_sets(s, _TIMEOUT) and not _is_short(s))


def silences_triggers(s: LintedStatement) -> bool:
    """Tell whether a session, or every later one, writes without triggers and foreign keys."""
    return _sets(s, "session_replication_role")


def calls_unread(s: LintedStatement) -> bool:
    """Tell whether it calls what is no function of PostgreSQL's own that only reads."""
    reads = re.match(r"(?:SELECT|WITH|VALUES|EXPLAIN)\b", s.text, re.IGNORECASE)
    unknown = called(s.text) - {*_READING.split()}
    return bool(re.match(r"CALL\b", s.text, re.IGNORECASE)) or (
        bool(reads) and not all(map(_RULED.fullmatch, unknown))
    )


def locks_by_number(s: LintedStatement) -> bool:
    """Tell whether it takes an advisory lock."""
    return bool(re.search(r"\bpg_(?:try_)?advisory_(?:xact_)?lock", s.text, re.IGNORECASE))


def sets_sequence(s: LintedStatement) -> bool:
    """Tell whether a sequence is moved by a function."""
    return "setval" in called(s.text)


def _is_short(s: LintedStatement) -> bool:
    found = _SHORT.fullmatch(s.sql)
    if not found:
        return False
    value = f"{int(found[3])}{found[4].lower() or 'ms'}"
    return shorter(value, _LONGEST[found[1].lower()]) == value


def _sets(s: LintedStatement, setting: str) -> bool:
    by_word = rf'(?:SET (?:LOCAL |SESSION )?|(?:ALTER|CREATE)\b.*\bSET )"?{setting}\b'
    # A value in quotes is masked, so the SQL itself is asked.
    by_call = "set_config" in called(s.text) and re.search(rf"\b{setting}\b", s.sql, re.IGNORECASE)
    return bool(re.match(by_word, s.text, re.IGNORECASE) or by_call)
