"""A PostgreSQL of its own whose data lie on a disk of a few megabytes, which a test can fill."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.database import embedded

_SIZE = 160  # MB; a new cluster has about 65


class SmallDisk:
    """The disk, and the server that lives on it."""

    def __init__(self, folder: Path, url: str) -> None:
        self._ballast, self.url = folder / "ballast", url

    def fill(self) -> None:
        """Leave no byte free."""
        block = b"\0" * 65_536
        with self._ballast.open("ab", buffering=0) as file:
            for size in (65_536, 4_096):
                while True:
                    try:
                        if file.write(block[:size]) < size:
                            break
                    except OSError:
                        break

    def clear(self) -> None:
        """Make room again."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk() -> Iterator[SmallDisk]:
    """Lend one; the test is skipped where nothing can be mounted."""
    top = Path(tempfile.mkdtemp(prefix="sb-disk-")).resolve()
    top.chmod(0o755)
    try:
        with _mounted(top), embedded.start(top / "pg") as server:
            yield SmallDisk(top, server.url)
    finally:
        shutil.rmtree(top, ignore_errors=True)


@contextmanager
def _mounted(folder: Path) -> Iterator[None]:
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("a small disk can only be mounted by root")
    options = ["-t", "tmpfs", "-o", f"size={_SIZE}m,mode=0755", "signalbook-test", str(folder)]
    done = subprocess.run([mount, *options], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        embedded.stop(folder / "pg")
        subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)
