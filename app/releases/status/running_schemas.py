"""What the migration status says of the gate that is at work, and of those in its way."""

from typing import Final

from pydantic import AliasChoices, Field

from app.releases.status.wire_model import Moment, WireModel

BLOCKER: Final = AliasChoices("blocker", "lastBlocker")  # in the ledger, and on the wire


class LastBlocker(WireModel):
    """Whoever held what a statement waited for, when that was last looked at."""

    pid: int
    application: str
    state: str | None
    at: Moment


class RunningStatement(WireModel):
    """The statement that the gate is at. ``last_blocker`` stays between two of its tries."""

    sql: str
    kind: str
    lock: str
    seconds: float
    predicted_seconds: float | None
    tries: int
    stall: float
    last_blocker: LastBlocker | None = Field(default=None, validation_alias=BLOCKER)


class WaitedFor(WireModel):
    """Whoever holds what the gate waits for."""

    pid: int
    application: str
    state: str | None
    transaction_seconds: float | None
    query: str


class Blocked(WireModel):
    """Whoever waits for the gate."""

    pid: int
    seconds: float
    query: str


class Progress(WireModel):
    """How far long work is. ``rate`` is in units a second."""

    what: str
    units_done: int = Field(alias="done")
    total: int
    rate: float | None
    remaining_seconds: float | None


class Running(WireModel):
    """What the gate is doing now.

    ``run`` is null while the run's page is being opened, and when it is unread. ``progress`` is
    null when it is unread.
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
