"""The state of a release in one sentence, and the one command to run next, from the status.

The first rule that returns something wins: what cannot be read, then what runs, then what was
begun, then what is wrong, then what comes next.
"""

from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Final

from app.releases.migrations.version_row import LOST
from app.releases.status.running_schemas import Running
from app.releases.status.schemas import NextCommand, Release, Run, SoakClock, Status

RELEASE: Final = "python -m app release"
_LOOK: Final = f"{RELEASE} status"
_BY: Final = "--who NAME --why REASON"
_ROLLBACK: Final = f"{RELEASE} rollback {_BY}"
_OVERRIDE: Final = f"{RELEASE} --override-soak REASON --who NAME"
TAKING_BACK: Final = "taking back"
"""The state of a plan whose rollback was begun, and of its soak meanwhile."""
_UNFINISHED_STATES: Final = frozenset({"applying", "applied", TAKING_BACK})
# What this image itself is to blame for: the same run would end the same way.
_OF_IMAGE: Final = frozenset({"BROKEN", "EDITED"})

Rule = Callable[[Status], NextCommand | None]


def next_command(status: Status) -> NextCommand:
    """Return what to do next; ``command`` is null where no command of ours helps."""
    advice = next(filter(None, (rule(status) for rule in _RULES)), None) or _all_done(status)
    missing = [name for name in status.unread if name not in advice.words]
    if missing and advice.command != _LOOK:
        again = f" Not read: {', '.join(missing)}; look again before you act."
        return NextCommand(words=advice.words + again, command=advice.command)
    return advice


def unreachable(words: str) -> NextCommand:
    """Return what to do where no database answers."""
    return NextCommand(words=words, command=_LOOK)


def _unclear(status: Status) -> NextCommand | None:
    if status.unclear:
        return NextCommand(words=status.unclear, command=None)
    return None


def _at_work(status: Status) -> NextCommand | None:
    running = status.running
    if running is None:
        return None
    who = _run_name(running)
    if holders := [holder for holder in running.waits_for if holder.pid]:
        first = holders[0]
        others = f" and {len(holders) - 1} more" if len(holders) > 1 else ""
        about = describe_session(first.application, first.state, first.transaction_seconds)
        words = (
            f"{who} waits for a lock that process {first.pid} holds ({about}){others}. "
            "Wait, it gives up by itself; or end that session once a person has made sure that it "
            "may be ended"
        )
        return NextCommand(
            words=f"{words}.", command=f"psql -c 'SELECT pg_terminate_backend({first.pid})'"
        )
    if running.waits_for:
        words = f"{who} waits for a prepared transaction: commit it or roll it back by its name."
        return NextCommand(words=words, command="psql -c 'TABLE pg_prepared_xacts'")
    rest = "Let it end." if running.run else "It has just begun: look again in a moment."
    words = f"{who} is at work{_between_tries(running)}. {rest}"
    return NextCommand(words=words, command=_LOOK)


def _between_tries(running: Running) -> str:
    statement = running.statement
    blocker = statement.last_blocker if statement else None
    if statement is None or blocker is None:
        return ""
    return (
        f", between two tries of a statement (try {statement.tries}); last in its way was process "
        f"{blocker.pid} ({describe_session(blocker.application, blocker.state, None)}) at "
        f"{blocker.at:%H:%M:%S} UTC"
    )


def _run_name(running: Running) -> str:
    run = f"Run {running.run} ({running.word} by {running.who})" if running.run else "A release"
    return f"{run}, at {running.stage}," if running.stage else run


def describe_session(application: str, state: str | None, seconds: float | None) -> str:
    """Return what is visible of a session: its name, its state, the age of its transaction."""
    open_for = "" if seconds is None else f"its transaction open for {seconds:.0f} s"
    return ", ".join(filter(None, (application, state, open_for))) or "of another role"


def _unknown(status: Status) -> NextCommand | None:
    """Ask to look again where what decides could not be read."""
    decides = {"revision", "running", "next"}.intersection(status.unread)
    if status.state is None or decides:
        names = ", ".join(sorted(decides or status.unread))
        words = f"What decides cannot be read now ({names}: locked, or too slow): look again."
        return NextCommand(words=words, command=_LOOK)
    return None


def _unmigrated(status: Status) -> NextCommand | None:
    """Advise on a database that was never migrated, by what it holds."""
    is_begun = status.next is not None and status.next.state in _UNFINISHED_STATES
    if status.state != "unmigrated" or (is_begun and status.content is None):
        return None
    if status.content == "adoptable":
        return NextCommand(
            words="The database is an older service's and was not adopted: take it over as it "
            "stands, or hear where it differs.",
            command=f"{RELEASE} adopt {_BY}",
        )
    if status.content == "lost":
        return NextCommand(
            words=LOST, command="psql -c \"INSERT INTO alembic_version VALUES ('THE_REVISION')\""
        )
    if status.content == "strange":
        return NextCommand(
            words="The database holds tables, and none of them is ours: check DATABASE_URL. "
            "Signalbook wants an empty database, its own, or the older service's.",
            command=None,
        )
    return NextCommand(
        words="The database is empty: the release builds everything in it. --new says that it is "
        "meant to be new, which production insists on; if you expected data, check DATABASE_URL.",
        command=f"{RELEASE} --new",
    )


def _ahead(status: Status) -> NextCommand | None:
    if status.state != "ahead":
        return None
    return NextCommand(
        words=f"The database is ahead of this image: {status.revision} is not known to it. Deploy "
        "the image that migrated it, or a newer one; to serve with this one meanwhile:",
        command=f"{RELEASE} --allow-ahead",
    )


