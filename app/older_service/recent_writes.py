"""Which tables the older service has written lately: a contract takes away what it writes."""

from typing import Final

from app.releases.ledger.ledger import Ledger

# Only of what belongs to a show: of equipment and formats nobody keeps a log, and no contract
# takes any of it away.
_VERSIONED: Final = """SELECT quote_ident(c.relname) AS name FROM pg_class c
  WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
    AND 3 = (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped
      AND a.attname IN ('uuid', 'version', 'updated_at'))
    AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped
      AND a.attname IN ('production_uuid', 'change_seq'))
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


async def tables_written_by_older(ledger: Ledger, seconds: float) -> list[str]:
    """Return the tables in which a row was written in the last ``seconds``, and not by us."""
    tables = [
        row["name"]
        for row in await ledger.fetch_rows(_VERSIONED)
        if await ledger.fetch_value(_UNLOGGED.format(row["name"]), seconds)
    ]
    if await ledger.fetch_value("SELECT to_regclass('public.events') IS NOT NULL"):
        tables += ["events"] if await ledger.fetch_value(_EVENTS, seconds) else []
    return tables
