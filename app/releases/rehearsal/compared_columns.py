"""Which columns a rehearsal compares: what a plan neither drops nor changes on purpose."""

from collections.abc import Mapping, Sequence

from alembic.script import ScriptDirectory

from app.releases.migrations import revisions
from app.releases.plan.plan import Plan
from app.releases.schema.snapshot import Snapshot

Columns = dict[str, list[str]]
Chosen = Mapping[str, Sequence[str]]


def standing(columns: Columns, there: Snapshot) -> Columns:
    """Return those of the columns that still exist."""
    return {
        table: [name for name in names if name in there.tables[table].columns]
        for table, names in columns.items()
        if table in there.tables
    }


def lasting(columns: Columns, should: Snapshot, changing: Chosen) -> Columns:
    """Return the columns that the plan neither drops nor changes on purpose."""
    return {
        table: [
            name
            for name in names
            if name not in changing.get(table, ())
            and (table not in should.tables or name in should.tables[table].columns)
        ]
        for table, names in columns.items()
    }


def changed_on_purpose(plan: Plan) -> dict[str, list[str]]:
    """Return the columns whose values the revisions declare to change (``changes_values``)."""
    scripts = ScriptDirectory(str(revisions.FOLDER))
    changing: dict[str, list[str]] = {}
    for name in plan.revisions:
        declared = getattr(scripts.get_revision(name).module, "changes_values", {})
        for table, columns in declared.items():
            changing.setdefault(table, []).extend(columns)
    return changing
