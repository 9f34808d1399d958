"""What bulk and sync answer alike: the JSON of one outcome, and the ignored members of all."""

from collections.abc import Iterator, Sequence

from pydantic import BaseModel

from app.api.error_responses import problem_json
from app.model.schemas import unknown_members
from app.store.bulk import BulkOutcome, BulkStep
from app.sync.applier import MutationOutcome
from app.sync.mutations import MutationStep


def outcome_json(name: bytes, outcome: BulkOutcome | MutationOutcome, path: str) -> bytes:
    """Return an outcome as JSON, the row in the very bytes that PostgreSQL made.

    ``name`` are the members that say which outcome it is; ``path`` is where the row is served.
    """
    members = [name, b'"status":"%b"' % outcome.status.encode()]
    if outcome.entity is not None:
        members.append(b'"entity":' + outcome.entity)
    if outcome.error is not None:
        members.append(b'"error":' + problem_json(outcome.error, path))
    return b"{%b}" % b",".join(members)


def ignored_members(body: BaseModel, steps: Sequence[BulkStep | MutationStep]) -> Iterator[str]:
    """Yield the ignored members of the request and of its steps."""
    yield from unknown_members(body)
    for step in steps:
        yield from step.ignored
