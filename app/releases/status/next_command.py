"""The state of a release in one sentence, and the one command to run next, from the status.

The first rule that returns something wins: what cannot be read, then what runs, then what was
begun, then what is wrong, then what comes next.
"""

from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Final

from app.releases.migrations.version_row import LOST
from app.releases.status.running_schemas import Running
from app.releases.status.schemas import NextCommand, Run, SoakClock, Status

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

# What to run, None where no command of ours helps, and what stands.
Advice = tuple[str | None, str]
Rule = Callable[[Status], Advice | None]


def next_command(status: Status) -> NextCommand:
    """Return what to do next; ``command`` is null where no command of ours helps."""
    advice = next(filter(None, (rule(status) for rule in _RULES)), None)
    all_well = f"All is done: the database is at {status.revision}, and this image may be deployed."
    command, words = advice or (None, all_well)
    words += _last_failure(status, command)
    missing = [name for name in status.unread if name not in words]
    if missing and command != _LOOK:
        words += f" Not read: {', '.join(missing)}; look again before you act."
    return NextCommand(words=words, command=command)


def _last_failure(status: Status, command: str | None) -> str:
    """Return why the last run failed, where the same command would fail again."""
    run = _last(status)
    if run is None or run.verdict != "FAILED" or not (command or "").startswith(RELEASE):
        return ""
    return f" The last run, {run.id}, failed; mend this first: {run.words}"


def unreachable(words: str) -> NextCommand:
    """Return what to do where no database answers."""
    return NextCommand(words=words, command=_LOOK)


def _unclear(status: Status) -> Advice | None:
    return (None, status.unclear) if status.unclear else None


def _at_work(status: Status) -> Advice | None:
    running = status.running
    if running is None:
        return None
    who = _run_name(running)
    if holders := [holder for holder in running.waits_for if holder.pid]:
        first = holders[0]
        others = f" and {len(holders) - 1} more" if len(holders) > 1 else ""
        about = describe_session(first.application, first.state, first.transaction_seconds)
        return f"psql -c 'SELECT pg_terminate_backend({first.pid})'", (
            f"{who} waits for a lock that process {first.pid} holds ({about}){others}. "
            "Wait, it gives up by itself; or end that session once a person has made sure that it "
            "may be ended."
        )
    if running.waits_for:
        words = f"{who} waits for a prepared transaction: commit it or roll it back by its name."
        return "psql -c 'TABLE pg_prepared_xacts'", words
    rest = "Let it end." if running.run else "It has just begun: look again in a moment."
    return _LOOK, f"{who} is at work{_between_tries(running)}. {rest}"


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


def _unknown(status: Status) -> Advice | None:
    """Ask to look again where what decides could not be read."""
    decides = {"revision", "running", "next"}.intersection(status.unread)
    if status.state is not None and not decides:
        return None
    names = ", ".join(sorted(decides or status.unread))
    return _LOOK, f"What decides cannot be read now ({names}: locked, or too slow): look again."


def _unmigrated(status: Status) -> Advice | None:
    """Advise on a database that was never migrated, by what it holds."""
    is_begun = status.next is not None and status.next.state in _UNFINISHED_STATES
    if status.state != "unmigrated" or (is_begun and status.content is None):
        return None
    if status.content == "adoptable":
        return f"{RELEASE} adopt {_BY}", (
            "The database is an older service's and was not adopted: take it over as it stands, or "
            "hear where it differs."
        )
    if status.content == "lost":
        return "psql -c \"INSERT INTO alembic_version VALUES ('THE_REVISION')\"", LOST
    if status.content == "strange":
        return None, (
            "The database holds tables, and none of them is ours: check DATABASE_URL. Signalbook "
            "wants an empty database, its own, or the older service's."
        )
    return f"{RELEASE} --new", (
        "The database is empty: the release builds everything in it. --new says that it is meant "
        "to be new, which production insists on; if you expected data, check DATABASE_URL."
    )


def _ahead(status: Status) -> Advice | None:
    if status.state != "ahead":
        return None
    return f"{RELEASE} --allow-ahead", (
        f"The database is ahead of this image: {status.revision} is not known to it. Deploy the "
        "image that migrated it, or a newer one; to serve with this one meanwhile:"
    )


