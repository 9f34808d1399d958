"""``release resume``: there must be something to finish."""

from typing import Final

from app.releases.gate.run import Release, StageResult
from app.releases.verdict import Stopped, Verdict

NAME: Final = "unfinished"


async def run(release: Release) -> StageResult:
    """Name the release that was begun. Raises Stopped where none was."""
    begun = release.resumed
    if begun is None:
        raise Stopped(
            Verdict.REFUSED,
            "No release was begun and left unfinished: there is nothing to resume. "
            "python -m app release takes the next step.",
        )
    return StageResult(f"{begun.target} is finished now", {"digest": begun.digest})
