"""The plan of a release that takes several tables together, each after the one before it.

What a later revision does depends on what the earlier ones have left in the catalogue. So each is
planned on a copy of the schema, without rows, which is then taken on to it.
"""

from collections.abc import Sequence
from dataclasses import replace

from app.releases.migrations.alembic_runner import upgrade
from app.releases.output import discard_line
from app.releases.plan.plan import Statement
from app.releases.plan.render import plan_statements
from app.releases.rehearsal.copies import copy_of


async def plan_statements_in_turn(
    url: str, revisions: Sequence[str], before: str | None
) -> tuple[Statement, ...]:
    """Return what these revisions would do one after the other; nothing is written at ``url``.

    Raises what ``copy_of``, ``plan_statements`` and ``upgrade`` raise.
    """
    statements: list[Statement] = []
    async with copy_of(url, discard_line, lambda *_: None, rows=False) as copy:
        at = before
        for revision in revisions:
            last = statements[-1].step if statements else 0
            own = await plan_statements(copy.url, [revision], at)
            statements += [replace(each, step=last + each.step) for each in own]
            await upgrade(copy.url, revision, say=discard_line)
            at = revision
    return tuple(statements)
