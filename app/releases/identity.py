"""By which tables the gate recognises what a database is: names and SQL, nothing is imported."""

from typing import Final

OLDER_SERVICE_TABLE: Final = "_prisma_migrations"
"""The table that shows that an older service uses the database too."""

# The product's tables that have stood since before its first revision.
_CORE: Final = ("productions", "cameras")

HOLDS_CORE_TABLES: Final = " OR ".join(
    f"to_regclass('public.{name}') IS NOT NULL" for name in _CORE
)
"""SQL: whether the database is the product's, or the older service's before its adoption."""
BUILT_BY_REVISIONS: Final = """to_regclass('public.changes') IS NOT NULL OR EXISTS (
  SELECT FROM pg_attribute WHERE attrelid = to_regclass('public.productions')
    AND attname = 'uuid' AND attnum > 0 AND NOT attisdropped)"""
"""SQL: whether something is there that only our revisions build."""
HOLDS_FOREIGN_TABLES_ONLY: Final = f"""EXISTS (SELECT FROM pg_class
    WHERE relnamespace = to_regnamespace('public') AND relkind IN ('r', 'p')
      AND relname <> 'alembic_version' AND NOT starts_with(relname, 'release_'))
  AND NOT ({HOLDS_CORE_TABLES})"""
"""SQL: whether the database belongs to somebody else."""