def _unfinished(status: Status) -> NextCommand | None:
    release = status.next
    if release is None or release.state not in _UNFINISHED_STATES:
        return None
    name = release.revisions[-1]
    if release.state == TAKING_BACK:
        return NextCommand(
            words=f"{name} is being taken back, and that was not finished: the same word finishes "
            "it, and nothing else goes on before.",
            command=_ROLLBACK,
        )
    way_back = "" if release.phase == "contract" else f"; or go back: {_ROLLBACK}"
    last = _last(status)
    if last is not None and last.verdict == "UNVERIFIED":
        words = f"{name} is applied and not as it should be: run the SQL that the run showed, then"
        return NextCommand(words=f"{words} resume{way_back}.", command=f"{RELEASE} resume")
    how = f" (run {last.id}: {last.verdict})" if last and last.verdict else ""
    return NextCommand(
        words=f"{name} was begun and is not finished{how}: what is done is kept, and the rest goes "
        f"on from there{way_back}.",
        command=f"{RELEASE} resume",
    )


def _drifted(status: Status) -> NextCommand | None:
    if not status.drift:
        return None
    count = len(status.drift)
    what = "difference" if count == 1 else "differences"
    return NextCommand(
        words=f"The live schema has {count} {what} from what its revisions build: each is told "
        f"with the SQL that mends it. Mend it, or undo what was done by hand; then: {RELEASE}.",
        command="python -m app drift",
    )


def _red(status: Status) -> NextCommand | None:
    soak = status.soak
    if soak is None or soak.state != "red":
        return None
    why = soak.reasons[0].partition("\n")[0] if soak.reasons else "see its signals"
    return NextCommand(
        words=f"The soak of {_soaked(soak)} is red ({why.rstrip('.')}): take the release back; or "
        f"mend the cause and pass over it with a reason: {_OVERRIDE}.",
        command=_ROLLBACK,
    )


def _of_this_image(status: Status) -> NextCommand | None:
    """Advise on an image whose last run here found that it must be mended."""
    last = _last(status)
    if last is None or last.verdict not in _OF_IMAGE or last.head != status.head:
        return None
    words = (last.words or "").partition("\n")[0]
    return NextCommand(
        words=f"The last run ({last.id}) found fault with this image: {words} A mended image is "
        "released by its deploy.",
        command=RELEASE,
    )


def _soaking(status: Status) -> NextCommand | None:
    soak = status.soak
    if soak is None or soak.state != "running" or status.next is None:
        return None
    until = (soak.started_at + timedelta(seconds=soak.seconds)).astimezone(UTC)
    serves = "" if _needs_more(status) else " This image serves meanwhile."
    return NextCommand(
        words=f"{_soaked(soak)} soaks until {until:%Y-%m-%d %H:%M} UTC: run the release again "
        f"then; or pass over it with a reason: {_OVERRIDE}.{serves}",
        command=RELEASE,
    )


def _planned(status: Status) -> NextCommand | None:
    coming = status.next
    if coming is None or coming.digest is None:
        return None
    name, approve = coming.revisions[-1], _approval(coming)
    decision = coming.decision
    if coming.rehearsal is not None and not coming.rehearsal.passed:
        first = str(next(iter(coming.rehearsal.findings), "see its evidence"))
        return NextCommand(
            words=f"The rehearsal of {name} went wrong on the copy ({first.rstrip('.')}): mend the "
            "revision and deploy again; where something else was to blame, rehearse anew.",
            command=f"{RELEASE} rehearse",
        )
    if decision is not None and decision.valid:
        return NextCommand(
            words=f"{name} is approved by {decision.who} and not applied: the release takes it.",
            command=RELEASE,
        )
    if coming.rehearsal is None:
        return None
    before = "is rehearsed and waits for a person to approve it"
    if decision is not None and decision.decision == "withheld":
        before = f"was withheld by {decision.who} ({decision.why}): approve it when that is settled"
    elif decision is not None:
        before = "was rehearsed again after it was approved, so that the approval is void"
    final = " NO WAY BACK: make a backup first." if coming.no_way_back else ""
    return NextCommand(
        words=f"{name} {before}; {RELEASE} plan shows it.{final} Then: {RELEASE}.", command=approve
    )


def _unplanned(status: Status) -> NextCommand | None:
    coming = status.next
    if coming is None:
        return None
    names = ", ".join(coming.revisions)
    if _needs_more(status):
        return NextCommand(
            words=f"Next comes {names}: the release plans and rehearses it, and asks for approval.",
            command=RELEASE,
        )
    return NextCommand(
        words=f"This image can serve, and may be deployed. {names} stays pending, a {coming.phase} "
        "that never comes by itself: when you want it, rehearse it.",
        command=f"{RELEASE} rehearse",
    )


def _all_done(status: Status) -> NextCommand:
    return NextCommand(
        words=f"All is done: the database is at {status.revision}, and this image may be deployed.",
        command=None,
    )


_RULES: Final[tuple[Rule, ...]] = (
    _unclear, _at_work, _unknown, _ahead, _unmigrated, _unfinished, _drifted, _red, _of_this_image,
    _soaking, _planned, _unplanned,
)  # fmt: skip


def _approval(coming: Release) -> str:
    destroys = f" --destroys {coming.destroyed}" if coming.destroyed else ""
    return f"{RELEASE} approve {(coming.digest or '')[:12]} {_BY}{destroys}"


def _needs_more(status: Status) -> bool:
    return status.state not in {"ready", "head"}


def _last(status: Status) -> Run | None:
    return next(iter(status.runs or ()), None)


def _soaked(soak: SoakClock) -> str:
    return soak.table or soak.revisions[-1]
