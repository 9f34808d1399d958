"""Each stage of the release gate names what it needs, and an earlier one gives it."""

from contextlib import AsyncExitStack
from inspect import signature
from types import ModuleType
from typing import Any, Final

import pytest

from app.releases.gate import gate
from app.releases.gate.run import Connected, Order
from app.releases.ledger.ledger import Ledger
from app.releases.output import GateOutput
from app.releases.product import Statements

AT_FIRST: Final[set[Any]] = {Order, Statements, GateOutput, AsyncExitStack}
COURSES: Final = {
    "release": gate.STAGES, "plan": gate.PLAN, "rehearse": gate.REHEARSE,
    "resume": gate.RESUME, "rollback": gate.ROLLBACK, "adopt": gate.ADOPT,
}  # fmt: skip


@pytest.mark.parametrize("stages", COURSES.values(), ids=COURSES)
def test_what_a_stage_needs_is_there(stages: tuple[ModuleType, ...]) -> None:
    there = set(AT_FIRST)
    for stage in stages:
        needs = signature(stage.run)
        lacking = [p.name for p in needs.parameters.values() if p.annotation not in there]
        assert not lacking, stage.NAME
        there.add(needs.return_annotation)
        if needs.return_annotation is Connected:
            there.add(Ledger)
