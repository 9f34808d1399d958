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
