"""Reads what else is true of our tables: owners, grants, storage, inheritance, policies.

Each query gives rows of kind, table, object, value, make and undo; see ``Trait``. What is as
PostgreSQL makes it by default gives no row.
"""

from typing import Final

# Our tables. Left out are those that Alembic and the backfill keep, of the same form in every
# database that has them, and what extensions brought, which is theirs to keep right.
OURS: Final = """WITH ours AS (
  SELECT c.*, quote_ident(relname) AS "table" FROM pg_class c
  WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
    AND relname NOT IN ('alembic_version', 'release_backfill')
    AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass
      AND objid = c.oid AND deptype = 'e')
) """

OF_TABLES: Final = f"""{OURS}SELECT 'owner' AS kind, "table", 'TABLE ' || "table" AS object,
    relowner::regrole::text AS value, '' AS make, '' AS undo FROM ours
  UNION ALL SELECT 'relation', "table", "table", concat_ws(', ',
      CASE relkind WHEN 'p' THEN 'partitioned' END,
      CASE WHEN reloftype <> 0 THEN 'of type ' || reloftype::regtype END),
    '', CASE WHEN reloftype <> 0 THEN format('ALTER TABLE %s NOT OF', "table") ELSE '' END
  FROM ours WHERE relkind = 'p' OR reloftype <> 0
  UNION ALL SELECT 'access_method', "table", "table", quote_ident(amname),
    format('ALTER TABLE %s SET ACCESS METHOD %I', "table", amname),
    format('ALTER TABLE %s SET ACCESS METHOD heap', "table")
  FROM ours JOIN pg_am a ON a.oid = relam WHERE amname <> 'heap'
  UNION ALL SELECT 'tablespace', "table", c.oid::regclass::text, quote_ident(spcname),
    format('ALTER %s %s SET TABLESPACE %I', word, c.oid::regclass, spcname),
    format('ALTER %s %s SET TABLESPACE pg_default', word, c.oid::regclass)
  FROM ours LEFT JOIN pg_index ON indrelid = ours.oid
  JOIN pg_class c ON c.oid IN (ours.oid, indexrelid)
  JOIN pg_tablespace s ON s.oid = c.reltablespace,
    LATERAL (SELECT CASE c.relkind WHEN 'i' THEN 'INDEX' ELSE 'TABLE' END) AS w (word)
  UNION SELECT 'replica_identity', "table", "table", value,
    format('ALTER TABLE %s REPLICA IDENTITY %s', "table", value),
    format('ALTER TABLE %s REPLICA IDENTITY DEFAULT', "table")
  FROM ours, LATERAL (SELECT CASE relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING'
    ELSE 'USING INDEX ' || (SELECT indexrelid::regclass FROM pg_index
      WHERE indrelid = ours.oid AND indisreplident) END) AS r (value)
  WHERE relreplident <> 'd' AND value IS NOT NULL
  UNION ALL SELECT 'forced_row_security', "table", "table", 'forced',
    format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', "table"),
    format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', "table")
  FROM ours WHERE relforcerowsecurity
  UNION ALL SELECT 'storage_parameter', "table", format('%s.%s%s', c.of, prefix, name), value,
    format('ALTER %s %s SET (%s%s = %s)', word, c.of, prefix, name, value),
    format('ALTER %s %s RESET (%s%s)', word, c.of, prefix, name)
  FROM (SELECT "table", "table" AS of, 'TABLE' AS word, '' AS prefix, reloptions FROM ours
    UNION ALL SELECT "table", "table", 'TABLE', 'toast.', t.reloptions
    FROM ours JOIN pg_class t ON t.oid = ours.reltoastrelid
    UNION ALL SELECT "table", i.oid::regclass::text, 'INDEX', '', i.reloptions
    FROM ours JOIN pg_constraint ON conrelid = ours.oid AND contype IN ('p', 'u', 'x')
    JOIN pg_class i ON i.oid = conindid) AS c, unnest(reloptions) AS o,
    LATERAL (SELECT split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)) AS p (name, value)
  UNION ALL SELECT 'clustered', "table", indexrelid::regclass::text, 'clustered',
    format('ALTER TABLE %s CLUSTER ON %s', "table", indexrelid::regclass),
    format('ALTER TABLE %s SET WITHOUT CLUSTER', "table")
  FROM ours JOIN pg_index ON indrelid = ours.oid WHERE indisclustered
  UNION ALL SELECT 'child', "table", c.oid::regclass::text, "table", '',
    CASE WHEN c.relispartition
      THEN format('ALTER TABLE %s DETACH PARTITION %s', "table", c.oid::regclass)
      ELSE format('ALTER TABLE %s NO INHERIT %s', c.oid::regclass, "table") END
  FROM ours JOIN pg_inherits ON inhparent = ours.oid JOIN pg_class c ON c.oid = inhrelid
  UNION ALL SELECT 'parent', "table", inhparent::regclass::text, "table", '',
    CASE WHEN relispartition
      THEN format('ALTER TABLE %s DETACH PARTITION %s', inhparent::regclass, "table")
      ELSE format('ALTER TABLE %s NO INHERIT %s', "table", inhparent::regclass) END
  FROM ours JOIN pg_inherits ON inhrelid = ours.oid
  WHERE inhparent NOT IN (SELECT oid FROM ours)
  UNION ALL SELECT 'policy', "table", quote_ident(polname), definition,
    format('CREATE POLICY %I ON %s %s', polname, "table", definition),
    format('DROP POLICY %I ON %s', polname, "table")
  FROM ours JOIN pg_policy ON polrelid = ours.oid, LATERAL (SELECT concat_ws(' ',
    CASE WHEN polpermissive THEN 'AS PERMISSIVE' ELSE 'AS RESTRICTIVE' END, 'FOR',
    CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
      WHEN 'd' THEN 'DELETE' ELSE 'ALL' END, 'TO',
    (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE r::regrole::text END, ', ')
      FROM unnest(polroles) AS r),
    'USING (' || pg_get_expr(polqual, polrelid) || ')',
    'WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')')) AS p (definition)
  UNION ALL SELECT 'rule_firing', "table", quote_ident(rulename), value,
    format('ALTER TABLE %s %s RULE %I', "table", value, rulename),
    format('ALTER TABLE %s ENABLE RULE %I', "table", rulename)
  FROM ours JOIN pg_rewrite ON ev_class = ours.oid, LATERAL (SELECT CASE ev_enabled
    WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END) AS f (value)
  WHERE ev_enabled <> 'O'
  UNION ALL SELECT 'statistics_object', "table",
    format('%s.%I', stxnamespace::regnamespace, stxname), pg_get_statisticsobjdef(s.oid),
    pg_get_statisticsobjdef(s.oid),
    format('DROP STATISTICS %s.%I', stxnamespace::regnamespace, stxname)
  FROM ours JOIN pg_statistic_ext s ON stxrelid = ours.oid
  UNION ALL SELECT 'subscription', "table", quote_ident(subname), 'subscribed', '', ''
  FROM ours JOIN pg_subscription_rel ON srrelid = ours.oid
  JOIN pg_subscription s ON s.oid = srsubid
"""

