"""Whether a database holds anything that must be protected: a row in any table of ours."""

from typing import Final

from sqlmodel import SQLModel

import app.changelog.log
import app.entities  # noqa: F401  # a table whose model is not imported would not be asked
from app.releases.ledger.ledger import Ledger

_HISTORIC: Final = "events"  # the older service's, of which there is no model
_THERE: Final = """SELECT t FROM unnest($1::text[]) AS t
  WHERE to_regclass('public.' || t) IS NOT NULL"""


def protected_tables() -> list[str]:
    """Return the names of the tables in which a row must be protected, there or not."""
    return [*SQLModel.metadata.tables, _HISTORIC]


async def occupied(ledger: Ledger) -> bool:
    """Return whether a table of ours holds a row, deleted ones included."""
    for row in await ledger.fetch_rows(_THERE, protected_tables()):
        if await ledger.fetch_value(f'SELECT EXISTS (SELECT FROM public."{row["t"]}")'):
            return True
    return False
