"""What the migration status says of a release: its plan, its rehearsal and its decision."""

from typing import Any

from pydantic import Field

from app.releases.status.running_schemas import Moment, WireModel


class PendingRevision(WireModel):
    """A revision that this image has and the database does not."""

    revision: str
    """The name of the revision."""
    phase: str
    """Its part of a change: "expand", "switch" or "contract"."""
    table: str | None
    """The table that it changes; null where it is none or several."""


class PlannedStatement(WireModel):
    """A statement of a plan: how it runs, the strongest lock it takes, and whether it destroys."""

    revision: str
    """The revision that it belongs to."""
    step: int
    """Its place within the revision, from 1."""
    way: str
    """How it is run."""
    sql: str
    """The statement itself."""
    tables: list[str] = Field(default=[])
    """The tables that it touches."""
    lock: str = ""
    """The strongest lock that it takes; empty for none."""
    destroys: bool = False
    """Whether it takes data or a part of the schema away."""


class Lint(WireModel):
    """What the linters said about a plan."""

    rule: str = ""
    """The name of the rule."""
    level: str = ""
    """How much it weighs: an error stops the gate, a warning is for people."""
    words: str = ""
    """What was found, and what to do."""


class Rehearsal(WireModel):
    """The last rehearsal of a plan. ``findings`` say what went wrong on the copy."""

    id: int
    """The number of the rehearsal."""
    passed: bool
    """Whether nothing went wrong on the copy."""
    findings: list[Any]
    """What went wrong on the copy."""
    finished_at: Moment
    """When it ended, in UTC."""


class Decision(WireModel):
    """The last decision about a plan; ``valid`` when it approves it after its last rehearsal."""

    decision: str
    """"approve" or "withhold"."""
    who: str
    """Who decided."""
    why: str
    """The reason."""
    at: Moment
    """When, in UTC."""
    rehearsal: int | None
    """The number of the rehearsal that it was made after."""
    destroys: str | None
    """The tables that it allows to lose something; null for none."""
    valid: bool
    """Whether it approves the plan after its last rehearsal."""


class Release(WireModel):
    """A release: what is known of it before it is planned, and all of it afterwards."""

    revisions: list[str]
    """The revisions that it applies, in their order."""
    phase: str
    """Their part of a change: "expand", "switch" or "contract"."""
    table: str | None
    """The table that it changes; null where it is none or several."""
    digest: str | None = None
    """The digest of the plan, by which people name it; null before it is planned."""
    before: str | None = None
    """The revision that the database was at when it was planned."""
    state: str | None = None
    """Null until a plan was proposed; then "proposed", "applying", "applied", "verified", "taking
    back" or "rolled back".
    """
    proposed_at: Moment | None = None
    """When the plan was made, in UTC."""
    changed_at: Moment | None = None
    """When its state last changed, in UTC."""
    sql: str | None = None
    """All its SQL as one text."""
    destroys: bool | None = None
    """Whether something is taken away."""
    destroyed: str | None = None
    """The table that an approval must name, several with commas; null where nothing is taken away.
    """
    tables: list[str] = Field(default=[])
    """The tables of a release that takes several together."""
    no_way_back: bool = False
    """Whether it cannot be taken back: true of a contract."""
    connected: list[str] = Field(default=[])
    """Of a contract the sessions that are not this service's."""
    statements: list[PlannedStatement] = Field(default=[])
    """What it runs, in its order."""
    lint: list[Lint] = Field(default=[])
    """What the linters say of it."""
    rehearsal: Rehearsal | None = None
    """Its last rehearsal."""
    decision: Decision | None = None
    """The last decision about it."""
