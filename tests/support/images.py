"""Images of Signalbook: copies of its code, changed as a test needs, that run as a deploy does.

An image is what a hosting platform would start: another version has other migrations or models.
Each runs in a process of its own with the environment's packages.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.releases.migrations import alembic_runner, revisions
from app.settings import PROJECT


def forget() -> None:
    """Read the revisions anew: in a real process none is ever added."""
    revisions.history.cache_clear()
    revisions.names.cache_clear()
    alembic_runner.script_directory.cache_clear()


@contextmanager
def known_here(folder: Path, monkeypatch: pytest.MonkeyPatch, last: str = "") -> Iterator["Image"]:
    """Return an image whose revisions this process takes for its own, up to ``last`` if given."""
    made = Image(folder)
    if last:
        made.without_revisions_after(last)
    monkeypatch.setattr(revisions, "FOLDER", folder / "alembic")
    monkeypatch.setattr(alembic_runner, "_CONFIGURATION", folder / "pyproject.toml")
    monkeypatch.setattr(sys, "path", [*sys.path])  # Alembic adds the image's folder
    forget()
    yield made
    monkeypatch.undo()
    forget()


class Image:
    """A version of the code in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in ("app", "alembic"):
            shutil.copytree(PROJECT / part, folder / part)
        shutil.copy(PROJECT / "pyproject.toml", folder)

    def write(self, path: str, text: str) -> None:
        """Write a file of the image."""
        (self.folder / path).write_text(text)

    def replace(self, path: str, old: str, new: str) -> None:
        """Change a file of the image. Raises where the text to change is not there once."""
        file = self.folder / path
        text = file.read_text()
        assert text.count(old) == 1, f"{path} holds {old!r} {text.count(old)} times"
        file.write_text(text.replace(old, new))

    def without_revisions_after(self, last: str) -> None:
        """Make it an older image: one whose newest revision is ``last``."""
        for file in (self.folder / "alembic" / "versions").glob("*.py"):
            if file.stem > last:
                file.unlink()

    def revision(self, name: str, after: str, *, phase: str, table: str | None, body: str) -> None:
        """Add a revision; ``body`` holds its ``upgrade`` and ``downgrade``."""
        head = (
            f'"""{name}."""\n\nfrom alembic import op\n'
            "from app.releases.migrations import ddl\n"
            "from app.releases.migrations.backfill import Backfill, fill\n"
            "from app.releases.migrations.steps import beside\n\n"
            f"revision = {name!r}\ndown_revision = {after!r}\nbranch_labels = None\n"
            f"depends_on = None\nphase = {phase!r}\ntable = {table!r}\n\n\n"
        )
        self.write(f"alembic/versions/{name}.py", head + body)

    def start(self, *words: str, **environment: Any) -> subprocess.Popen[str]:
        """Start ``python -m app`` with these words, its outputs piped."""
        return subprocess.Popen(
            [sys.executable, "-m", "app", *words],
            cwd=self.folder,
            env=_environment(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, **environment: Any) -> subprocess.CompletedProcess[str]:
        """Run ``python -m app`` with these words to its end."""
        process = self.start(*words, **environment)
        out, err = process.communicate(timeout=110)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def _environment(changes: Mapping[str, Any]) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "LANG", "TMPDIR"}}
    return kept | {"PYTHONDONTWRITEBYTECODE": "1"} | {k: str(v) for k, v in changes.items()}
