"""What the migration status says of the gate at work, and the base of all models of the status."""

from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

from app.timestamps import wire_moment

BLOCKER: Final = AliasChoices("blocker", "lastBlocker")  # in the ledger, and on the wire


Moment = Annotated[
    datetime,
    PlainSerializer(wire_moment, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class WireModel(BaseModel):
    """A model with camelCase members, made of rows or of objects with these attributes."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, extra="ignore", from_attributes=True
    )

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values, as they are on the wire."""
        return self.model_dump(mode="json", by_alias=True)


class LastBlocker(WireModel):
    """Whoever held what a statement waited for, when that was last looked at."""

    pid: int
    """The number of its server process."""
    application: str
    """The name that it gave itself."""
    state: str | None
    """What it was doing: "active", "idle in transaction"."""
    at: Moment
    """When it was last seen, in UTC."""


class RunningStatement(WireModel):
    """The statement that the gate is at. ``last_blocker`` stays between two of its tries."""

    sql: str
    """The statement."""
    kind: str
    """The kind of statement."""
    lock: str
    """The strongest lock that it takes."""
    seconds: float
    """How long it has run, in seconds."""
    predicted_seconds: float | None
    """How long the rehearsal lets expect, in seconds."""
    tries: int
    """How often it was tried."""
    stall: float
    """How long it has made others wait, in seconds."""
    last_blocker: LastBlocker | None = Field(default=None, validation_alias=BLOCKER)
    """Who last held what it waits for. It stays between two tries."""


class WaitedFor(WireModel):
    """Whoever holds what the gate waits for."""

    pid: int
    """The number of its server process."""
    application: str
    """The name that it gave itself."""
    state: str | None
    """What it is doing."""
    transaction_seconds: float | None
    """How long its transaction has been open, in seconds."""
    query: str
    """Its last query, without literals that may be secrets."""


class Blocked(WireModel):
    """Whoever waits for the gate."""

    pid: int
    """The number of its server process."""
    seconds: float
    """How long it has waited, in seconds."""
    query: str
    """Its query, without literals that may be secrets."""


class Progress(WireModel):
    """How far long work is. ``rate`` is in units a second."""

    what: str
    """What is counted."""
    units_done: int = Field(alias="done")
    """How many are done."""
    total: int
    """How many there are."""
    rate: float | None
    """How many are done in a second."""
    remaining_seconds: float | None
    """How long it still takes, in seconds."""


class Running(WireModel):
    """What the gate is doing now."""

    run: int | None
    """The number of the run; null while its page is being opened, or unread."""
    word: str | None
    """What was asked for."""
    who: str | None
    """Who asked for it."""
    stage: str | None
    """The stage that it is at."""
    since: Moment | None
    """When that began, in UTC."""
    statement: RunningStatement | None
    """The statement that it is at."""
    waits_for: list[WaitedFor]
    """Who holds what it waits for."""
    blocks: list[Blocked]
    """Who waits for it."""
    progress: list[Progress] | None
    """How far long work is; null when it is unread."""
    safe_to_cancel: bool
    """Whether its process may be stopped now."""
    safe_words: str
    """What stopping it would do."""
