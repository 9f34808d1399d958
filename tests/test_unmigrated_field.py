"""The incident, from the other side: a model field without a migration does not pass the checks."""

import subprocess
import sys

from app.settings import PROJECT

CHECK = "tests/test_migrations.py::test_model_definitions_match_ddl"


def check(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-n", "0", *options, CHECK]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


def test_a_field_without_a_migration_fails_the_check_that_passes_without_it() -> None:
    """That it passes without it is a test of this suite."""
    refused = check("-p", "tests.support.unmigrated_field")
    assert refused.returncode == 1
    assert "white_balance" in refused.stdout


def test_the_check_is_one_of_the_projects_checks() -> None:
    assert CHECK in (PROJECT / "scripts" / "check").read_text()
