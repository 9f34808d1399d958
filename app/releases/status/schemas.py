"""What the migration status looks like: one object from which a console can be drawn whole.

Members are camelCase on the wire. Times are ISO 8601 in UTC, durations in seconds.
"""

from typing import Any

from pydantic import Field

from app.releases.status.running_schemas import BLOCKER, LastBlocker, Moment, Running, WireModel


class PendingRevision(WireModel):
    """A revision that this image has and the database does not."""

    revision: str
    phase: str
    table: str | None


class PlannedStatement(WireModel):
    """A statement of a plan: how it runs, the strongest lock it takes, and whether it destroys."""

    revision: str
    step: int
    way: str
    sql: str
    tables: list[str] = Field(default=[])
    lock: str = ""
    destroys: bool = False


class Lint(WireModel):
    """What the linters said about a plan."""

    rule: str = ""
    level: str = ""
    words: str = ""


class Rehearsal(WireModel):
    """The last rehearsal of a plan. ``findings`` say what went wrong on the copy."""

    id: int
    passed: bool
    findings: list[Any]
    finished_at: Moment


class Decision(WireModel):
    """The last decision about a plan; ``valid`` when it approves it after its last rehearsal."""

    decision: str
    who: str
    why: str
    at: Moment
    rehearsal: int | None
    destroys: str | None
    valid: bool


class Release(WireModel):
    """A release: what is known of it before it is planned, and all of it afterwards.

    ``state`` is null until a plan was proposed, then "proposed", "applying", "applied",
    "verified", "taking back" or "rolled back". ``destroyed`` is the table that an approval must
    name, several with commas, null where nothing is taken away. ``tables`` are those of a release
    that takes several together. Of a contract, from which there is no way back, ``connected`` are
    the sessions that are not this service's.
    """

    revisions: list[str]
    phase: str
    table: str | None
    digest: str | None = None
    before: str | None = None
    state: str | None = None
    proposed_at: Moment | None = None
    changed_at: Moment | None = None
    sql: str | None = None
    destroys: bool | None = None
    destroyed: str | None = None
    tables: list[str] = Field(default=[])
    no_way_back: bool = False
    connected: list[str] = Field(default=[])
    statements: list[PlannedStatement] = Field(default=[])
    lint: list[Lint] = Field(default=[])
    rehearsal: Rehearsal | None = None
    decision: Decision | None = None


class Drift(WireModel):
    """A difference between the live schema and what its revisions build."""

    kind: str
    table: str | None
    object: str
    expected: str | None
    there: str | None
    words: str
    mend: list[str]


class SignalSeen(WireModel):
    """What the serving app noted while a release soaked."""

    kind: str
    code: str
    words: str
    source: str
    count: int
    at: Moment
    last_at: Moment


class SoakClock(WireModel):
    """How the soak of the last release stands: running, green, red, overridden or taking back.

    ``last_look_at`` is when a serving app last finished a look for drift; null for never.
    """

    digest: str
    table: str | None
    revisions: list[str]
    state: str
    started_at: Moment
    seconds: float
    remaining_seconds: float
    last_look_at: Moment | None
    reasons: list[str]
    signals: list[SignalSeen]


class Override(WireModel):
    """A rule that somebody passed over."""

    run: int
    rule: str
    who: str
    why: str
    at: Moment


class Stage(WireModel):
    """A stage of a run; ``seconds`` and ``outcome`` are null while it runs, or was killed."""

    stage: str
    outcome: str | None
    words: str | None
    seconds: float | None


class Run(WireModel):
    """A run of the gate. One whose process was killed has the verdict KILLED."""

    id: int
    word: str
    who: str
    why: str | None
    before: str | None
    after: str | None
    digest: str | None
    head: str | None = None
    verdict: str | None
    exit_code: int | None
    words: str | None
    started_at: Moment
    finished_at: Moment | None
    stages: list[Stage] = Field(default=[])


class StageEvidence(Stage):
    """A stage with what it found out."""

    started_at: Moment
    finished_at: Moment | None
    evidence: dict[str, Any]


class StatementRun(WireModel):
    """A statement as it ran: how long, how long others waited for it, and how it failed."""

    stage: str
    kind: str
    sql: str
    lock: str
    started_at: Moment
    seconds: float | None
    predicted_seconds: float | None = Field(validation_alias="predicted")
    tries: int
    stall: float
    error: str | None
    last_blocker: LastBlocker | None = Field(default=None, validation_alias=BLOCKER)


class RunEvidence(Run):
    """A run with all its evidence."""

    needed: str
    stages: list[StageEvidence] = Field(default=[])  # type: ignore[assignment]  # each says more than a Stage
    statements: list[StatementRun] = Field(default=[])


class NextCommand(WireModel):
    """What stands, in a sentence, and the one command to run next; null where none helps."""

    words: str
    command: str | None


class Status(WireModel):
    """Where the database stands, what is pending, what runs now, and what ran before.

    ``unread`` names the members that are null because something had locked what they are read
    from, or the time was over. ``content`` is what stands in a database that was never migrated:
    nothing, "adoptable", "lost" (ours, without its revision) or "strange"; ``unclear`` says why its
    revision cannot be told. ``drift`` is what was found at ``drift_checked_at`` by
    ``drift_checked_by``: the gate's last run ("gate"), a serving app ("app"), or this very
    question ("question"). All three are null where nobody looked at the live revision yet; by whom
    is null too where an older version noted only the time.
    """

    revision: str | None
    head: str
    needed: str
    state: str | None
    pending: list[PendingRevision] | None
    next: Release | None
    drift: list[Drift] | None
    drift_checked_at: Moment | None
    drift_checked_by: str | None
    soak: SoakClock | None
    running: Running | None
    overrides: list[Override] | None
    runs: list[Run] | None
    unread: list[str]
    content: str | None = None
    unclear: str | None = None
    next_command: NextCommand | None = None
