"""What operators decide about a plan: approved, or withheld; by whom and why. Stored for ever.

An approval is of one digest after one rehearsal: another plan, another schema (which is part of
the digest) or another rehearsal makes it void.
"""

import re
from collections.abc import Mapping
from typing import Final

import asyncpg

from app.errors import AmbiguousId, Destroys, Invalid, NotFound, NotRehearsed, PlanClosed
from app.releases.ledger.ledger import Ledger, Row
from app.releases.plan.plan import Plan, from_json

_SHORTEST: Final = 8  # characters of a digest that people need to copy
_DIGEST: Final = re.compile(rf"[0-9a-f]{{{_SHORTEST},64}}")
_FIND: Final = "SELECT * FROM release_plans WHERE starts_with(digest, $1) ORDER BY digest LIMIT 20"
_DECIDED: Final = {"approve": "approved", "withhold": "withheld"}


def valid(decision: Mapping[str, object] | None, rehearsal: int | None) -> bool:
    """Return whether a decision approves what was rehearsed as number ``rehearsal``."""
    return (
        rehearsal is not None
        and decision is not None
        and (decision["decision"], decision["rehearsal"]) == ("approved", rehearsal)
    )


async def decide(
    connection: asyncpg.Connection, digest: str, choice: str,
    *, who: str, why: str, destroys: str | None = None,
) -> Row:  # fmt: skip
    """Store that a plan is approved or withheld, and return what was stored.

    ``digest`` may be its beginning; ``choice`` is "approve" or "withhold". ``destroys`` names the
    tables from which the plan takes something away. Raise Invalid, NotFound, AmbiguousId,
    PlanClosed, NotRehearsed and Destroys.
    """
    for name, text in (("who", who), ("why", why)):
        if not text.strip():
            raise Invalid.at(name, "say it: it is kept with the decision")
    if choice not in _DECIDED:
        raise Invalid.at("decision", "say approve or withhold")
    ledger = Ledger(connection)
    row = await find(ledger, digest)
    plan = from_json(row["plan"])
    _refuse_closed(plan, row["state"])
    last = await ledger.rehearsal(row["digest"])
    if choice == "approve":
        _refuse_unrehearsed(plan, last)
        _refuse_destruction(plan, destroys)
    async with connection.transaction():
        stored = await ledger.fetch_row(
            "INSERT INTO release_decisions (digest, rehearsal, decision, who, why, destroys)"
            " VALUES ($1, $2, $3, $4, $5, $6)"
            " RETURNING id, digest, rehearsal, decision, who, why, destroys, at",
            row["digest"], last and last["id"], _DECIDED[choice], who, why,
            destroys if plan.destroys else None,
        )  # fmt: skip
        assert stored is not None
        # The foreign key locks the plan's row from here on: nobody begins to apply it meanwhile.
        _refuse_closed(plan, (await find(ledger, row["digest"]))["state"])
    return stored


async def find(ledger: Ledger, digest: str) -> Row:
    """Return the row of the plan whose digest begins so. Raise Invalid, NotFound, AmbiguousId."""
    if not _DIGEST.fullmatch(digest):
        raise Invalid.at("digest", f"send {_SHORTEST} to 64 of its characters, 0-9 and a-f")
    rows = []
    if await ledger.exists():
        rows = await ledger.fetch_rows(_FIND, digest)
    if not rows:
        raise NotFound(f"No plan has a digest that begins with {digest}.", error="Plan not found")
    if len(rows) > 1:
        raise AmbiguousId(
            f"{len(rows)} plans have a digest that begins with {digest}: send more of it.",
            candidates=[stored["digest"] for stored in rows],
        )
    return rows[0]


def _refuse_closed(plan: Plan, state: str) -> None:
    if state != "proposed":
        raise PlanClosed(
            f"{plan.target} is {state}: only a plan that is proposed can be decided on."
        )


def _refuse_unrehearsed(plan: Plan, last: Row | None) -> None:
    again = "run the release, or python -m app release rehearse"
    if last is None:
        raise NotRehearsed(f"{plan.target} was not rehearsed yet: {again}.")
    if not last["passed"]:
        findings = last["evidence"].get("findings") or ["see its evidence"]
        raise NotRehearsed(
            f"The last rehearsal of {plan.target}, number {last['id']}, did not pass "
            f"({findings[0]}): mend the revision and {again}.",
            rehearsal=last["id"],
        )


def _refuse_destruction(plan: Plan, destroys: str | None) -> None:
    if plan.destroys and _names(destroys) != _names(plan.destroyed):
        raise Destroys(
            f"{plan.target} takes something away for good ({plan.losses[0]}): to approve it, "
            f"name what it destroys, {plan.destroyed}.",
            destroys=plan.destroyed,
            statements=plan.losses,
        )


def _names(tables: str | None) -> set[str]:
    return {name.strip() for name in (tables or "").split(",")}
