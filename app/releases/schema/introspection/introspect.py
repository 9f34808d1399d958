"""Reads a database's catalogue into a ``Snapshot``.

One transaction, so that everything is from the same moment. ``search_path`` is set in it, because
PostgreSQL leaves out the schema of whatever is found by it. Nothing here waits behind a migration
for longer than ``PATIENCE``.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any, Final

import asyncpg

from app.releases.schema.comparison.trait_words import FIRST, LAST
from app.releases.schema.introspection import object_queries, trait_queries
from app.releases.schema.introspection.stored_settings import setting_traits
from app.releases.schema.introspection.trait_queries import OURS
from app.releases.schema.snapshot import (
    Column,
    Constraint,
    Sequence,
    Snapshot,
    Table,
    TableIndex,
    Trait,
    Traits,
    Trigger,
)
from app.releases.verdict import MigrationContended

PATIENCE: Final = "2s"
# Every kind of trait that is looked at, so that one without any counts as looked at too.
KINDS: Final = (*FIRST, *LAST, "owner", "privilege", "materialized")

# The triggers of a foreign key stand on both its tables and have no names that people know. $1 is
# the app's role.
_TABLES: Final = f"""{OURS}SELECT "table" AS name, relpersistence = 'u' AS unlogged,
  relrowsecurity AS row_security,
  ARRAY(SELECT DISTINCT quote_ident(conname) COLLATE "C" AS name
    FROM pg_trigger JOIN pg_constraint k ON k.oid = tgconstraint
    WHERE tgrelid = ours.oid AND tgisinternal AND tgenabled IN ('D', 'R') ORDER BY name)
    AS silenced,
  ARRAY(SELECT privilege FROM unnest(ARRAY['DELETE', 'INSERT', 'SELECT', 'UPDATE']) AS privilege
    WHERE has_table_privilege($1, ours.oid, privilege)
      AND has_schema_privilege($1, 'public', 'USAGE')) AS grants FROM ours"""

# A NOT NULL may itself be NOT VALID (since PostgreSQL 18): then rows may hold NULL.
_COLUMNS: Final = f"""{OURS}SELECT "table", quote_ident(attname) AS name,
  format_type(atttypid, atttypmod) AS type,
  attnotnull AND NOT EXISTS (SELECT FROM pg_constraint n WHERE n.conrelid = attrelid
    AND n.contype = 'n' AND n.conkey = ARRAY[attnum] AND NOT n.convalidated) AS not_null,
  CASE attgenerated WHEN '' THEN coalesce(pg_get_expr(adbin, adrelid), '') ELSE '' END AS "default",
  CASE attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' ELSE '' END AS identity,
  CASE attgenerated WHEN '' THEN '' ELSE format('(%s) %s', pg_get_expr(adbin, adrelid),
    CASE attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END) END AS generated,
  CASE WHEN attcollation <> typcollation THEN attcollation::regcollation::text ELSE '' END
    AS collation
  FROM ours JOIN pg_attribute ON attrelid = ours.oid AND attnum > 0 AND NOT attisdropped
  JOIN pg_type t ON t.oid = atttypid
  LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"""

# NOT NULL (contype n, since PostgreSQL 18) is a column's; t is a constraint trigger, a trigger.
_CONSTRAINTS: Final = f"""{OURS}SELECT "table", quote_ident(conname) AS name,
  CASE contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique' WHEN 'x' THEN 'exclusion'
    WHEN 'f' THEN 'foreign key' ELSE 'check' END AS sort,
  regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', '') AS definition,
  CASE WHEN contype IN ('p', 'u', 'x') THEN indisvalid ELSE convalidated END AS valid
  FROM ours JOIN pg_constraint k ON conrelid = ours.oid AND contype IN ('p', 'u', 'x', 'f', 'c')
  LEFT JOIN pg_index ON indexrelid = conindid"""

_INDEXES: Final = f"""{OURS}SELECT "table", quote_ident(i.relname) AS name, indisunique AS "unique",
  substr(pg_get_indexdef(indexrelid), 1 + length(format('CREATE %sINDEX %I ',
    CASE WHEN indisunique THEN 'UNIQUE ' ELSE '' END, i.relname))) AS definition,
  indisvalid AND indisready AND indislive AS valid
  FROM ours JOIN pg_index ON indrelid = ours.oid JOIN pg_class i ON i.oid = indexrelid
  WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid
    AND contype IN ('p', 'u', 'x'))"""

_TRIGGERS: Final = f"""{OURS}SELECT "table", quote_ident(tgname) AS name,
  pg_get_triggerdef(t.oid) AS definition,
  CASE tgenabled WHEN 'O' THEN 'enabled' WHEN 'A' THEN 'always' WHEN 'D' THEN 'disabled'
    ELSE 'replica only' END AS firing
  FROM ours JOIN pg_trigger t ON tgrelid = ours.oid AND NOT tgisinternal"""

_RULES: Final = f"""{OURS}SELECT "table", quote_ident(rulename) AS name,
  pg_get_ruledef(r.oid) AS value
  FROM ours JOIN pg_rewrite r ON ev_class = ours.oid"""

_SEQUENCES: Final = f"""{OURS}SELECT quote_ident(s.relname) AS name, "table",
  quote_ident(attname) AS "column", deptype = 'i' AS internal,
  format('AS %s INCREMENT %s MINVALUE %s MAXVALUE %s START %s %s', seqtypid::regtype,
    seqincrement, seqmin, seqmax, seqstart, CASE WHEN seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END)
    AS definition, has_sequence_privilege($1, s.oid, 'USAGE') AS usable
  FROM ours JOIN pg_depend d ON refclassid = 'pg_class'::regclass AND refobjid = ours.oid
    AND classid = 'pg_class'::regclass AND deptype IN ('a', 'i')
  JOIN pg_class s ON s.oid = objid AND s.relkind = 'S' JOIN pg_sequence ON seqrelid = s.oid
  JOIN pg_attribute ON attrelid = ours.oid AND attnum = refobjsubid"""

_ENUMS: Final = """SELECT quote_ident(typname) AS name,
  array_agg(enumlabel::text ORDER BY enumsortorder) AS value
  FROM pg_type t JOIN pg_enum ON enumtypid = t.oid
  WHERE typnamespace = 'public'::regnamespace GROUP BY typname"""

_FUNCTIONS: Final = """SELECT format('%I(%s)', proname, pg_get_function_identity_arguments(p.oid))
  AS name, pg_get_functiondef(p.oid) AS value FROM pg_proc p
  WHERE pronamespace = 'public'::regnamespace AND prokind IN ('f', 'p')
    AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass
      AND objid = p.oid AND deptype = 'e')"""

_VIEWS: Final = f"""{OURS}SELECT v.oid::regclass::text AS name,
  array_agg(DISTINCT "table" ORDER BY "table") AS value
  FROM ours JOIN pg_depend d ON refclassid = 'pg_class'::regclass AND refobjid = ours.oid
    AND classid = 'pg_rewrite'::regclass
  JOIN pg_rewrite r ON r.oid = objid JOIN pg_class v ON v.oid = ev_class
  WHERE v.relkind IN ('v', 'm') GROUP BY v.oid"""

# Where a value is stored that sessions of the app's role begin with.
_REPLICATION: Final = """SELECT CASE WHEN setrole <> 0 AND setdatabase <> 0 THEN 'role in database'
    WHEN setrole <> 0 THEN 'role' WHEN setdatabase <> 0 THEN 'database' ELSE 'all roles' END
    AS name, split_part(setting, '=', 2) AS value
  FROM pg_db_role_setting, unnest(setconfig) AS setting
  WHERE setrole IN (0, quote_ident($1)::regrole) AND setting LIKE 'session_replication_role=%'
    AND setting <> 'session_replication_role=origin'
    AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
  UNION ALL SELECT 'server', setting FROM pg_settings
  WHERE name = 'session_replication_role' AND source IN ('configuration file', 'command line')
    AND setting <> 'origin'"""

Rows = list[asyncpg.Record]


async def read_snapshot(
    connection: asyncpg.Connection, role: str | None = None, patience: str = PATIENCE
) -> Snapshot:
    """Read the schema ``public``; ``role`` is the app's, by default the connection's own.

    ``patience`` is how long a lock is waited for. The connection must not be in a transaction.
    Raises MigrationContended when a migration holds what is to be read.
    """
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(f"SET LOCAL lock_timeout = '{patience}'")
            await connection.execute("SET LOCAL search_path = public")
            return await _read(connection, role or await connection.fetchval("SELECT current_user"))
    except asyncpg.LockNotAvailableError as busy:
        raise MigrationContended(
            f"The schema cannot be read: somebody has held a table for more than {patience}; "
            "look again when the migration that is running has finished."
        ) from busy


async def _read(connection: asyncpg.Connection, role: str) -> Snapshot:
    async def read(query: str, *values: object) -> Rows:
        return sorted(await connection.fetch(query, *values), key=itemgetter("name"))

    parts = {
        "columns": _built(Column, await read(_COLUMNS)),
        "constraints": _built(Constraint, await read(_CONSTRAINTS)),
        "indexes": _built(TableIndex, await read(_INDEXES)),
        "triggers": _built(Trigger, await read(_TRIGGERS)),
        "rules": _built(lambda value: value, await read(_RULES)),
    }
    tables = await read(_TABLES, role)
    sequences = await read(_SEQUENCES, role)
    return Snapshot(
        tables={
            name: Table(**rest, **{part: built[name] for part, built in parts.items()})
            for name, rest in _named(tables)
        },
        sequences={name: Sequence(**rest) for name, rest in _named(sequences)},
        enums=_values(await read(_ENUMS)),
        functions=_values(await read(_FUNCTIONS)),
        views=_values(await read(_VIEWS)),
        replication=_values(await read(_REPLICATION, role)),
        role=await connection.fetchval("SELECT quote_ident($1)", role),
        traits=await _traits(connection, role),
        standins=_values(await read(object_queries.STANDINS)),
    )


async def _traits(connection: asyncpg.Connection, role: str) -> dict[str, Traits]:
    traits: dict[str, dict[str, Trait]] = {kind: {} for kind in KINDS}
    for query, *values in (
        (trait_queries.OF_TABLES,),
        (trait_queries.OF_COLUMNS,),
        (trait_queries.OF_SEQUENCES,),
        (object_queries.OF_SCHEMA, role),
        (object_queries.OF_OBJECTS,),
        (object_queries.SEARCH_PATH, role),
    ):
        for row in await connection.fetch(query, *values):
            make, undo = ((row[way],) if row[way] else () for way in ("make", "undo"))
            trait = Trait(table=row["table"], value=row["value"], make=make, undo=undo)
            traits[row["kind"]][row["object"]] = trait
    return {**traits, "setting": await setting_traits(connection, role)}


def _built(factory: Callable[..., Any], rows: Rows) -> dict[str, Any]:
    """Make one object of each row, by table and name."""
    by_table: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for name, rest in _named(rows):
        table = rest.pop("table")
        by_table[table][name] = factory(**rest)
    return by_table


def _values(rows: Rows) -> dict[str, Any]:
    return {name: rest["value"] for name, rest in _named(rows)}


def _named(rows: Rows) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each row's name and its other values, lists as tuples."""
    for row in rows:
        rest = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items() if k != "name"}
        yield row["name"], rest
