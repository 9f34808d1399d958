"""What bulk and sync answer alike: the JSON of one outcome, and the ignored members of all."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from pydantic import BaseModel

from app.api.error_responses import problem_json
from app.errors import SignalbookError
from app.model.schemas import unknown_members


class WriteOutcome(Protocol):
    """What became of one write: its status, and the row as JSON or the error."""

    @property
    def status(self) -> str: ...
    @property
    def entity(self) -> bytes | None: ...
    @property
    def error(self) -> SignalbookError | None: ...


class StepWithIgnored(Protocol):
    """A write as it was requested, with the members of it that were ignored."""

    @property
    def ignored(self) -> Sequence[str]: ...


def outcome_json(name: bytes, outcome: WriteOutcome, path: str) -> bytes:
    """Return an outcome as JSON, the row in the very bytes that PostgreSQL made.

    ``name`` are the members that say which outcome it is; ``path`` is where the row is served.
    """
    members = [name, b'"status":"%b"' % outcome.status.encode()]
    if outcome.entity is not None:
        members.append(b'"entity":' + outcome.entity)
    if outcome.error is not None:
        members.append(b'"error":' + problem_json(outcome.error, path))
    return b"{%b}" % b",".join(members)


def ignored_members(body: BaseModel, steps: Iterable[StepWithIgnored]) -> Iterator[str]:
    """Yield the ignored members of the request and of its steps."""
    yield from unknown_members(body)
    for step in steps:
        yield from step.ignored
