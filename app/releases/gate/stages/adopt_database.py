"""``release adopt``: take over the older service's database as it stands."""

from typing import Final

from app.older_service.adoption import adopt
from app.releases.gate.run import Release, StageResult
from app.releases.gate.stages.check_drift import inspected, noted
from app.releases.migrations.alembic_runner import current
from app.releases.migrations.revisions import history
from app.releases.migrations.seals import hash_of

NAME: Final = "adopt"


async def run(release: Release) -> StageResult:
    """Verify it and stamp it. Raises Stopped with every difference."""
    order = release.order
    done = await adopt(
        order.url,
        release.book,
        service_role=order.service_role,
        hash_of=hash_of,
        say=release.tell.say,
    )
    release.current, release.arrival = await current(order.url), done.words
    if release.current == history()[0].name:
        # So that the status can say what was seen, without building a scratch database again.
        found = await inspected(release)
        await noted(release, found, found.findings)
    return StageResult(done.words, {"revision": done.revision, "acquainted": list(done.acquainted)})
