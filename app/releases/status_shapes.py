"""What the migration status looks like: one object from which a console can be drawn whole.

Members are camelCase on the wire. Times are ISO 8601 in UTC, durations in seconds.
"""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

from app.fields import wire_moment

Moment = Annotated[
    datetime,
    PlainSerializer(wire_moment, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class Shape(BaseModel):
    """What all of them share."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, extra="ignore")

    def as_json(self) -> dict[str, Any]:
        """Give it as JSON values, as they are on the wire."""
        return self.model_dump(mode="json", by_alias=True)


class PendingRevision(Shape):
    """A revision that this image has and the database does not."""

    revision: str
    phase: str
    table: str | None


class PlannedStatement(Shape):
    """A statement of a plan: how it runs, the strongest lock it takes, and whether it destroys."""

    revision: str
    step: int
    way: str
    sql: str
    tables: list[str] = []
    lock: str = ""
    destroys: bool = False


class Lint(Shape):
    """What the linters said about a plan."""

    rule: str = ""
    level: str = ""
    words: str = ""


class Rehearsal(Shape):
    """The last rehearsal of a plan. ``findings`` say what went wrong on the copy."""

    id: int
    passed: bool
    findings: list[Any]
    finished_at: Moment


class Decision(Shape):
    """The last decision about a plan; ``valid`` when it approves it after its last rehearsal."""

    decision: str
    who: str
    why: str
    at: Moment
    rehearsal: int | None
    destroys: str | None
    valid: bool


class Release(Shape):
    """A release: what is known of it before it is planned, and all of it afterwards.

    ``state`` is null until a plan was proposed, then "proposed", "applying", "applied",
    "verified" or "rolled back".
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
    statements: list[PlannedStatement] = []
    lint: list[Lint] = []
    rehearsal: Rehearsal | None = None
    decision: Decision | None = None


class Drift(Shape):
    """A difference between the live schema and what its revisions build."""

    kind: str
    table: str | None
    object: str
    expected: str | None
    there: str | None
    words: str
    mend: list[str]


class SignalSeen(Shape):
    """What the serving app noted while a release soaked."""

    kind: str
    code: str
    words: str
    source: str
    count: int
    at: Moment
    last_at: Moment


class SoakClock(Shape):
    """How the soak of the last release stands: running, green, red or overridden.

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


class RunningStatement(Shape):
    """The statement that the gate is at."""

    sql: str
    kind: str
    lock: str
    seconds: float
    predicted_seconds: float | None
    tries: int
    stall: float


class WaitedFor(Shape):
    """Whoever holds what the gate waits for."""

    pid: int
    application: str
    state: str | None
    transaction_seconds: float | None
    query: str


class Blocked(Shape):
    """Whoever waits for the gate."""

    pid: int
    seconds: float
    query: str


class Progress(Shape):
    """How far long work is. ``rate`` is in units a second."""

    what: str
    done: int
    total: int
    rate: float | None
    remaining_seconds: float | None


class Running(Shape):
    """What the gate is doing now. ``run`` is null while it opens its page, and when it is unread;
    so is ``progress``, which is otherwise a list.
    """

    run: int | None
    word: str | None
    who: str | None
    stage: str | None
    since: Moment | None
    statement: RunningStatement | None
    waits_for: list[WaitedFor]
    blocks: list[Blocked]
    progress: list[Progress] | None
    safe_to_cancel: bool
    safe_words: str


class Override(Shape):
    """A rule that somebody passed over."""

    run: int
    rule: str
    who: str
    why: str
    at: Moment


class Stage(Shape):
    """A stage of a run; ``seconds`` and ``outcome`` are null while it runs, or was killed."""

    stage: str
    outcome: str | None
    words: str | None
    seconds: float | None


class Run(Shape):
    """A run of the gate. One whose process was killed has the verdict KILLED."""

    id: int
    word: str
    who: str
    why: str | None
    before: str | None
    after: str | None
    digest: str | None
    verdict: str | None
    exit_code: int | None
    words: str | None
    started_at: Moment
    finished_at: Moment | None
    stages: list[Stage] = []


class StageEvidence(Stage):
    """A stage with what it found out."""

    started_at: Moment
    finished_at: Moment | None
    evidence: dict[str, Any]


class StatementRun(Shape):
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


class RunEvidence(Run):
    """A run with all its evidence."""

    head: str
    needed: str
    stages: list[StageEvidence] = []  # type: ignore[assignment]  # each says more than a Stage
    statements: list[StatementRun] = []


class Status(Shape):
    """Where the database stands, what is pending, what runs now, and what ran before.

    ``unread`` names the members that are null because something had locked what they are read
    from, or the time was over. ``drift`` is what was found at ``drift_checked_at`` by
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
