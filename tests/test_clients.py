"""The clients that generators make: compiled strictly, their samples run against a real service."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from app.settings import PROJECT

pytestmark = pytest.mark.slow
EXAMPLE = re.compile(r"(?ms)^```js\n(.*?)^```$\n+^```text\n(.*?)^```$")


def client_of(folder: Path, language: str) -> Path:
    """Make a client in a folder; the compiler holds its sample, and what must be wrong, to it."""
    done = subprocess.run(
        [PROJECT / "scripts" / "clients", language],
        env={**os.environ, "CLIENTS_FOLDER": str(folder)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / language


def test_the_typescript_client_does_the_whole_sample(client: httpx.Client, tmp_path: Path) -> None:
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("no Node here: the TypeScript client was neither compiled nor run")
    folder = client_of(tmp_path, "typescript")
    origin = str(client.base_url).rstrip("/")
    assert ran("node", folder / "dist" / "sample.js", origin) == "The whole sample was done.\n"

    # The example of live push in JavaScript: the one in Python is run by test_examples.
    text = (PROJECT / "docs" / "feed-and-live-push.md").read_text()
    program, shown = EXAMPLE.search(text).groups()  # type: ignore[union-attr]  # or else it fails
    client.post("/api/productions", json={"id": "DEMO", "showName": "Demo"})
    client.post("/api/cameras", json={"productionId": "DEMO", "name": "JIB"})
    (folder / "example.mjs").write_text(program.replace("http://127.0.0.1:3010", origin))
    assert ran("node", folder / "example.mjs") == shown


def test_the_python_client_does_the_whole_sample(client: httpx.Client, tmp_path: Path) -> None:
    folder = client_of(tmp_path, "python")
    python = folder / "venv" / "bin" / "python"
    said = ran(python, folder / "sample.py", str(client.base_url))
    assert said == "The whole sample was done.\n"


def ran(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
