"""Reads what sessions begin with: the settings that are stored for the database and the roles.

Only settings are read that change what a statement means, what it may do or what outlives a crash.
Those that only make it quicker or slower, and those that every session of ours sets for itself
(the timeouts of statements and locks), are left out, as docs/migrations.md lists.
"""

from typing import Final

import asyncpg

from app.releases.schema.repair_sql import in_database
from app.releases.schema.snapshot import Trait, Traits

MEANINGFUL: Final = frozenset({
    "allow_system_table_mods", "array_nulls", "backslash_quote", "bytea_output",
    "check_function_bodies", "client_encoding", "datestyle", "default_table_access_method",
    "default_tablespace", "default_text_search_config", "default_toast_compression",
    "default_transaction_deferrable", "default_transaction_isolation",
    "default_transaction_read_only", "extra_float_digits", "idle_session_timeout",
    "ignore_system_indexes", "intervalstyle", "local_preload_libraries",
    "plpgsql.extra_errors", "plpgsql.variable_conflict", "quote_all_identifiers",
    "restrict_nonsystem_relation_kind", "role", "row_security", "search_path",
    "session_authorization",
    "session_preload_libraries", "standard_conforming_strings", "synchronous_commit", "timezone",
    "timezone_abbreviations", "transaction_timeout", "transform_null_equals", "xmlbinary",
    "xmloption", "zero_damaged_pages",
})  # fmt: skip
# Read from the server's own configuration too, where nobody sets them for good.
_OF_SERVER: Final = (
    "default_transaction_read_only", "default_transaction_isolation", "row_security",
    "default_transaction_deferrable", "transform_null_equals", "standard_conforming_strings",
)  # fmt: skip
# What means the same as the default, which for a zone is any name of UTC.
_SAME: Final = {
    "on": "on", "true": "on", "yes": "on", "1": "on", "off": "off", "false": "off", "no": "off",
    "0": "off", "utc": "gmt", "etc/utc": "gmt", "etc/gmt": "gmt", "zulu": "gmt", "uct": "gmt",
}  # fmt: skip

_STORED: Final = """SELECT lower(split_part(stored, '=', 1)) AS name,
    substr(stored, strpos(stored, '=') + 1) AS value, s.boot_val AS usual,
    CASE WHEN setrole = 0 THEN '' ELSE setrole::regrole::text END AS role,
    setdatabase <> 0 AS of_database
  FROM pg_db_role_setting CROSS JOIN unnest(setconfig) AS stored
  LEFT JOIN pg_settings s ON lower(s.name) = lower(split_part(stored, '=', 1))
  WHERE setrole IN (0, quote_ident($1)::regrole, quote_ident(current_user)::regrole)
    AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
  UNION ALL SELECT name, setting, boot_val, 'SERVER', false FROM pg_settings
  WHERE name = ANY($2) AND source IN ('configuration file', 'command line')"""


async def setting_traits(connection: asyncpg.Connection, role: str) -> Traits:
    """Read the settings that sessions of ``role``, and of the connection's own, begin with."""
    stored = await connection.fetch(_STORED, role, list(_OF_SERVER))
    return {
        f"{row['name']} of {_place(row)}": Trait(table=None, value=row["value"], undo=_undo(row))
        for row in sorted(stored, key=lambda row: (row["name"], _place(row)))
        if row["name"] in MEANINGFUL and not _as_usual(row)
    }


def _as_usual(row: asyncpg.Record) -> bool:
    if row["name"] == "search_path":  # what stands behind ours shadows nothing
        names = [name.strip(' "') for name in row["value"].split(",")]
        return names[names[0] == "$user" :][:1] == ["public"]
    return _plain(row["value"]) == _plain(row["usual"])


def _plain(value: str | None) -> str:
    bare = (value or "").strip("'\" ").lower()
    return _SAME.get(bare, bare).replace(" ", "")


def _place(row: asyncpg.Record) -> str:
    if row["role"] == "SERVER":
        return "the server"
    whose = f"the role {row['role']}" if row["role"] else ""
    if row["of_database"]:
        return f"{whose} in the database" if whose else "the database"
    return whose or "all roles"


def _undo(row: asyncpg.Record) -> tuple[str, ...]:
    """Return the statements that reset it; a session that may only read cannot do so at first."""
    name, role = row["name"], row["role"]
    first = ["SET default_transaction_read_only = off"] * (name == "default_transaction_read_only")
    if role == "SERVER":
        return (*first, f"ALTER SYSTEM RESET {name}", "SELECT pg_reload_conf()")
    if not row["of_database"]:
        return (*first, f"ALTER ROLE {role or 'ALL'} RESET {name}")
    whose = f"ROLE {role} IN DATABASE" if role else "DATABASE"
    return (*first, in_database(f"ALTER {whose} %I RESET {name}"))
