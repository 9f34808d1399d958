"""Who else is at the database: a contract takes away what an older service still reads and writes.

A session is foreign unless its application name is one of ours, or one that the operator has
named as harmless (``HARMLESS_SESSIONS``).
"""

from collections.abc import Collection, Sequence
from typing import Final

from app.releases.apply.backends import QUERY, Backend, shown
from app.releases.ledger.ledger import Ledger

_OURS: Final = "signalbook"
# Autovacuum and its kind belong to no user. A role without pg_read_all_stats sees names all the
# same, but neither states nor queries.
_SESSIONS: Final = f"""SELECT a.pid, coalesce(nullif(a.application_name, ''), a.usename) AS name,
    coalesce(a.state, '') AS state, {QUERY},
    extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS age
  FROM pg_stat_activity a WHERE a.datname = current_database() AND a.usesysid IS NOT NULL
    AND a.pid <> pg_backend_pid() AND NOT starts_with(coalesce(a.application_name, ''), '{_OURS}')
    AND coalesce(a.application_name, '') <> ALL($1::text[]) AND a.usename <> ALL($2::text[])
  ORDER BY a.backend_start LIMIT 20"""
_VERSIONED: Final = """SELECT quote_ident(c.relname) AS name FROM pg_class c
  WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
    AND 3 = (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped
      AND a.attname IN ('uuid', 'version', 'updated_at'))
    AND to_regclass('public.changes') IS NOT NULL ORDER BY 1"""
# The older service writes rows without an entry in our log. Its times have no zone and are UTC, as
# which "epoch" reads them. A few minutes ahead is a clock; more is a wrong value, not a late write.
_UNLOGGED: Final = """SELECT EXISTS (SELECT FROM public.{} AS r
  WHERE extract(epoch FROM r.updated_at) BETWEEN extract(epoch FROM now()) - $1::float8
      AND extract(epoch FROM now()) + 300
    AND NOT EXISTS (SELECT FROM public.changes c
      WHERE c.entity_uuid = r.uuid AND c.version = r.version))"""
# Only the older service logs there.
_EVENTS: Final = """SELECT EXISTS (SELECT FROM public.events AS r
  WHERE extract(epoch FROM r."timestamp") BETWEEN extract(epoch FROM now()) - $1::float8
    AND extract(epoch FROM now()) + 300)"""


async def foreign_sessions(ledger: Ledger, harmless: Collection[str] = ()) -> list[Backend]:
    """Return the sessions that are not ours, the oldest first, at most 20.

    ``harmless`` are application names and roles that do not count.
    """
    names, roles = list(harmless), [name for name in harmless if name]
    return [
        Backend(row["pid"], row["name"], row["state"], row["age"], shown(row["query"]))
        for row in await ledger.fetch_rows(_SESSIONS, names, roles)
    ]


async def tables_written_by_older(ledger: Ledger, seconds: float) -> list[str]:
    """Return the tables in which a row was written in the last ``seconds``, and not by us."""
    found = [
        row["name"]
        for row in await ledger.fetch_rows(_VERSIONED)
        if await ledger.fetch_value(_UNLOGGED.format(row["name"]), seconds)
    ]
    if await ledger.fetch_value("SELECT to_regclass('public.events') IS NOT NULL"):
        found += ["events"] if await ledger.fetch_value(_EVENTS, seconds) else []
    return found


def in_words(sessions: Sequence[Backend]) -> list[str]:
    """Return each session in one line."""
    return [str(session) for session in sessions]
