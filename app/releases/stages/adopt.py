"""``release adopt``: take over the older service's database as it stands."""

from typing import Final

from app.releases.adopt import adopt
from app.releases.migrate import current
from app.releases.release import Outcome, Release
from app.releases.revisions import history
from app.releases.sealed import hash_of
from app.releases.stages.drift import inspected, noted

NAME: Final = "adopt"


async def run(release: Release) -> Outcome:
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
    return Outcome(done.words, {"revision": done.revision, "acquainted": list(done.acquainted)})
