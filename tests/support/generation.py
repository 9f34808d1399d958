"""What tests build of the sources, once for all processes, and for later runs of the same sources.

Each state of the sources has a generation: a folder for files, and a name that the databases made
of it bear. A generation that no process uses any more is removed when another one begins.
"""

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from app.settings import PROJECT

_FOLDER: Final = PROJECT / ".data" / "test-generations"
_SOURCES: Final = (
    "app", "alembic", "tests/support", "tests/legacy.py", "tests/older_rows.py",
    "tests/foreign_tables.py", "pyproject.toml", "requirements-dev.lock",
)  # fmt: skip
# What is built holds times of its building, and some tests reckon in days.
_LONGEST: Final = 6 * 3_600


def digest(*contents: bytes) -> str:
    """Return a short hash of all of them."""
    return hashlib.sha256(b"\0".join(contents)).hexdigest()[:10]


@cache
def current() -> str:
    """Return the name of the sources' generation; this process uses it until it ends."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with _locked(_FOLDER / "lock"):
        name = _youngest() or f"{_sources()}_{int(time.time()):x}"
        (_FOLDER / name).mkdir(exist_ok=True)
        fcntl.flock(_opened(_FOLDER / name / "users"), fcntl.LOCK_SH)
        for other in _FOLDER.glob("*_*"):
            if other.name != name and not _is_used(other):
                shutil.rmtree(other)
    return name


def is_over(name: str) -> bool:
    """Return whether a generation has been removed."""
    return not (_FOLDER / name).exists()


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Let one process at a time build what bears this name."""
    with _locked(_FOLDER / current() / f"{name}.lock"):
        yield


def file(name: str) -> Path:
    """Return the path of a file of this generation."""
    return _FOLDER / current() / name


def write(path: Path, content: bytes) -> None:
    """Write a file that others read whole or not at all."""
    half = path.with_suffix(f".{os.getpid()}")
    half.write_bytes(content)
    half.rename(path)


def _youngest() -> str | None:
    born = {path.name: int(path.name.partition("_")[2], 16) for path in _FOLDER.glob("*_*")}
    ours = [name for name in born if name.startswith(f"{_sources()}_")]
    return next((name for name in ours if time.time() - born[name] < _LONGEST), None)


@cache
def _sources() -> str:
    if named := os.environ.get("TEST_SOURCES"):  # as for mutants, which take what the code built
        return named
    roots = [PROJECT / name for name in _SOURCES]
    files = sorted(path for root in roots for path in _files(root))
    return digest(*(part for path in files for part in (os.fsencode(path), path.read_bytes())))


def _files(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    return [path for path in root.rglob("*") if path.suffix in {".py", ".json", ".mako"}]


def _is_used(folder: Path) -> bool:
    descriptor = _opened(folder / "users")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = _opened(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
