"""Queries for what belongs to no table: rights, all that acts on the whole database, search paths.

Their rows have the columns of those in ``trait_queries``.
"""

from typing import Final

# What belongs to no table. $1 is the app's role. Views that hold rows are dropped by another word
# than others.
OF_SCHEMA: Final = """WITH routines AS (
  SELECT oid, proowner AS owner, format('%s %I(%s)', CASE prokind WHEN 'p' THEN 'PROCEDURE'
      ELSE 'FUNCTION' END, proname, pg_get_function_identity_arguments(oid)) AS object
  FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prokind IN ('f', 'p')
), types AS (
  SELECT oid, typowner AS owner, format('TYPE %I', typname) AS object
  FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd')
) SELECT 'owner' AS kind, NULL AS "table", object, owner::regrole::text AS value,
    '' AS make, '' AS undo FROM (SELECT * FROM routines UNION ALL SELECT * FROM types) AS o
  UNION ALL SELECT 'schema_owner', NULL, 'SCHEMA public', nspowner::regrole::text,
    format('ALTER SCHEMA public OWNER TO %s', nspowner::regrole),
    'ALTER SCHEMA public OWNER TO pg_database_owner'
  FROM pg_namespace n WHERE nspname = 'public' AND nspowner <> ALL (ARRAY[10,
      'pg_database_owner'::regrole,
      (SELECT datdba FROM pg_database WHERE datname = current_database())])
    AND NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = n.oid AND relkind IN ('r', 'p')
      AND relowner = nspowner)
  UNION ALL SELECT 'privilege', NULL, object, 'EXECUTE', '', ''
  FROM routines WHERE has_function_privilege($1, oid, 'EXECUTE')
  UNION ALL SELECT 'privilege', NULL, object, 'USAGE', '', ''
  FROM types WHERE has_type_privilege($1, oid, 'USAGE')
  UNION ALL SELECT 'system_privilege', NULL, 'FUNCTION pg_catalog.' || p.oid::regprocedure,
    'refused', '', format('GRANT EXECUTE ON FUNCTION %s TO %I',
      'pg_catalog.' || p.oid::regprocedure, $1)
  FROM pg_proc p WHERE pronamespace = 'pg_catalog'::regnamespace AND proacl IS NOT NULL
    AND NOT has_function_privilege($1, p.oid, 'EXECUTE') AND NOT EXISTS (SELECT
      FROM pg_init_privs i WHERE i.classoid = 'pg_proc'::regclass AND i.objoid = p.oid)
  UNION ALL SELECT 'system_privilege', NULL, format('TYPE pg_catalog.%I', typname),
    'refused', '', format('GRANT USAGE ON TYPE pg_catalog.%I TO %I', typname, $1)
  FROM pg_type t WHERE typnamespace = 'pg_catalog'::regnamespace AND typacl IS NOT NULL
    AND NOT has_type_privilege($1, t.oid, 'USAGE')
  UNION ALL SELECT 'system_privilege', NULL, format('LANGUAGE %I', lanname),
    'refused', '', format('GRANT USAGE ON LANGUAGE %I TO %I', lanname, $1)
  FROM pg_language l WHERE lanpltrusted AND NOT has_language_privilege($1, l.oid, 'USAGE')
  UNION ALL SELECT 'materialized', NULL, oid::regclass::text, '', '', ''
  FROM pg_class WHERE relkind = 'm'
"""

