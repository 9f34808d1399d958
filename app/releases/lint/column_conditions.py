"""Conditions of our own lint rules about columns and constraints of an existing table."""

from typing import Final

from app.releases.lint.conditions import LintedStatement
from app.releases.sql.parser import Node, called_functions, constant, texts

# Functions that give one value for the whole statement, so that a default of them rewrites nothing.
_STABLE: Final = """now transaction_timestamp statement_timestamp current_setting lower
  upper btrim replace concat format left right md5 abs round make_date make_time make_timestamp
  make_timestamptz make_interval date_trunc to_date to_timestamp to_char to_jsonb
  jsonb_build_object jsonb_build_array"""
_SERIAL: Final = frozenset({"serial", "bigserial", "smallserial", "serial4", "serial8", "serial2"})
_TEXT: Final = frozenset({"text", "varchar"})
# What PostgreSQL checks all rows for when it is added.
_CHECKED: Final = {f"CONSTR_{k}" for k in ("CHECK", "FOREIGN", "UNIQUE", "PRIMARY", "EXCLUSION")}


def _new_types(s: LintedStatement) -> list[str]:
    """Return the types that columns change to; "" for one with a length or an expression."""
    columns = [change["def"] for change in s.changes("AlterColumnType") if s.existing]
    return ["" if c["raw_default"] or c["coll_clause"] else _plain_type(c) for c in columns]


def _plain_type(column: Node) -> str:
    """Return the bare name of a column's type, "" for one with a length or of an array."""
    kind = column["type_name"]
    name = texts(kind["names"])
    bare = len(name) == 1 or name[0] == "pg_catalog"
    return name[-1] if bare and not kind["typmods"] and not kind["array_bounds"] else ""


def rewrites_type(s: LintedStatement) -> bool:
    """Return whether a type is changed other than by giving times in UTC their zone."""
    types = {*_new_types(s)} - _TEXT
    return bool(types - {"timestamptz"}) or (bool(types) and not _is_in_utc(s))


def _is_in_utc(s: LintedStatement) -> bool:
    settings = (e.tree for e in s.same_step() if e.kind == "VariableSetStmt")
    return any(
        setting["name"].lower() == "timezone"
        and [constant(value).lower() for value in setting["args"]] == ["utc"]
        for setting in settings
    )


def widens_type(s: LintedStatement) -> bool:
    """Return whether a type becomes plain text."""
    return not _TEXT.isdisjoint(_new_types(s))


def _added_columns(s: LintedStatement) -> list[tuple[Node, dict[str, Node]]]:
    """Return the columns added to an existing table, each with its constraints by their sort."""
    columns = [change["def"] for change in s.changes("AddColumn") if s.existing]
    return [(column, {c["contype"]: c for c in column["constraints"]}) for column in columns]


def _is_numbered(column: Node, constraints: dict[str, Node]) -> bool:
    generated = {"CONSTR_GENERATED", "CONSTR_IDENTITY"} & constraints.keys()
    return bool(generated) or texts(column["type_name"]["names"])[-1] in _SERIAL


def fills_on_adding(s: LintedStatement) -> bool:
    """Return whether a column is added whose value differs from row to row: a rewrite."""
    for column, constraints in _added_columns(s):
        default = constraints.get("CONSTR_DEFAULT")
        functions = called_functions(default) if default else set()
        if _is_numbered(column, constraints) or functions - {*_STABLE.split()}:
            return True
    return False


def requires_value(s: LintedStatement) -> bool:
    """Return whether a column is added that must not be NULL and has no default."""
    return any(
        "CONSTR_NOTNULL" in constraints
        and "CONSTR_DEFAULT" not in constraints
        and not _is_numbered(column, constraints)
        for column, constraints in _added_columns(s)
    )


def scans_for_null(s: LintedStatement) -> bool:
    """Return whether SET NOT NULL has to look at every row."""
    columns = [change["name"] for change in s.changes("SetNotNull")]
    return s.existing and not all(_is_proven(s, column) for column in columns)


def _is_proven(s: LintedStatement, column: str) -> bool:
    """Return whether a CHECK that the column is not NULL was validated in a step before."""
    earlier = [e for e in s.before if e.statement.tables == s.statement.tables]
    checks = {
        added["conname"]
        for e in earlier
        for added in e.added_constraints()
        if added["contype"] == "CONSTR_CHECK" and _is_not_null_of(added["raw_expr"], column)
    }
    validated = {
        change["name"]
        for e in earlier
        for change in e.changes("ValidateConstraint")
        if e.statement.step < s.statement.step
    }
    return bool(checks & validated)


def _is_not_null_of(expression: Node, column: str) -> bool:
    if expression.kind != "NullTest" or expression["nulltesttype"] != "IS_NOT_NULL":
        return False
    operand = expression["arg"]
    return operand.kind == "ColumnRef" and texts(operand["fields"])[-1:] == [column]


def validates_at_once(s: LintedStatement) -> bool:
    """Return whether a constraint is validated in the step that adds it."""
    added = {c["conname"] for e in [*s.same_step(), s] for c in e.added_constraints()}
    return s.existing and any(c["name"] in added for c in s.changes("ValidateConstraint"))


def proves_at_once(s: LintedStatement) -> bool:
    """Return whether a constraint is added that all rows are checked for at once."""
    of_table = any(
        c["contype"] in _CHECKED and not c["skip_validation"] and not c["indexname"]
        for c in s.added_constraints()
    )
    of_column = any(not _CHECKED.isdisjoint(c) for _, c in _added_columns(s))
    return s.existing and (of_table or of_column)
