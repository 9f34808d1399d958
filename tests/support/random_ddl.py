"""Statements at random that change a schema by hand: many kinds, most of which succeed."""

from collections.abc import Mapping, Sequence
from typing import Final

from hypothesis import strategies as st

from app.releases.schema.snapshot import Snapshot

NAMES: Final = ("aa", "bb", '"C c"', "dd")
TYPES: Final = ("text", "integer", "jsonb", "boolean", "uuid", "timestamptz", "numeric(6,2)")
SETTINGS: Final = (
    "timezone = 'Asia/Tokyo'", "datestyle = 'German, DMY'", "default_transaction_read_only = on",
    "default_transaction_isolation = serializable", "bytea_output = escape", "row_security = off",
    "intervalstyle = iso_8601", "standard_conforming_strings = off", "synchronous_commit = off",
    "session_replication_role = replica", "search_path = aa, public", "array_nulls = off",
    "idle_session_timeout = 10000", "check_function_bodies = off", "xmloption = document",
    "work_mem = '8MB'", "statement_timeout = 5000", "log_statement = 'all'", "jit = off",
    "default_transaction_deferrable = on", "transform_null_equals = on",
    "plpgsql.variable_conflict = use_column", "extra_float_digits = 0",
)  # fmt: skip

# A statement that starts with "~" changes nothing that pg_dump shows of this database.
TEMPLATES: Final = (
    # Columns.
    *("ALTER TABLE {table} ADD COLUMN {new} {type}",) * 3,
    "ALTER TABLE {table} ADD COLUMN {new} integer NOT NULL DEFAULT 7",
    "ALTER TABLE {table} ADD COLUMN {new} integer GENERATED ALWAYS AS IDENTITY",
    "ALTER TABLE {table} ADD COLUMN {new} text GENERATED ALWAYS AS ('x') STORED",
    *("ALTER TABLE {table} DROP COLUMN {column}",) * 2,
    "ALTER TABLE {table} DROP COLUMN {column} CASCADE",
    "ALTER TABLE {table} RENAME COLUMN {column} TO {new}",
    "ALTER TABLE {table} ALTER COLUMN {column} TYPE text",
    "ALTER TABLE {table} ALTER COLUMN {column} TYPE varchar(99)",
    'ALTER TABLE {table} ALTER COLUMN {column} TYPE text COLLATE "C"',
    "ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL",
    "ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL",
    "ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT NULL",
    "ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT",
    "ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE {storage}",
    "ALTER TABLE {table} ALTER COLUMN {column} SET COMPRESSION pglz",
    "ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS 50",
    "ALTER TABLE {table} ALTER COLUMN {column} SET (n_distinct = 5)",
    "ALTER TABLE cable_snakes ALTER COLUMN number SET GENERATED ALWAYS",
    "ALTER TABLE cable_snakes ALTER COLUMN number SET START WITH 5 SET INCREMENT BY 2",
    "ALTER TABLE cable_snakes ALTER COLUMN number DROP IDENTITY",
    "ALTER TABLE sends ALTER COLUMN pixels DROP EXPRESSION",
    # Constraints and indexes.
    "ALTER TABLE {table} ADD CONSTRAINT {new} CHECK ({column} IS NOT NULL)",
    "ALTER TABLE {table} ADD CHECK ({column} IS NOT NULL) NOT VALID",
    "ALTER TABLE {table} ADD CONSTRAINT {new} UNIQUE ({column})",
    "ALTER TABLE {table} ADD CONSTRAINT {new} UNIQUE NULLS NOT DISTINCT ({column}) DEFERRABLE",
    "ALTER TABLE {table} ADD CONSTRAINT {new} FOREIGN KEY (uuid) REFERENCES {other_table} (uuid)",
    *("ALTER TABLE {constrained} DROP CONSTRAINT {constraint}",) * 2,
    "ALTER TABLE {constrained} DROP CONSTRAINT {constraint} CASCADE",
    *("ALTER TABLE {constrained} RENAME CONSTRAINT {constraint} TO {new}",) * 2,
    "ALTER TABLE {constrained} ALTER CONSTRAINT {constraint} DEFERRABLE INITIALLY DEFERRED",
    "CREATE INDEX {new} ON {table} ({column})",
    "CREATE UNIQUE INDEX {new} ON {table} ({column}) INCLUDE (uuid) WHERE {column} IS NOT NULL",
    "CREATE INDEX {new} ON {table} USING hash ({column}) WITH (fillfactor = 60)",
    "DROP INDEX {index}",
    "ALTER INDEX {index} RENAME TO {new}",
    "ALTER INDEX {index} SET (fillfactor = 60)",
    "ALTER INDEX {index} ALTER COLUMN 1 SET STATISTICS 50",
    "ALTER TABLE {table} CLUSTER ON {table}_pkey",
    # Tables.
    "CREATE TABLE {new} (id integer PRIMARY KEY, note text)",
    "CREATE TABLE {new} (LIKE {table} INCLUDING ALL)",
    "CREATE TABLE {new} () INHERITS ({table})",
    "CREATE TABLE {new} PARTITION OF {table} DEFAULT",
    "CREATE TABLE {new} (uuid uuid REFERENCES {table} (uuid))",
    "ALTER TABLE {table} RENAME TO {new}",
    "ALTER TABLE {table} SET SCHEMA {new}",
    "DROP TABLE {table}",
    "DROP TABLE {table} CASCADE",
    "ALTER TABLE {table} RENAME TO {new}; CREATE VIEW {table} AS SELECT 1 AS one",
    "ALTER TABLE {table} SET UNLOGGED",
    "ALTER TABLE {table} SET (fillfactor = 70)",
    "ALTER TABLE {table} SET (autovacuum_enabled = off, toast.autovacuum_enabled = off)",
    "ALTER TABLE {table} REPLICA IDENTITY {identity}",
    "ALTER TABLE {table} REPLICA IDENTITY USING INDEX {table}_pkey",
    "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
    "CREATE POLICY {new} ON {table} USING (false)",
    "CREATE POLICY {new} ON {table} AS RESTRICTIVE FOR INSERT TO {role} WITH CHECK (true)",
    # Triggers, rules, routines, types, sequences.
    "CREATE FUNCTION {new}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    ("CREATE FUNCTION {new}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
     "CREATE TRIGGER {new} BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {new}()"),
    ("CREATE CONSTRAINT TRIGGER {new} AFTER UPDATE ON {table} DEFERRABLE "
     "FOR EACH ROW EXECUTE FUNCTION {trigger_function}()"),
    "ALTER TABLE {triggered} DISABLE TRIGGER {trigger}",
    "ALTER TABLE {triggered} ENABLE ALWAYS TRIGGER {trigger}",
    "ALTER TRIGGER {trigger} ON {triggered} RENAME TO {new}",
    "DROP TRIGGER {trigger} ON {triggered}",
    "CREATE RULE {new} AS ON DELETE TO {table} DO INSTEAD NOTHING",
    "CREATE RULE {new} AS ON INSERT TO {table} DO ALSO NOTIFY aa",
    "ALTER TABLE changes DISABLE RULE changes_are_kept",
    "DROP RULE changes_are_kept ON changes",
    "CREATE FUNCTION {new}(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1'",
    "CREATE PROCEDURE {new}() LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION lower(varchar) RETURNS text LANGUAGE sql AS 'SELECT $1::text'",
    "CREATE AGGREGATE {new}(integer) (SFUNC = int4pl, STYPE = integer)",
    "ALTER FUNCTION {function} STABLE",
    "ALTER FUNCTION {function} SECURITY DEFINER SET search_path = public",
    "ALTER FUNCTION {function} COST 1234 PARALLEL SAFE",
    "DROP FUNCTION {function}",
    "DROP FUNCTION {function} CASCADE",
    "CREATE OPERATOR <-> (LEFTARG = text, RIGHTARG = text, FUNCTION = textlt)",
    "CREATE CAST (text AS integer) WITH INOUT AS ASSIGNMENT",
    "CREATE TYPE {new} AS ENUM ('a', 'b')",
    "CREATE TYPE {new} AS (a text, b integer)",
    "CREATE TYPE {new} AS RANGE (SUBTYPE = text)",
    "CREATE TYPE {new}",
    "CREATE DOMAIN {new} AS text CHECK (VALUE <> '')",
    "ALTER TYPE {enum} ADD VALUE 'NEW'",
    "ALTER TYPE {enum} RENAME TO {new}",
    "ALTER TYPE {enum} SET SCHEMA {new}",
    """ALTER TYPE "ProductionStatus" RENAME VALUE 'READY' TO 'SET'""",
    'CREATE COLLATION {new} FROM "C"',
    "CREATE STATISTICS {new} ON uuid, {column} FROM {table}",
    "CREATE STATISTICS {new} (ndistinct) ON uuid, {column} FROM {table}",
    "CREATE TEXT SEARCH CONFIGURATION {new} (COPY = simple)",
    "CREATE TEXT SEARCH DICTIONARY {new} (TEMPLATE = simple)",
    "CREATE CONVERSION {new} FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8",
    "CREATE OPERATOR FAMILY {new} USING btree",
    ("CREATE OPERATOR CLASS {new} FOR TYPE text USING btree AS "
     "OPERATOR 1 <, OPERATOR 3 =, OPERATOR 5 >, FUNCTION 1 bttextcmp(text, text)"),
    "CREATE SEQUENCE {new}",
    "ALTER SEQUENCE cable_snakes_counted_seq INCREMENT 3 CACHE 5",
    "ALTER SEQUENCE cable_snakes_counted_seq OWNED BY NONE",
    "ALTER SEQUENCE cable_snakes_counted_seq MAXVALUE 99999 CYCLE",
    "ALTER SEQUENCE cable_snakes_counted_seq RENAME TO {new}",
    "ALTER SEQUENCE cable_snakes_counted_seq SET UNLOGGED",
    "ALTER SEQUENCE cable_snakes_number_seq CACHE 9",
    # Views.
    "CREATE VIEW {new} AS SELECT {column} FROM {table}",
    "CREATE MATERIALIZED VIEW {new} AS SELECT {column} FROM {table}",
    "CREATE VIEW {new} AS SELECT 1 AS one",
    # Owners and grants.
    "ALTER TABLE {table} OWNER TO {other}",
    "ALTER FUNCTION {function} OWNER TO {other}",
    "ALTER TYPE {enum} OWNER TO {other}",
    "ALTER SCHEMA public OWNER TO {other}",
    "REVOKE {privilege} ON {table} FROM {role}",
    "REVOKE ALL ON {table} FROM {role}",
    "REVOKE USAGE ON SCHEMA public FROM PUBLIC",
    "REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC",
    "REVOKE USAGE ON TYPE {enum} FROM PUBLIC",
    "REVOKE USAGE ON SEQUENCE cable_snakes_counted_seq FROM {role}",
    "REVOKE EXECUTE ON FUNCTION pg_catalog.gen_random_uuid() FROM PUBLIC",
    "REVOKE EXECUTE ON FUNCTION pg_catalog.now() FROM PUBLIC",
    "REVOKE USAGE ON TYPE pg_catalog.jsonb FROM PUBLIC",
    "REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC",
    "GRANT {privilege} ON {table} TO PUBLIC",
    "GRANT SELECT ({column}), UPDATE ({column}) ON {table} TO PUBLIC",
    "GRANT SELECT ON SEQUENCE cable_snakes_counted_seq TO PUBLIC",
    "GRANT {privilege} ON {table} TO {other}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {other}",
    # The database, its sessions, and what acts on all.
    *("ALTER DATABASE {database} SET {setting}",) * 4,
    "ALTER ROLE {role} IN DATABASE {database} SET {setting}",
    "~ALTER ROLE {role} SET {setting}",
    "~ALTER TABLE {table} DISABLE TRIGGER ALL",
    "ALTER DATABASE {database} OWNER TO {other}",
    "ALTER DATABASE {database} CONNECTION LIMIT 50",
    "CREATE SCHEMA {new}",
    ("CREATE SCHEMA {role}; GRANT USAGE ON SCHEMA {role} TO {role}; "
     "CREATE TABLE {role}.{table} (id integer)"),
    ("CREATE SCHEMA aa; GRANT USAGE ON SCHEMA aa TO PUBLIC; CREATE TABLE aa.{table} (); "
     "ALTER DATABASE {database} SET search_path = aa, public"),
    ("CREATE FUNCTION {new}() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; "
     "CREATE EVENT TRIGGER {new} ON ddl_command_end EXECUTE FUNCTION {new}()"),
    "CREATE PUBLICATION {new} FOR TABLE {table}",
    "CREATE EXTENSION IF NOT EXISTS plpgsql",
    "COMMENT ON TABLE {table} IS 'a note'",
    "COMMENT ON COLUMN {table}.{column} IS 'a note'",
)  # fmt: skip


