"""Stage 10: the live database is what the revisions build, and the code runs on it."""

from collections.abc import Mapping
from typing import Final

from app.health.session_fitness import grants, needs_of
from app.releases.gate.run import Release, StageResult
from app.releases.gate.stages.check_drift import as_json, inspected, noted
from app.releases.gate.statement_proof import live_failures
from app.releases.verdict import Stopped, Verdict

NAME: Final = "verify"


async def run(release: Release) -> StageResult:
    """Look at the live database once more. Raises Stopped, loudly, with the way back."""
    await _let_the_service_read(release)
    if release.applied:
        await _raise_if_drifted(release)
    if not release.deployable:
        return StageResult("the schema is what its revisions build; this image needs more of them")
    if found := await live_failures(release.order.service_url, release.statements):
        told = "; ".join(f"{', '.join(names)}: {words}" for words, names in _grouped(found).items())
        raise Stopped(
            Verdict.UNVERIFIED,
            f"The code cannot run on the live database ({told}); the old version serves on. "
            f"{_way_back(release)}",
            {"failures": found},
        )
    await release.book.set_fact("image", {"statements": release.statements})
    return StageResult("no drift, and every statement of the code runs on it")


def _grouped(found: Mapping[str, str]) -> dict[str, list[str]]:
    """Say of each cause which collections it meets."""
    causes: dict[str, list[str]] = {}
    for name, words in found.items():
        causes.setdefault(words, []).append(name)
    return causes


async def _raise_if_drifted(release: Release) -> None:
    found = await inspected(release)
    await noted(release, found, found.findings)
    if found.findings:
        for finding in found.findings:
            release.tell.say(f"{finding.words}\n{finding.script}")
        raise Stopped(
            Verdict.UNVERIFIED,
            f"{release.current} was applied, and the schema is not what it builds: "
            f"{found.findings[0].words} {_way_back(release)}",
            {"findings": as_json(found.findings)},
        )


async def _let_the_service_read(release: Release) -> None:
    """Let another role of the service see which revision it serves on: its health asks for it.

    Of tables that this very run has made, nobody could have given it the rights before.
    """
    role = release.order.service_role
    if role is not None:
        quoted = await release.book.fetch_value("SELECT quote_ident($1)", role)
        await release.book.execute(f"GRANT SELECT ON alembic_version TO {quoted}")
        if release.empty:
            for sql in grants(needs_of(release.statements), quoted):
                await release.book.execute(sql)


def _way_back(release: Release) -> str:
    if release.plan is None:
        return "Mend it with the SQL shown, then run this again."
    if release.plan.phase == "contract":
        return "There is no way back from a contract: run the SQL shown, then this again."
    return (
        "Run the SQL shown and this again, or go back: python -m app release rollback "
        "--who NAME --why REASON."
    )
