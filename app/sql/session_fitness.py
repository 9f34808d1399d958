"""Whether the service can work on a session: checks that planning its statements does not make.

PostgreSQL may plan every statement in a session that is still unfit. Its names may lead to tables
of another schema, its encoding may lack characters, its role may not write. Each finding is one
sentence that names the cause and the remedy.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Final

import asyncpg

from app.model import other_tables
from app.sql.registry import CATALOGUE, statement

OLDEST: Final = 150_000  # server_version_num of PostgreSQL 15
READ_ONLY: Final = "The database takes no writes: it is a standby, or set to read only."
_catalogue: Final = partial(statement, owner=CATALOGUE)
_FACTS: Final = _catalogue("""SELECT current_setting('server_version_num')::int AS version,
  pg_encoding_to_char(d.encoding) AS encoding,
  current_setting('client_encoding') AS client_encoding,
  current_setting('TimeZone') AS zone,
  pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean
    OR current_setting('transaction_read_only')::boolean AS read_only,
  current_schemas(true)::text[] AS schemas,
  current_schema()::text AS first
  FROM pg_database AS d WHERE d.datname = current_database()""")
_ELSEWHERE: Final = _catalogue("""SELECT t.name, n.nspname::text AS schema
  FROM unnest($1::text[]) AS t(name)
  JOIN pg_class AS c ON c.oid = to_regclass(quote_ident(t.name))
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE n.nspname <> 'public' ORDER BY 1""")
_UNREACHED: Final = _catalogue("""SELECT coalesce(min(t.name), '')
  FROM unnest($1::text[]) AS t(name)
  WHERE to_regclass('public.' || quote_ident(t.name)) IS NOT NULL
  AND to_regclass(quote_ident(t.name)) IS NULL""")
_PATH: Final = _catalogue("""SELECT current_setting('search_path') AS path, source AS origin,
  quote_ident(session_user) AS role, quote_ident(current_database()) AS database
  FROM pg_settings WHERE name = 'search_path'""")
_NO_GRANT: Final = _catalogue("""SELECT t.name, t.privilege, quote_ident(current_user) AS role
  FROM unnest($1::text[], $2::text[]) AS t(name, privilege)
  JOIN pg_class AS c ON c.oid = to_regclass('public.' || quote_ident(t.name))
  WHERE NOT has_table_privilege(c.oid, t.privilege)
  AND NOT (t.privilege <> 'DELETE' AND has_any_column_privilege(c.oid, t.privilege))
UNION ALL SELECT t.name, 'USAGE of its sequence ' || s.relname, quote_ident(current_user)
  FROM unnest($3::text[]) AS t(name)
  JOIN pg_depend AS d ON d.refobjid = to_regclass('public.' || quote_ident(t.name))
    AND d.refclassid = 'pg_class'::regclass AND d.classid = 'pg_class'::regclass
    AND d.deptype = 'a'
  JOIN pg_class AS s ON s.oid = d.objid
  WHERE CASE s.relkind WHEN 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE') END
