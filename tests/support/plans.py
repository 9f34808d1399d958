"""PostgreSQL's plans, and what in them would grow with the database."""

import json
from collections.abc import Iterator
from math import inf
from typing import Any, Final

import asyncpg
from sqlmodel import SQLModel

import app.all_statements  # noqa: F401  # every table must be declared

Plan = dict[str, Any]

# More rows than one show has, and far fewer than a table of the large database.
MANY: Final = 500
_WALKS: Final = {"Index Scan", "Index Only Scan", "Bitmap Index Scan"}
# What takes no more rows than it gives, so that a LIMIT above it also bounds what is below.
_PASSING: Final = {"Limit", "Result", "Append", "Merge Append", "Subquery Scan", "Nested Loop",
                   "Incremental Sort", "Unique", "LockRows"}  # fmt: skip


async def generic(connection: asyncpg.Connection, sql: str) -> Plan:
    """Return the plan that a prepared statement has for all values."""
    count = len((await connection.prepare(sql)).get_parameters())
    values = f"({', '.join(['NULL'] * count)})" if count else ""
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    await connection.execute(f"PREPARE examined AS {sql}")
    try:
        found = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE examined{values}")
    finally:
        await connection.execute("DEALLOCATE examined")
    return plan_of(found)


def plan_of(explained: str) -> Plan:
    """Return the plan in what EXPLAIN (FORMAT JSON) says."""
    plan: Plan = json.loads(explained)[0]["Plan"]
    return plan


def nodes(plan: Plan, most: float = inf) -> Iterator[tuple[Plan, float]]:
    """Return each node of a plan with the number of rows that will be asked of it at most."""
    yield plan, most
    kind = plan["Node Type"]
    limit = min(most, plan["Plan Rows"]) if kind == "Limit" else most
    for child in plan.get("Plans", []):
        passed = kind in _PASSING and child["Parent Relationship"] in {
            "Outer",
            "Member",
            "Subquery",
        }
        yield from nodes(child, limit if passed else inf)


def growing(plan: Plan) -> list[str]:
    """Say what of a plan costs more when the database holds more shows."""
    return [words for node, most in nodes(plan) for words in _growing(node, most)]


def _growing(node: Plan, most: float) -> Iterator[str]:
    kind, rows = node["Node Type"], min(most, node["Plan Rows"])
    if kind == "Seq Scan" and node["Relation Name"] in SQLModel.metadata.tables:
        yield f"reads the whole of {node['Relation Name']}"
    elif kind in _WALKS and "Index Cond" not in node:
        yield f"reads the whole of {node['Index Name']}"
    elif rows > MANY:
        yield f"{kind} of {rows:.0f} rows"


def sorts(plan: Plan) -> list[str]:
    """Return the keys of every sort of a plan, as PostgreSQL writes them."""
    return [word for node, _ in nodes(plan) for word in node.get("Sort Key", [])]


def indexes(plan: Plan) -> set[str]:
    """Name the indexes that a plan uses."""
    return {node["Index Name"] for node, _ in nodes(plan) if "Index Name" in node}


def blocks(plan: Plan) -> int:
    """Count the blocks that a plan, run by EXPLAIN (ANALYZE, BUFFERS), looked into.

    Steps of a statement that write are run apart from what gives its answer.
    """
    apart = [node for node, _ in nodes(plan) if node["Node Type"] == "ModifyTable"]
    return sum(n["Shared Hit Blocks"] + n["Shared Read Blocks"] for n in [plan, *apart])