OF_COLUMNS: Final = f"""{OURS}, columns AS (
  SELECT "table", a.*, t.typstorage, format('%s.%I', "table", attname) AS object,
    format('ALTER TABLE %s ALTER COLUMN %I ', "table", attname) AS change
  FROM ours JOIN pg_attribute a ON attrelid = ours.oid AND attnum > 0 AND NOT attisdropped
  JOIN pg_type t ON t.oid = atttypid
), storages (code, word) AS (
  VALUES ('p', 'PLAIN'), ('e', 'EXTERNAL'), ('x', 'EXTENDED'), ('m', 'MAIN')
) SELECT 'column_storage' AS kind, "table", object, s.word AS value,
    format('%sSET STORAGE %s', change, s.word) AS make,
    format('%sSET STORAGE %s', change, d.word) AS undo
  FROM columns JOIN storages s ON s.code::"char" = attstorage
  JOIN storages d ON d.code::"char" = typstorage WHERE attstorage <> typstorage
  UNION ALL SELECT 'column_compression', "table", object, value,
    format('%sSET COMPRESSION %s', change, value), change || 'SET COMPRESSION default'
  FROM columns, LATERAL (SELECT CASE attcompression WHEN 'p' THEN 'pglz' ELSE 'lz4' END)
    AS c (value) WHERE attcompression <> ''
  UNION ALL SELECT 'column_statistics', "table", object, attstattarget::text,
    format('%sSET STATISTICS %s', change, attstattarget), change || 'SET STATISTICS -1'
  FROM columns WHERE attstattarget <> -1
  UNION ALL SELECT 'column_statistics', "table", format('%s.%s', i.name, attnum),
    attstattarget::text, format('%sSET STATISTICS %s', change, attstattarget),
    change || 'SET STATISTICS -1'
  FROM ours JOIN pg_index ON indrelid = ours.oid
  JOIN pg_attribute ON attrelid = indexrelid AND attnum > 0 AND attstattarget <> -1,
    LATERAL (SELECT indexrelid::regclass::text,
      format('ALTER INDEX %s ALTER COLUMN %s ', indexrelid::regclass, attnum)) AS i (name, change)
  UNION ALL SELECT 'column_option', "table", object || '.' || name, value,
    format('%sSET (%s = %s)', change, name, value), format('%sRESET (%s)', change, name)
  FROM columns, unnest(attoptions) AS o,
    LATERAL (SELECT split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)) AS p (name, value)
  WHERE name IN ('n_distinct', 'n_distinct_inherited')
  UNION ALL SELECT 'public_grant', "table", object, string_agg(privilege_type, ', '),
    format('GRANT %s ON %s TO PUBLIC',
      string_agg(format('%s (%I)', privilege_type, attname), ', '), "table"),
    format('REVOKE ALL (%I) ON %s FROM PUBLIC', attname, "table")
  FROM columns, aclexplode(attacl) WHERE grantee = 0 GROUP BY "table", object, attname
  UNION ALL SELECT 'public_grant', "table", 'TABLE ' || "table",
    string_agg(privilege_type, ', ' ORDER BY privilege_type),
    format('GRANT %s ON %s TO PUBLIC', string_agg(privilege_type, ', '), "table"),
    format('REVOKE ALL ON %s FROM PUBLIC', "table")
  FROM ours, aclexplode(relacl) WHERE grantee = 0 GROUP BY "table"
  UNION ALL SELECT 'owner_privilege', "table", 'TABLE ' || "table",
    string_agg(privilege, ', '), '', format('GRANT %s ON %s TO %s',
      string_agg(privilege, ', '), "table", relowner::regrole)
  FROM ours, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
  WHERE relacl IS NOT NULL AND NOT has_table_privilege(relowner, ours.oid, privilege)
  GROUP BY "table", relowner
"""

