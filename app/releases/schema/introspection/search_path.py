"""Reads the schemas that stand before ours in the search path, and what in them bears our names."""

from operator import itemgetter
from typing import Final

import asyncpg

from app.releases.schema.introspection.stored_settings import in_database
from app.releases.schema.snapshot import Trait, Traits

# The search path of a session's beginning: what is stored for the role in this database comes
# before what is stored for the role, for the database, and for all.
_BEFORE: Final = """WITH roles AS (
  SELECT DISTINCT r AS role, quote_ident(r)::regrole AS oid
  FROM unnest(ARRAY[$1::text, current_user::text]) AS r
), stored AS (
  SELECT setrole, setdatabase, substr(value, 13) AS path
  FROM pg_db_role_setting, unnest(setconfig) AS value WHERE value LIKE 'search\\_path=%'
    AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
), paths AS (
  SELECT role, coalesce((SELECT path FROM stored WHERE setrole IN (0, roles.oid)
      ORDER BY setrole <> 0 DESC, setdatabase <> 0 DESC LIMIT 1),
    CASE WHEN role = current_user OR NOT EXISTS (SELECT FROM stored
        WHERE setrole = quote_ident(current_user)::regrole)
      THEN (SELECT reset_val FROM pg_settings WHERE name = 'search_path')
      ELSE '"$user", public' END) AS path FROM roles
), places AS (
  SELECT role, path, n.oid, nspname, place FROM paths
  CROSS JOIN LATERAL regexp_split_to_table(path, '\\s*,\\s*') WITH ORDINALITY AS e (element, place)
  JOIN pg_namespace n ON nspname = CASE WHEN trim(element) IN ('$user', '"$user"') THEN role
    WHEN trim(element) LIKE '"%"' THEN replace(substr(trim(element), 2,
      length(trim(element)) - 2), '""', '"') ELSE lower(trim(element)) END
  WHERE has_schema_privilege(role, n.oid, 'USAGE') OR nspname = 'public'
), ahead AS (
  SELECT * FROM places p WHERE nspname NOT IN ('public', 'pg_catalog') AND place < coalesce(
    (SELECT min(place) FROM places q WHERE q.role = p.role AND nspname = 'public'), 1000000)
) SELECT 'search_path' AS kind, NULL AS "table", quote_ident(role) AS object, path AS value
    FROM paths WHERE role IN (SELECT role FROM ahead)
      OR role NOT IN (SELECT role FROM places WHERE nspname = 'public')
  UNION SELECT 'shadow', quote_ident(r.relname), format('%I.%I', nspname, r.relname),
    CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
      WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence' ELSE 'table' END
    FROM ahead JOIN pg_class r ON relnamespace = ahead.oid
    AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  UNION SELECT 'shadow', NULL, format('%I.%I', nspname, proname), 'function'
    FROM ahead JOIN pg_proc ON pronamespace = ahead.oid
  UNION SELECT 'shadow', NULL, format('%I.%I', nspname, typname), 'type'
    FROM ahead JOIN pg_type ON typnamespace = ahead.oid AND typtype IN ('e', 'd')"""


async def path_traits(connection: asyncpg.Connection, role: str) -> dict[str, Traits]:
    """Read what stands before our schema for ``role``, and for the connection's own role.

    The mend is what is stored for the role in this database: it goes before all else.
    """
    traits: dict[str, dict[str, Trait]] = {"search_path": {}, "shadow": {}}
    rows = await connection.fetch(_BEFORE, role)
    for row in sorted(rows, key=itemgetter("object")):
        change = f"ALTER ROLE {row['object']} IN DATABASE %I SET search_path = public"
        undo = (in_database(change),) if row["kind"] == "search_path" else ()
        traits[row["kind"]][row["object"]] = Trait(
            table=row["table"], value=row["value"], undo=undo
        )
    return dict(traits)