ORDER BY 1, 2""")
_RESTRICTED: Final = _catalogue("""SELECT t.name FROM unnest($1::text[]) AS t(name)
  JOIN pg_class AS c ON c.oid = to_regclass('public.' || quote_ident(t.name))
  WHERE c.relrowsecurity AND row_security_active(c.oid) ORDER BY 1""")
_NOT_TO_CALL: Final = _catalogue("""SELECT DISTINCT p.oid::regprocedure::text AS name,
  quote_ident(current_user) AS role
  FROM pg_proc AS p WHERE p.proname = ANY($1::text[])
  AND p.pronamespace IN ('pg_catalog'::regnamespace, 'public'::regnamespace)
  AND NOT has_function_privilege(p.oid, 'EXECUTE')""")
_WRITES: Final = {
    "INSERT": re.compile(r"\bINSERT INTO (\w+)"),
    "UPDATE": re.compile(r"\bUPDATE (\w+)"),
    "DELETE": re.compile(r"\bDELETE FROM (\w+)"),
}
_UPSERT: Final = re.compile(r"\bINSERT INTO (\w+)(?:(?!\bINSERT INTO\b).)*\bDO UPDATE\b", re.DOTALL)
_WORD: Final = re.compile(r"\b[a-z_]\w*\b")
_CALL: Final = re.compile(r"\b([a-z_][a-z0-9_]*)\(")
# Alembic's table of the revision that the database is at.
_VERSION: Final = "alembic_version"
_DECLARED: Final = other_tables.presence.metadata.tables


@dataclass(frozen=True)
class Needs:
    """What statements touch: tables by collection, privileges by table, and functions."""

    tables: Mapping[str, frozenset[str]]
    privileges: frozenset[tuple[str, str]]
    functions: frozenset[str]

    @property
    def all_tables(self) -> list[str]:
        """Every table, and the one that holds the revision of the database."""
        return sorted({_VERSION}.union(*self.tables.values()))


@dataclass
class Findings:
    """What is wrong: ``general`` with the whole session, ``by_table`` with single tables."""

    general: list[str] = field(default_factory=list)
    by_table: dict[str, str] = field(default_factory=dict)

    @property
    def words(self) -> list[str]:
        """All of it, each cause once."""
        return list(dict.fromkeys([*self.general, *self.by_table.values()]))


def needs_of(statements: Mapping[str, Iterable[str]]) -> Needs:
    """Read from statements which tables, privileges and functions they use."""
    tables: dict[str, frozenset[str]] = {}
    privileges, functions = {(_VERSION, "SELECT")}, set[str]()
    for name, texts in statements.items():
        used = [_used_by(text) for text in texts]
        tables[name] = frozenset[str]().union(*(names for names, _, _ in used))
        privileges |= {(table, "SELECT") for table in tables[name]}
        privileges.update(*(writes for _, writes, _ in used))
        functions.update(*(calls for _, _, calls in used))
    return Needs(tables, frozenset(privileges), frozenset(functions))


@cache  # as few texts as there are statements, and half a millisecond each
def _used_by(text: str) -> tuple[frozenset[str], frozenset[tuple[str, str]], frozenset[str]]:
    """Return which tables a statement names, which privileges its writes need, what it calls."""
    tables = _DECLARED.keys() & _WORD.findall(text)
    privileges = {(table, how) for how, form in _WRITES.items() for table in form.findall(text)}
    privileges |= {(table, "UPDATE") for table in _UPSERT.findall(text)}
    writes = frozenset((table, how) for table, how in privileges if table in _DECLARED)
    return frozenset(tables), writes, frozenset(_CALL.findall(text))


async def findings(connection: asyncpg.Connection, needs: Needs) -> Findings:
    """Check a session: its encoding, where its names lead, and what its role may do."""
    result = await session_findings(connection, needs.all_tables)
    if not result.words:
        await _check_rights(connection, needs, result)
    return result


async def session_findings(connection: asyncpg.Connection, tables: list[str]) -> Findings:
    """Check what holds for the whole session, and where the names of tables lead."""
    (facts,) = await connection.fetch(_FACTS)
    result = Findings(list(_general(facts)))
    for row in await connection.fetch(_ELSEWHERE, tables):
        result.by_table[row["name"]] = await _shadowed(connection, row["name"], row["schema"])
    if hidden := await connection.fetchval(_UNREACHED, tables):
        (path,) = await connection.fetch(_PATH)
        result.general.append(
            f"The schema public is not in the search_path ({path['path']}), so that {hidden} is "
            f"not found: {_remedy(path)}."
        )
    return result


def _general(facts: asyncpg.Record) -> Iterable[str]:
    if facts["version"] < OLDEST:
        yield f"PostgreSQL {facts['version'] // 10_000} is too old: 15 is the oldest that works."
    if facts["encoding"] != "UTF8":
        yield (
            f"The database's encoding is {facts['encoding']}, which does not hold every character: "
            "make a database with ENCODING 'UTF8' TEMPLATE template0 and carry the rows over."
        )
    if facts["client_encoding"] != "UTF8":
        yield (
            f"The session's client_encoding is {facts['client_encoding']} instead of UTF8: take "
            "the setting away from the role, the database, the URL or the pooler."
        )
    if facts["zone"] not in {"UTC", "Etc/UTC"}:
        yield (
            f"The session's TimeZone is {facts['zone']} instead of UTC: let the pooler pass the "
            "start-up parameter timezone on."
        )
    if facts["read_only"]:
        yield READ_ONLY
    schemas = [name for name in facts["schemas"] if not name.startswith("pg_temp")]
    if "pg_catalog" in schemas and schemas[0] != "pg_catalog":
        yield (
            f"The search_path puts the schema {schemas[0]} before pg_catalog, so that PostgreSQL's "
            "own names can mean something else: take pg_catalog out of the search_path."
        )


async def _shadowed(connection: asyncpg.Connection, table: str, schema: str) -> str:
    (path,) = await connection.fetch(_PATH)
    if schema.startswith("pg_temp"):
        remedy = f"drop that table with DROP TABLE pg_temp.{table}, or end the session"
    else:
        remedy = f"{_remedy(path)}, or remove {schema}.{table}"
    return (
        f"The name {table} means {schema}.{table} instead of public.{table}, since the schema "
        f"{schema} stands before public (search_path: {path['path']}): {remedy}."
    )


def _remedy(path: asyncpg.Record) -> str:
    """Return how to correct the search_path, by where it is set."""
    role, database = path["role"], path["database"]
    reset = {
        "database user": f"ALTER ROLE {role} IN DATABASE {database} RESET search_path",
        "user": f"ALTER ROLE {role} RESET search_path",
        "database": f"ALTER DATABASE {database} RESET search_path",
        "global": "ALTER ROLE ALL RESET search_path",
        "client": "take search_path out of the options in the URL",
    }
    otherwise = f"ALTER ROLE {role} IN DATABASE {database} SET search_path = public"
    words = reset.get(path["origin"], otherwise)
    return words if words.startswith("take") else f"run {words}"


async def _check_rights(connection: asyncpg.Connection, needs: Needs, result: Findings) -> None:
    names, privileges = zip(*sorted(needs.privileges), strict=True)
    missing: dict[str, list[str]] = {}
    role = ""
    for row in await connection.fetch(_NO_GRANT, names, privileges, needs.all_tables):
        role = row["role"]
        missing.setdefault(row["name"], []).append(row["privilege"])
    for table, privileges_of in missing.items():
        result.by_table[table] = _grant(role, table, privileges_of)
    for row in await connection.fetch(_RESTRICTED, needs.all_tables):
        table = row["name"]
        words = (
            f"Row security hides rows of {table} from this role: run ALTER TABLE public.{table} "
            "DISABLE ROW LEVEL SECURITY, or give the role BYPASSRLS."
        )
        result.by_table.setdefault(table, words)
    for row in await connection.fetch(_NOT_TO_CALL, sorted(needs.functions)):
        result.general.append(
            f"The role {row['role']} lacks EXECUTE on {row['name']}: an administrator must run "
            f"GRANT EXECUTE ON FUNCTION {row['name']} TO {row['role']}."
        )


def _grant(role: str, table: str, missing: list[str]) -> str:
    of_table = [one for one in missing if not one.startswith("USAGE")]
    of_sequence = [one.rpartition(" ")[2] for one in missing if one.startswith("USAGE")]
    grants = [f"GRANT {', '.join(of_table)} ON public.{table} TO {role}"] if of_table else []
    grants += [f"GRANT USAGE ON SEQUENCE public.{name} TO {role}" for name in of_sequence]
    return (
        f"The role {role} lacks {', '.join(missing)} on {table}: its owner must run "
        f"{'; '.join(grants)}."
    )


def grants(needs: Needs, role: str) -> list[str]:
    """Return the GRANT statements that let a role, quoted, do what the service needs."""
    tables: dict[str, list[str]] = {}
    for table, privilege in sorted(needs.privileges):
        tables.setdefault(table, []).append(privilege)
    return [f"GRANT {', '.join(p)} ON public.{t} TO {role}" for t, p in tables.items()]


def by_collection(needs: Needs, result: Findings) -> dict[str, str]:
    """Return what is wrong with each collection, or "ok"."""
    words: dict[str, Any] = {}
    for name, tables in needs.tables.items():
        own = [text for table, text in result.by_table.items() if table in tables | {_VERSION}]
        words[name] = next(iter([*result.general, *own]), "ok")
    return words
