"""A ninth type is one declaration and one table: routes, log, health and all tests follow."""

import re
import subprocess
import sys

import pytest

from app.settings import PROJECT

FILES = ("create", "read", "update", "delete", "labels", "versions", "change_log", "dates", "actor",
         "hostile_input", "health", "concurrency", "openapi", "forms", "bulk",
         "renumber")  # fmt: skip


@pytest.mark.slow
def test_a_ninth_type_passes_every_test_of_the_eight() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "-p", "tests.support.ninth_type",
         "-k", "multi-viewers or every_column", *(f"tests/test_{f}.py" for f in FILES)],
        cwd=PROJECT, capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    passed = re.search(r"(\d+) passed", done.stdout)
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-2_000:]
    assert passed
    assert int(passed[1]) > 80