class Names:
    """The names that statements may be about, by placeholder."""

    def __init__(self, schema: Snapshot, **given: str) -> None:
        self.columns = {name: tuple(table.columns) for name, table in schema.tables.items()}
        self.constraints = _pairs(schema, "constraints")
        self.triggers = _pairs(schema, "triggers")
        self.given = given
        indexes = (name for table in schema.tables.values() for name in table.indexes)
        self.free: Mapping[str, Sequence[str]] = {
            "new": NAMES, "type": TYPES, "setting": SETTINGS,
            "other_table": tuple(self.columns), "index": tuple(indexes),
            "function": tuple(schema.functions), "enum": tuple(schema.enums),
            "storage": ("PLAIN", "EXTERNAL", "MAIN"), "identity": ("FULL", "NOTHING"),
            "privilege": ("SELECT", "INSERT", "UPDATE", "DELETE"),
            "trigger_function": tuple(n[:-2] for n in schema.functions if n.endswith("()")),
        }  # fmt: skip


def _pairs(schema: Snapshot, what: str) -> tuple[tuple[str, str], ...]:
    return tuple((n, each) for n, table in schema.tables.items() for each in getattr(table, what))


@st.composite
def statements(draw: st.DrawFn, names: Names) -> str:
    """Draw a statement. ``{database}`` stays in it, as every database has its own name."""
    table = draw(st.sampled_from(sorted(names.columns)))
    column = draw(st.sampled_from(names.columns[table]))
    constrained, constraint = draw(st.sampled_from(names.constraints))
    triggered, trigger = draw(st.sampled_from(names.triggers))
    template = draw(st.sampled_from(TEMPLATES))
    free = {
        name: draw(st.sampled_from(every))
        for name, every in names.free.items()
        if f"{{{name}}}" in template
    }
    return template.format(
        table=table, column=column, constrained=constrained, constraint=constraint,
        triggered=triggered, trigger=trigger, database="{database}", **free, **names.given,
    )  # fmt: skip
