"""``release resume``: there must be something to finish."""

from typing import Final

from app.releases.gate.run import Position, StageResult
from app.releases.verdict import Stopped, Verdict

NAME: Final = "unfinished"


async def run(position: Position) -> StageResult:
    """Name the release that was begun. Raise Stopped where none was."""
    unfinished = position.unfinished
    if unfinished is None:
        raise Stopped(
            Verdict.REFUSED,
            "No release was begun and left unfinished: there is nothing to resume. "
            "python -m app release takes the next step.",
        )
    return StageResult(
        f"{unfinished.target} is finished now", evidence={"digest": unfinished.digest}
    )
