"""Runs cosmic-ray over a copy of the project, one target after another; see ``scripts/mutate``.

Each target is a module with the tests that hold it. For each the score is printed, and every change
that no test noticed.
"""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[1]
_FOLDER: Final = PROJECT / ".data" / "mutate"
_TOOLS: Final = _FOLDER / "venv" / "bin"
# Without a seed, what hypothesis happens to try would decide.
_PURE: Final = ("--noconftest", "-p", "no:schemathesis")
_OPTIONS: Final = ("-n", "0", "-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0")


@dataclass(frozen=True)
class Target:
    """A module, and the tests that hold it; ``options`` are pytest's."""

    module: str
    tests: tuple[str, ...]
    options: tuple[str, ...] = ()


TARGETS: Final = {
    "merge": Target("app/rules/merge.py", ("tests/test_merge.py",), _PURE),
    "labels": Target("app/rules/labels.py", ("tests/test_labels.py",)),
    "update": Target(
        "app/store/update.py",
        ("tests/test_update.py", "tests/test_versions.py", "tests/test_merging.py",
         "tests/test_preconditions.py", "tests/test_create.py", "tests/test_delete.py",
         "tests/test_change_log.py", "tests/test_references.py"),
    ),
    "policy": Target(
        "app/releases/gate/stages/policy.py",
        ("tests/test_release_policy.py", "tests/test_release_approval.py"),
    ),
}  # fmt: skip


def main(names: list[str]) -> int:
    """Mutate the targets of these names, or all."""
    for name in names or TARGETS:
        copy = _copied()
        command = [sys.executable, "-m", "pytest", *_OPTIONS, *TARGETS[name].options]
        began = time.monotonic()
        # The first run builds the templates that all others copy, of the code as it is.
        subprocess.run([*command, *TARGETS[name].tests], cwd=copy, env=_environment(), check=True)
        patience = 30 + 5 * (time.monotonic() - began)
        _mutated(name, [*command, *TARGETS[name].tests], copy, patience)
    return 0


def _copied() -> Path:
    """Return a copy of the project's files: cosmic-ray changes them in place."""
    copy = _FOLDER / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    for part in ("app", "alembic", "scripts", "tests"):
        shutil.copytree(PROJECT / part, copy / part, symlinks=True)
    shutil.copy(PROJECT / "pyproject.toml", copy)
    shutil.copy(PROJECT / "requirements-dev.lock", copy)
    return copy


def _mutated(name: str, command: list[str], copy: Path, patience: float) -> None:
    target, session = TARGETS[name], _FOLDER / f"{name}.sqlite"
    session.unlink(missing_ok=True)
    configuration = _FOLDER / f"{name}.toml"
    configuration.write_text(
        f'[cosmic-ray]\nmodule-path = "{target.module}"\ntimeout = {patience:.1f}\n'
        f'excluded-modules = []\ntest-command = "{" ".join(command)}"\n'
        '[cosmic-ray.distributor]\nname = "local"\n'
    )
    for step in ("init", "exec"):
        tool = [_TOOLS / "cosmic-ray", step, configuration, session]
        subprocess.run(tool, cwd=copy, env=_environment(), check=True)
    print(f"\n== {name}: {target.module}", flush=True)
    subprocess.run(
        [_TOOLS / "cr-report", "--surviving-only", "--show-diff", session], cwd=copy, check=True
    )


def _environment() -> dict[str, str]:
    """Return this environment, in which all mutants share the templates of the first run."""
    return {**os.environ, "TEST_SOURCES": "mutants"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
