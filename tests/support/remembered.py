"""What the code's own revisions build, found out once in a process instead of in every run.

It is the same for all runs of the gate on one server: only the first builds scratch databases.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

from app.releases.gate import statement_proof
from app.releases.gate.stages import prove_statements as truth_stage
from app.releases.rehearsal import rehearsal
from app.releases.schema import drift, scratch_database
from app.releases.schema.snapshot import Snapshot

_BUILT: Final[dict[str, Snapshot]] = {}
_TRUTH: Final[dict[int, dict[str, str]]] = {}
_PLACES: Final = (
    (drift, "expected_snapshot"),
    (rehearsal, "expected_snapshot"),
    (truth_stage, "image_failures"),
)
_users = 0


async def _expected(url: str, revision: str) -> Snapshot:
    if revision not in _BUILT:
        _BUILT[revision] = await scratch_database.expected_snapshot(url, revision)
    return _BUILT[revision]


async def _image_failures(url: str, statements: statement_proof.Statements) -> dict[str, str]:
    key = hash(tuple(statements.items()))
    if key not in _TRUTH:
        _TRUTH[key] = await statement_proof.image_failures(url, statements)
    return _TRUTH[key]


@contextmanager
def remembered() -> Iterator[None]:
    """Remember within the block; several blocks may be open at once."""
    global _users  # noqa: PLW0603  # the blocks of one process count together
    if not _users:
        _put(_expected, _expected, _image_failures)
    _users += 1
    try:
        yield
    finally:
        _users -= 1
        if not _users:
            _put(
                scratch_database.expected_snapshot,
                scratch_database.expected_snapshot,
                statement_proof.image_failures,
            )


def _put(*functions: Any) -> None:
    for (module, name), function in zip(_PLACES, functions, strict=True):
        setattr(cast("Any", module), name, function)
