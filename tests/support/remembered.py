"""What the code's own revisions build, found out once in a process instead of in every run.

It is the same for all runs of the gate on one server: only the first builds scratch databases.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

from app.older_service import probe
from app.releases.gate import statement_proof
from app.releases.gate.stages import prove_statements as truth_stage
from app.releases.product import Statements
from app.releases.rehearsal import rehearsal
from app.releases.schema import drift, scratch_database
from app.releases.schema.snapshot import Snapshot

_BUILT: Final[dict[str, Snapshot]] = {}
_TRUTH: Final[dict[int, dict[str, str]]] = {}
_PLACES: Final = (
    (drift, "expected"), (rehearsal, "expected"), (probe, "expected"),
    (truth_stage, "image_failures"),
)  # fmt: skip
_users = 0


async def _expected(url: str, revision: str) -> Snapshot:
    if revision not in _BUILT:
        _BUILT[revision] = await scratch_database.expected(url, revision)
    return _BUILT[revision]


async def _image_failures(url: str, statements: Statements) -> dict[str, str]:
    key = hash(tuple(statements.items()))
    if key not in _TRUTH:
        _TRUTH[key] = await statement_proof.image_failures(url, statements)
    return _TRUTH[key]


@contextmanager
def remembered() -> Iterator[None]:
    """Remember within the block; several blocks may be open at once."""
    global _users  # noqa: PLW0603  # the blocks of one process count together
    if not _users:
        _put(*[_expected] * 3, _image_failures)
    _users += 1
    try:
        yield
    finally:
        _users -= 1
        if not _users:
            _put(*[scratch_database.expected] * 3, statement_proof.image_failures)


def _put(*functions: Any) -> None:
    for (module, name), function in zip(_PLACES, functions, strict=True):
        setattr(cast("Any", module), name, function)
