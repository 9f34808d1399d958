"""Stage 9: the approved statements, on the live database, and nothing else."""

from typing import Final

from app.releases.apply import Applied, Limits, apply
from app.releases.plan import Plan
from app.releases.release import Outcome, Release
from app.releases.render import allowed, normalised
from app.releases.stages.history import note_applied
from app.releases.stages.plan import is_empty
from app.releases.verdict import Stopped, Verdict

NAME: Final = "apply"


async def run(release: Release) -> Outcome:
    """Apply the plan, revision by revision. A plan half applied is simply applied again."""
    plan = release.plan
    if plan is None:
        return Outcome("nothing to apply", skipped=True)
    if release.empty and not await is_empty(release):
        raise Stopped(
            Verdict.CONTENDED,
            "The database was empty when this run looked, and rows have arrived since: run it "
            "again, so that they are protected.",
        )
    await release.book.plan_is(plan.digest, "applying")
    done = await _applied(release, plan)
    for statement in plan.statements:
        if statement.sql.startswith("GRANT "):
            await release.book.do(statement.sql)
    await release.book.plan_is(plan.digest, "applied")
    release.applied, release.current = True, plan.target
    return Outcome(
        f"{plan.target} in {done.seconds:.1f} s; the longest that anyone waited for us: "
        f"{done.worst_stall * 1_000:.0f} ms",
        {"seconds": done.seconds, "worstStall": done.worst_stall,
         "statements": len(done.statements), "revisions": plan.revisions},
    )  # fmt: skip


async def _applied(release: Release, plan: Plan) -> Applied:
    order = release.order
    texts = allowed(plan.statements)

    async def noted(revision: str) -> None:
        await note_applied(release, revision)

    return await apply(
        order.url,
        plan,
        release.book,
        Limits(stall_budget=order.stall_budget, wall_clock=order.wall_clock),
        predicted=release.predicted,
        approved=lambda sql: normalised(sql) in texts,
        applied=noted,
        say=release.tell.say,
        progress=release.tell.progress,
    )
