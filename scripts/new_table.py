"""Writes the migration that makes the tables of a new entity type, from its declaration.

What is written is complete, but for its docstring's words; it does not import the declaration,
which may change later. ``docs/migrations.md`` says what to do with it.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from app.entities import discovered
from app.model.entity import Row
from app.releases.migrations import revisions

VERSIONS: Final = Path(__file__).parents[1] / "alembic" / "versions"
_PAGE: Final = '''"""{noun}: a new table{plural}.

Revision {revision}, after {before}.
"""

from app.releases.migrations.catalogue import key_column
from app.releases.migrations.ddl import Index, add_foreign_key, build_index
from app.releases.migrations.migration_session import ACROSS_TABLES
from app.releases.migrations.steps import beside

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None

phase = "expand"
table = None

{constants}


def upgrade() -> None:
    """Create it beside, since its foreign keys lock other tables for a moment, with retries."""
    with beside() as steps:
{steps}


def downgrade() -> None:
    """Drop it, and with it the rows that were made meanwhile."""
    with beside() as steps:
        steps.brief({drops}, lock_timeout=ACROSS_TABLES)
'''


def tables_of(entity: type[Row]) -> list[sa.Table]:
    """Return the tables of an entity type: its own, then those of its lists."""
    models = [entity, *(parts.model for parts in entity.parts.values())]
    return [entity.metadata.tables[str(model.__tablename__)] for model in models]


def migration(entity: type[Row], revision: str, before: str) -> str:
    """Return the text of a revision that makes the tables of an entity type."""
    tables = tables_of(entity)
    return _PAGE.format(
        noun=entity.noun, plural="s" if len(tables) > 1 else "", revision=revision, before=before,
        constants="\n".join(f'{table.name.upper()} = """{_created(table)}"""' for table in tables),
        steps="\n".join(line for table in tables for line in _steps(table)),
        drops=", ".join(f'"DROP TABLE IF EXISTS {table.name}"' for table in reversed(tables)),
    )  # fmt: skip


def _created(table: sa.Table) -> str:
    """Return the CREATE TABLE of a table without its foreign keys: those come with retries."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # its constructor is untyped
    text = str(CreateTable(table, include_foreign_key_constraints=[]).compile(dialect=dialect))
    return "\n".join(line.replace("\t", "    ").rstrip() for line in text.strip().splitlines())


def _steps(table: sa.Table) -> Iterator[str]:
    yield f'        if key_column(steps, "{table.name}") is None:'
    yield f"            steps.brief({table.name.upper()})"
    for key in sorted(table.foreign_key_constraints, key=lambda each: each.column_keys[0]):
        yield (
            f'        add_foreign_key(\n            steps, "{table.name}", "{key.column_keys[0]}", '
            f'"{key.referred_table.name}", actions="ON DELETE {key.ondelete}"\n        )'
        )
    for index in sorted(table.indexes, key=lambda each: str(each.name)):
        columns = ", ".join(str(each).removeprefix(f"{table.name}.") for each in index.expressions)
        where = index.dialect_options["postgresql"]["where"]
        rows = f', "{where}"' if where is not None else ""
        yield f'        build_index(steps, "{table.name}", Index("{columns}"{rows}))'


def main(words: list[str]) -> None:
    """Write the file. Exit with 1 where there is no such entity type."""
    entity = discovered().get(words[0] if words else "")
    if entity is None:
        sys.exit(f"scripts/new-table COLLECTION: one of {', '.join(discovered())}.")
    before = revisions.head()
    number = int(before[:4]) + 1
    revision = f"{number:04}_{entity.collection.replace('-', '_')}"
    file = VERSIONS / f"{revision}.py"
    file.write_text(migration(entity, revision, before))
    print(f"Wrote {file}. Read it, then run scripts/seal and scripts/check.")  # said to who runs it


if __name__ == "__main__":
    main(sys.argv[1:])
