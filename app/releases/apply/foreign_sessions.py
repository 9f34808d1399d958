"""Sessions that are not ours: a contract drops what another program may still read and write.

A session is foreign unless its application name is one of ours, or one that the operator has
named as harmless (``HARMLESS_SESSIONS``).
"""

from collections.abc import Collection, Sequence
from typing import Final

from app.releases.apply.backends import QUERY, Backend, masked_query
from app.releases.ledger.ledger import Ledger

_OURS: Final = "signalbook"
# Background workers belong to no user. A role without pg_read_all_stats sees names, but neither
# states nor queries.
_SESSIONS: Final = f"""SELECT a.pid, coalesce(nullif(a.application_name, ''), a.usename) AS name,
    coalesce(a.state, '') AS state, {QUERY},
    extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS age
  FROM pg_stat_activity a WHERE a.datname = current_database() AND a.usesysid IS NOT NULL
    AND a.pid <> pg_backend_pid() AND NOT starts_with(coalesce(a.application_name, ''), '{_OURS}')
    AND coalesce(a.application_name, '') <> ALL($1::text[]) AND a.usename <> ALL($2::text[])
  ORDER BY a.backend_start LIMIT 20"""


async def foreign_sessions(ledger: Ledger, harmless: Collection[str] = ()) -> list[Backend]:
    """Return the sessions that are not ours, the oldest first, at most 20.

    ``harmless`` are application names and roles that do not count.
    """
    names, roles = list(harmless), [name for name in harmless if name]
    return [
        Backend(row["pid"], row["name"], row["state"], row["age"], masked_query(row["query"]))
        for row in await ledger.fetch_rows(_SESSIONS, names, roles)
    ]


def in_words(sessions: Sequence[Backend]) -> list[str]:
    """Return each session in one line."""
    return [str(session) for session in sessions]
