"""What the migration status looks like: one object from which a console can be drawn whole.

Members are camelCase on the wire. Times are ISO 8601 in UTC, durations in seconds.
"""

from typing import Any

from pydantic import Field

from app.releases.status.plan_schemas import PendingRevision, Release
from app.releases.status.running_schemas import BLOCKER, LastBlocker, Moment, Running, WireModel


class Drift(WireModel):
    """A difference between the live schema and what its revisions build."""

    kind: str
    """The kind of object: "column", "index", "constraint"."""
    table: str | None
    """The table that it belongs to."""
    object: str
    """The name of the object."""
    expected: str | None
    """What the revisions build; null where it should not be there."""
    there: str | None
    """What the database has; null where it is missing."""
    words: str
    """The difference as a sentence."""
    mend: list[str]
    """The statements that mend it; empty where people must decide."""


class SignalSeen(WireModel):
    """What the serving app noted while a release soaked."""

    kind: str
    """Whether it was an error or a drift."""
    code: str
    """The SQLSTATE, or the kind of drift."""
    words: str
    """What was said, without any value of a request."""
    source: str
    """The route that met it, by its template."""
    count: int
    """How often it was seen."""
    at: Moment
    """When first, in UTC."""
    last_at: Moment
    """When last, in UTC."""


class SoakClock(WireModel):
    """How the soak of the last release stands."""

    digest: str
    """The digest of the release."""
    table: str | None
    """The table that it changed."""
    revisions: list[str]
    """The revisions that it applied."""
    state: str
    """"running", "green", "red", "overridden" or "taking back"."""
    started_at: Moment
    """When the soak began, in UTC."""
    seconds: float
    """How long it lasts in all, in seconds."""
    remaining_seconds: float
    """How long it still lasts, in seconds."""
    last_look_at: Moment | None
    """When a serving process last finished a look for drift, in UTC; null for never."""
    reasons: list[str]
    """Why it is red."""
    signals: list[SignalSeen]
    """What was noted while it ran."""


class Override(WireModel):
    """A rule that somebody passed over."""

    run: int
    """The number of the run that did it."""
    rule: str
    """The rule that was passed over."""
    who: str
    """Who did it."""
    why: str
    """The reason."""
    at: Moment
    """When, in UTC."""


class Stage(WireModel):
    """A stage of a run; ``seconds`` and ``outcome`` are null while it runs, or was killed."""

    stage: str
    """The name of the stage."""
    outcome: str | None
    """How it ended; null while it runs, or if it was killed."""
    words: str | None
    """What came of it, as a sentence."""
    seconds: float | None
    """How long it took, in seconds; null while it runs, or if it was killed."""


class Run(WireModel):
    """A run of the gate. One whose process was killed has the verdict KILLED."""

    id: int
    """The number of the run."""
    word: str
    """What was asked for: "release", "rehearse", "rollback"."""
    who: str
    """Who asked for it."""
    why: str | None
    """The reason, where one was given."""
    before: str | None
    """The revision that the database was at before."""
    after: str | None
    """The revision that it was at afterwards."""
    digest: str | None
    """The digest of the plan that it was about."""
    head: str | None = None
    """The newest revision of the image that ran it."""
    verdict: str | None
    """How it ended; null while it runs, KILLED if its process was."""
    exit_code: int | None
    """The exit code of its process."""
    words: str | None
    """The verdict as a sentence."""
    started_at: Moment
    """When it began, in UTC."""
    finished_at: Moment | None
    """When it ended, in UTC."""
    stages: list[Stage] = Field(default=[])
    """Its stages, in their order."""


class StageEvidence(Stage):
    """A stage with what it found out."""

    started_at: Moment
    """When it began, in UTC."""
    finished_at: Moment | None
    """When it ended, in UTC."""
    evidence: dict[str, Any]
    """What it found out."""


class StatementRun(WireModel):
    """A statement as it ran: how long, how long others waited for it, and how it failed."""

    stage: str
    """The stage that ran it."""
    kind: str
    """The kind of statement."""
    sql: str
    """The statement, with its literals emptied where they may be secrets."""
    lock: str
    """The strongest lock that it took."""
    started_at: Moment
    """When it began, in UTC."""
    seconds: float | None
    """How long it took, in seconds."""
    predicted_seconds: float | None = Field(validation_alias="predicted")
    """How long the rehearsal had let expect, in seconds."""
    tries: int
    """How often it was tried."""
    stall: float
    """How long it made others wait in all, in seconds."""
    error: str | None
    """How it failed; null if it did not."""
    last_blocker: LastBlocker | None = Field(default=None, validation_alias=BLOCKER)
    """Who last held what it waited for."""


class RunEvidence(Run):
    """A run with all its evidence."""

    needed: str
    """The revision that its image needs."""
    stages: list[StageEvidence] = Field(default=[])  # type: ignore[assignment]  # each says more
    """Its stages with what they found out."""
    statements: list[StatementRun] = Field(default=[])
    """The statements that it ran."""


class NextCommand(WireModel):
    """What stands, in a sentence, and the one command to run next; null where none helps."""

    words: str
    """What stands, in a sentence."""
    command: str | None
    """The one command to run next; null where none helps."""


class Status(WireModel):
    """Where the database stands, what is pending, what runs now, and what ran before."""

    revision: str | None
    """The revision that the database is at; null where none can be told."""
    head: str
    """The newest revision of this version."""
    needed: str
    """The revision that this version needs."""
    state: str | None
    """How the two compare, as in /health."""
    pending: list[PendingRevision] | None
    """What is still to be applied."""
    next: Release | None
    """The next release."""
    drift: list[Drift] | None
    """Where the live schema differs from its revisions; null where nobody looked yet."""
    drift_checked_at: Moment | None
    """When that was looked at, in UTC."""
    drift_checked_by: str | None
    """Who looked: "gate", "app", or "question" for this very request."""
    soak: SoakClock | None
    """How the soak of the last release stands."""
    running: Running | None
    """What the gate is doing now; null where it is not."""
    overrides: list[Override] | None
    """The rules that were passed over."""
    runs: list[Run] | None
    """The last runs, newest first."""
    unread: list[str]
    """The members that are null because their tables were locked or the time was over."""
    content: str | None = None
    """What stands in a database that was never migrated: null for nothing, "adoptable", "lost"
    (ours, without its revision) or "strange".
    """
    unclear: str | None = None
    """Why the revision cannot be told."""
    next_command: NextCommand | None = None
    """What to do next."""
