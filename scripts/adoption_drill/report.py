"""Reports what the gate recorded of its statements, and the result of the drill."""

from collections.abc import Iterator
from typing import Any, Final

import asyncpg

STALL_BUDGET: Final = 0.5  # seconds that anyone may have waited for the gate
_APPLIED: Final = """SELECT s.run, r.after AS revision, s.kind, s.sql, s.lock, s.seconds,
    s.predicted, s.tries, s.stall, s.error
    FROM release_statements s JOIN release_runs r ON r.id = s.run
    WHERE s.stage = 'apply' ORDER BY s.run, s.position"""


async def applied(connection: asyncpg.Connection) -> list[dict[str, Any]]:
    """Read what the gate recorded of every statement it ran on the live database."""
    return [dict(row) for row in await connection.fetch(_APPLIED)]


def too_slow(statements: list[dict[str, Any]]) -> list[str]:
    """Return a fault for each statement that stalled others too long, or if none was recorded."""
    if not statements:
        return ["The gate recorded no statement, so nothing is known of stalls."]
    return [
        f"{statement['stall'] * 1_000:.0f} ms waited for: {_line(statement['sql'], 120)}"
        for statement in statements
        if statement["stall"] > STALL_BUDGET
    ]


def report_lines(result: dict[str, Any]) -> Iterator[str]:
    """Return the lines of a result: statements, slowest operations, verdict.

    ``result`` is what ``Result.as_json`` returns.
    """
    yield from _statements(result["statements"])
    yield ""
    yield "The writers' own slowest operations:"
    for slow in result["slowest"]:
        yield (
            f"  {slow['seconds'] * 1_000:8.1f} ms  {slow['who']:<8} {slow['what']:<40} "
            f"during {slow['during']}"
        )
    yield ""
    for what, count in result["operations"].items():
        yield f"  {count:>9,}  {what}"
    yield from _summary(result)


def _statements(statements: list[dict[str, Any]]) -> Iterator[str]:
    yield (
        f"{'revision':<28} {'kind':<8} {'lock':<24} {'ms':>10} {'predicted':>10} {'stall':>8} "
        f"{'tries':>5}  statement"
    )
    for s in statements:
        yield (
            f"{s['revision'] or '':<28} {s['kind']:<8} {s['lock']:<24} {_ms(s['seconds']):>10} "
            f"{_ms(s['predicted']):>10} {_ms(s['stall']):>8} {s['tries']:>5}  {_line(s['sql'], 80)}"
        )


def _summary(result: dict[str, Any]) -> Iterator[str]:
    rows = result["rows"]
    yield ""
    yield (
        f"{sum(rows.values()):,} rows ({rows['cameras']:,} cameras, {rows['sources']:,} sources, "
        f"{rows['events']:,} events) to head by {len(result['statements'])} statements in "
        f"{result['seconds']:.0f} s, of them {result['gateSeconds']:.0f} s in the gate."
    )
    yield (
        f"{result['operationsInAll']:,} operations of writers and readers, "
        f"{result['failedOperations']} failed; {result['acknowledgedByOlder']:,} writes of the "
        f"older service acknowledged; {result['foreignKeys']} foreign keys checked; cross-reads: "
        f"{', '.join(f'{side} {count:,}' for side, count in result['crossReads'].items())}."
    )
    spent = ", ".join(f"{name} {seconds:.0f}" for name, seconds in result["stageSeconds"].items())
    yield f"Seconds in each stage of the gate, over all runs: {spent}."
    yield f"The gate was contended {len(result['contended'])} times and tried again."
    yield f"Worst stall: {_ms(result['worstStall'])} ms (budget {STALL_BUDGET * 1_000:.0f} ms)."
    for fault in result["faults"]:
        yield f"FAULT: {fault}"
    count = len(result["faults"])
    yield "PASSED" if result["passed"] else f"FAILED: {count} faults"


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1_000:.1f}"


def _line(sql: str, longest: int) -> str:
    return " ".join(sql.split())[:longest]