def _unfinished(status: Status) -> Advice | None:
    release = status.next
    if release is None or release.state not in _UNFINISHED_STATES:
        return None
    name = release.revisions[-1]
    if release.state == TAKING_BACK:
        return _ROLLBACK, (
            f"{name} is being taken back, and that was not finished: the same word finishes it, "
            "and nothing else goes on before."
        )
    way_back = "" if release.phase == "contract" else f"; or go back: {_ROLLBACK}"
    last = _last(status)
    if last is not None and last.verdict == "UNVERIFIED":
        words = f"{name} is applied and not as it should be: run the SQL that the run showed, then"
        return f"{RELEASE} resume", f"{words} resume{way_back}."
    how = f" (run {last.id}: {last.verdict})" if last and last.verdict else ""
    return f"{RELEASE} resume", (
        f"{name} was begun and is not finished{how}: what is done is kept, and the rest goes on "
        f"from there{way_back}."
    )


def _drifted(status: Status) -> Advice | None:
    if not status.drift:
        return None
    count = len(status.drift)
    what = "difference" if count == 1 else "differences"
    return "python -m app drift", (
        f"The live schema has {count} {what} from what its revisions build: each is told with the "
        f"SQL that mends it. Mend it, or undo what was done by hand; then: {RELEASE}."
    )


def _red(status: Status) -> Advice | None:
    soak = status.soak
    if soak is None or soak.state != "red":
        return None
    why = soak.reasons[0].partition("\n")[0] if soak.reasons else "see its signals"
    return _ROLLBACK, (
        f"The soak of {_soaked(soak)} is red ({why.rstrip('.')}): take the release back; or mend "
        f"the cause and pass over it with a reason: {_OVERRIDE}."
    )


def _of_this_image(status: Status) -> Advice | None:
    """Advise on an image whose last run here found that it must be mended."""
    last = _last(status)
    if last is None or last.verdict not in _OF_IMAGE or last.head != status.head:
        return None
    words = (last.words or "").partition("\n")[0]
    return RELEASE, (
        f"The last run ({last.id}) found fault with this image: {words} A mended image is released "
        "by its deploy."
    )


def _soaking(status: Status) -> Advice | None:
    soak = status.soak
    if soak is None or soak.state != "running" or status.next is None:
        return None
    until = (soak.started_at + timedelta(seconds=soak.seconds)).astimezone(UTC)
    serves = "" if _needs_more(status) else " This image serves meanwhile."
    return RELEASE, (
        f"{_soaked(soak)} soaks until {until:%Y-%m-%d %H:%M} UTC: run the release again then; or "
        f"pass over it with a reason: {_OVERRIDE}.{serves}"
    )


def _planned(status: Status) -> Advice | None:
    coming = status.next
    if coming is None or coming.digest is None:
        return None
    name, decision, rehearsal = coming.revisions[-1], coming.decision, coming.rehearsal
    if rehearsal is not None and not rehearsal.passed:
        first = str(next(iter(rehearsal.findings), "see its evidence"))
        return f"{RELEASE} rehearse", (
            f"The rehearsal of {name} went wrong on the copy ({first.rstrip('.')}): mend the "
            "revision and deploy again; where something else was to blame, rehearse anew."
        )
    if decision is not None and decision.valid:
        words = f"{name} is approved by {decision.who} and not applied: the release takes it."
        return RELEASE, words
    if rehearsal is None:
        return None
    before = "is rehearsed and waits for a person to approve it"
    if decision is not None and decision.decision == "withheld":
        before = f"was withheld by {decision.who} ({decision.why}): approve it when that is settled"
    elif decision is not None:
        before = "was rehearsed again after it was approved, so that the approval is void"
    final = " NO WAY BACK: make a backup first." if coming.no_way_back else ""
    destroys = f" --destroys {coming.destroyed}" if coming.destroyed else ""
    return (
        f"{RELEASE} approve {coming.digest[:12]} {_BY}{destroys}",
        f"{name} {before}; {RELEASE} plan shows it.{final} Then: {RELEASE}.",
    )


def _unplanned(status: Status) -> Advice | None:
    coming = status.next
    if coming is None:
        return None
    names = ", ".join(coming.revisions)
    if _needs_more(status):
        words = f"Next comes {names}: the release plans and rehearses it, and asks for approval."
        return RELEASE, words
    return f"{RELEASE} rehearse", (
        f"This image can serve, and may be deployed. {names} stays pending, a {coming.phase} that "
        "never comes by itself: when you want it, rehearse it."
    )


_RULES: Final[tuple[Rule, ...]] = (
    _unclear, _at_work, _unknown, _ahead, _unmigrated, _unfinished, _drifted, _red, _of_this_image,
    _soaking, _planned, _unplanned,
)  # fmt: skip


def _needs_more(status: Status) -> bool:
    return status.state not in {"ready", "head"}


def _last(status: Status) -> Run | None:
    return next(iter(status.runs or ()), None)


def _soaked(soak: SoakClock) -> str:
    return soak.table or soak.revisions[-1]
