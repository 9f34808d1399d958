"""A drift that was found: what it is, in an operator's words, and the SQL that mends it."""

from dataclasses import asdict, dataclass
from typing import Any

from app.releases.schema import repair_sql


@dataclass(frozen=True)
class Finding:
    """One difference between what the applied revisions build and what is there.

    ``kind`` is a stable word; ``table`` is None for what belongs to none; ``expected`` and
    ``there`` are PostgreSQL's own text, None for nothing. ``mend`` are statements to be run one by
    one, outside a transaction; all comments where somebody must look first.
    """

    kind: str
    table: str | None
    object: str
    expected: str | None
    there: str | None
    words: str
    mend: repair_sql.Mend

    @property
    def script(self) -> str:
        """The mend as it is pasted into psql."""
        return "\n".join(line if line.startswith("--") else f"{line};" for line in self.mend)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def renamed(kind: str, noun: str, table: str, name: str, now: str, change: str) -> Finding:
    """Return the finding for what is named otherwise; ``change`` gives it its name back."""
    words = f"{noun} {name} of {table} is named {now}: later revisions go by its name and would "
    words += "not find it."
    return Finding(kind, table, name, name, now, words, repair_sql.brief(change))