# All that stands in the schema or acts on the whole database, but for tables and what goes with
# them. "acting" is what can change the meaning of our statements by being there.
OF_OBJECTS: Final = """WITH candidates (class, oid, acting) AS (
  SELECT 'pg_class'::regclass, oid, false FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm', 'S', 'f')
  UNION ALL SELECT 'pg_type'::regclass, t.oid, false FROM pg_type t
    LEFT JOIN pg_class r ON r.oid = typrelid
    WHERE typnamespace = 'public'::regnamespace AND coalesce(r.relkind, 'c') = 'c'
  UNION ALL SELECT 'pg_proc'::regclass, p.oid, EXISTS (SELECT FROM pg_proc b
      WHERE b.proname = p.proname AND b.pronamespace = 'pg_catalog'::regnamespace)
    FROM pg_proc p WHERE pronamespace = 'public'::regnamespace
  UNION ALL SELECT 'pg_operator'::regclass, o.oid, NOT EXISTS (SELECT FROM pg_type t
      WHERE t.oid IN (oprleft, oprright) AND typnamespace <> 'pg_catalog'::regnamespace)
    FROM pg_operator o WHERE oprnamespace = 'public'::regnamespace
  UNION ALL SELECT 'pg_cast'::regclass, c.oid, true FROM pg_cast c WHERE c.oid >= 16384
    AND NOT EXISTS (SELECT FROM pg_type t WHERE t.oid IN (castsource, casttarget)
      AND typnamespace <> ALL ('{pg_catalog,public}'::regnamespace[]))
  UNION ALL SELECT 'pg_event_trigger'::regclass, oid, true FROM pg_event_trigger
  UNION ALL SELECT 'pg_opclass'::regclass, oid, opcdefault FROM pg_opclass
    WHERE opcnamespace = 'public'::regnamespace
  UNION ALL SELECT 'pg_opfamily'::regclass, oid, false FROM pg_opfamily
    WHERE opfnamespace = 'public'::regnamespace
  UNION ALL SELECT 'pg_collation'::regclass, oid, false FROM pg_collation
    WHERE collnamespace = 'public'::regnamespace
  UNION ALL SELECT 'pg_conversion'::regclass, oid, condefault FROM pg_conversion
    WHERE connamespace = 'public'::regnamespace
  UNION ALL SELECT 'pg_ts_config'::regclass, oid, false FROM pg_ts_config
    WHERE cfgnamespace = 'public'::regnamespace
  UNION ALL SELECT 'pg_ts_dict'::regclass, oid, false FROM pg_ts_dict
    WHERE dictnamespace = 'public'::regnamespace
  UNION ALL SELECT 'pg_ts_parser'::regclass, oid, false FROM pg_ts_parser
    WHERE prsnamespace = 'public'::regnamespace
  UNION ALL SELECT 'pg_ts_template'::regclass, oid, false FROM pg_ts_template
    WHERE tmplnamespace = 'public'::regnamespace
) SELECT CASE WHEN acting THEN 'acting' ELSE 'object' END AS kind, NULL AS "table",
    i.type || ' ' || i.identity AS object, i.type AS value, '' AS make,
    format('DROP %s IF EXISTS %s', upper(i.type), i.identity) AS undo
  FROM candidates c, pg_identify_object(class, c.oid, 0) AS i
  WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE classid = class AND objid = c.oid
    AND (deptype IN ('e', 'i') OR deptype = 'a' AND class = 'pg_class'::regclass
      AND refclassid = 'pg_class'::regclass))
  ORDER BY array_position(ARRAY['event trigger', 'cast', 'materialized view', 'view',
    'operator class', 'operator family', 'operator', 'aggregate', 'function', 'procedure'], i.type)
"""

# What bears a name that a table may have, without being a table of our schema.
STANDINS: Final = """SELECT quote_ident(relname) AS name, array_agg(what ORDER BY what) AS value
  FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace,
    LATERAL (SELECT (CASE relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view '
      WHEN 'f' THEN 'foreign table ' WHEN 'S' THEN 'sequence ' WHEN 'c' THEN 'type '
      ELSE 'table ' END || c.oid::regclass) COLLATE "C") AS w (what)
  WHERE nspname = 'public' AND relkind IN ('v', 'm', 'f', 'S', 'c')
    OR nspname !~ '^pg_' AND nspname NOT IN ('public', 'information_schema')
      AND relkind IN ('r', 'p') GROUP BY relname"""

# What stands before our schema in the search path that sessions begin with, and bears our names:
# for the app's role ($1), and for the connection's own. What is stored for a role in this database
# comes before what is stored for the role, for the database, and for all; so that is the mend.
SEARCH_PATH: Final = """WITH roles AS (
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
), found AS (
  SELECT 'search_path' AS kind, NULL AS "table", quote_ident(role) AS object, path AS value,
    format('DO $$ BEGIN EXECUTE format(%L, current_database()); END $$',
      format('ALTER ROLE %I IN DATABASE %%I SET search_path = public', role)) AS undo
    FROM paths WHERE role IN (SELECT role FROM ahead)
      OR role NOT IN (SELECT role FROM places WHERE nspname = 'public')
  UNION SELECT 'shadow', quote_ident(r.relname), format('%I.%I', nspname, r.relname),
    CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
      WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence' ELSE 'table' END, ''
    FROM ahead JOIN pg_class r ON relnamespace = ahead.oid
    AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  UNION SELECT 'shadow', NULL, format('%I.%I', nspname, proname), 'function', ''
    FROM ahead JOIN pg_proc ON pronamespace = ahead.oid
  UNION SELECT 'shadow', NULL, format('%I.%I', nspname, typname), 'type', ''
    FROM ahead JOIN pg_type ON typnamespace = ahead.oid AND typtype IN ('e', 'd')
) SELECT *, '' AS make FROM found ORDER BY object COLLATE "C"
"""