OF_SEQUENCES: Final = f"""{OURS}, numbering AS (
  SELECT s.*, "table", s.oid::regclass::text AS object, seqcache
  FROM ours JOIN pg_depend d ON refclassid = 'pg_class'::regclass AND refobjid = ours.oid
    AND classid = 'pg_class'::regclass AND deptype IN ('a', 'i')
  JOIN pg_class s ON s.oid = objid AND s.relkind = 'S' JOIN pg_sequence ON seqrelid = s.oid
) SELECT 'sequence_cache' AS kind, "table", object, seqcache::text AS value,
    format('ALTER SEQUENCE %s CACHE %s', object, seqcache) AS make,
    format('ALTER SEQUENCE %s CACHE 1', object) AS undo FROM numbering WHERE seqcache <> 1
  UNION ALL SELECT 'sequence_unlogged', "table", object, 'UNLOGGED',
    format('ALTER SEQUENCE %s SET UNLOGGED', object),
    format('ALTER SEQUENCE %s SET LOGGED', object) FROM numbering WHERE relpersistence = 'u'
  UNION ALL SELECT 'public_grant', "table", 'SEQUENCE ' || object,
    string_agg(privilege_type, ', ' ORDER BY privilege_type),
    format('GRANT %s ON SEQUENCE %s TO PUBLIC', string_agg(privilege_type, ', '), object),
    format('REVOKE ALL ON SEQUENCE %s FROM PUBLIC', object)
  FROM numbering, aclexplode(relacl) WHERE grantee = 0 GROUP BY "table", object
"""
