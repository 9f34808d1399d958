"""What the code's own revisions build, found out once for all processes instead of in every run.

It is the same for all runs of the gate on one kind of server: only the first builds scratch
databases. What a test's own image builds is remembered by its process alone.
"""

import pickle
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

from app.older_service import probe
from app.releases.gate.stages import prove_statements as truth_stage
from app.releases.gate.stages.prove_statements import image_failures
from app.releases.migrations import revisions
from app.releases.product import Statements
from app.releases.rehearsal import rehearsal
from app.releases.schema import drift, scratch_database
from app.releases.schema.snapshot import Snapshot
from app.settings import PROJECT
from tests.support import generation
from tests.support.databases import column

_BUILT: Final[dict[str, Snapshot]] = {}
_TRUTH: Final[dict[str, dict[str, str]]] = {}
_SERVER: Final = """SELECT concat(current_setting('server_version_num'), datcollate, datlocprovider)
  FROM pg_database WHERE datname = current_database()"""
_PLACES: Final = (
    (drift, "expected_snapshot"),
    (rehearsal, "expected_snapshot"),
    (probe, "expected_snapshot"),
    (truth_stage, "image_failures"),
)
_users = 0


async def _expected(url: str, revision: str) -> Snapshot:
    if revision not in _BUILT:
        _BUILT[revision] = await _cached(
            url, revision, lambda: scratch_database.expected_snapshot(url, revision)
        )
    return _BUILT[revision]


async def _image_failures(url: str, statements: Statements) -> dict[str, str]:
    key = generation.digest(repr(sorted(statements.items())).encode())
    if key not in _TRUTH:
        _TRUTH[key] = await _cached(url, key, lambda: image_failures(url, statements))
    return _TRUTH[key]


async def _cached(url: str, name: str, build: Callable[[], Awaitable[Any]]) -> Any:
    """Read what another process has built, or build it and leave it for others."""
    if PROJECT / "alembic" != revisions.FOLDER:
        return await build()
    [server] = await column(url, _SERVER)
    path = generation.file(f"{generation.digest(str(server).encode())}-{name}")
    if not path.exists():
        generation.write(path, pickle.dumps(await build()))
    return pickle.loads(path.read_bytes())  # noqa: S301  # a test of these sources wrote it


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
            _put(*[scratch_database.expected_snapshot] * 3, image_failures)


def _put(*functions: Any) -> None:
    for (module, name), function in zip(_PLACES, functions, strict=True):
        setattr(cast("Any", module), name, function)
