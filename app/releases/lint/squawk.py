"""Runs squawk, the linter of PostgreSQL migrations, over the statements of a plan.

Each revision becomes one script as it would run, with its transactions and timeouts; comments stay
out, so that no ``squawk-ignore`` does anything. One process reads all scripts.
"""

import json
import shutil
import subprocess
import sys
import sysconfig
from bisect import bisect_right
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from app.releases.lint.rules import Level, LintFinding
from app.releases.migrations.migration_session import BRIEF_STATEMENT_TIMEOUT, LOCK_TIMEOUT
from app.releases.plan.plan import Statement
from app.releases.sql.text import normalise

# What is left out everywhere, and why; docs/decisions/0007-lint.md has it at length.
_STEPS_DO: Final = "the steps look first, set timeouts and retry; squawk sees only their SQL"
EXCLUDED: Final = {
    "prefer-robust-stmts": f"{_STEPS_DO}, and IF NOT EXISTS calls an INVALID index done",
    "require-timeout-settings": _STEPS_DO,
    "require-lock-timeout": _STEPS_DO,
    "require-statement-timeout": _STEPS_DO,
    "changing-column-type": "our own rule tells a change that rewrites from one that does not",
    "adding-field-with-default": "our own rule knows which defaults are the same in every row",
    "ban-drop-constraint": "the recipe drops its own CHECKs and swaps keys; ours forbids CASCADE",
    "prefer-bigint-over-int": "a count or a place in a list stays small; keys are uuids",
    "prefer-bigint-over-smallint": "as for int",
}
# What only a contract may do, when nobody reads the old any more.
CONTRACTS_MAY: Final = frozenset(
    f"squawk/ban-drop-{kind}"
    for kind in ("column", "function", "table", "type", "schema", "sequence", "view", "domain")
)

_OLDEST_SERVER: Final = "15.0"
PATIENCE: Final = 20.0  # seconds; all our revisions take it a fraction of one

_OPENING: Final = (
    "BEGIN;",
    f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}';",
    f"SET LOCAL statement_timeout = '{BRIEF_STATEMENT_TIMEOUT}';",
)
# No place for its scripts, no program, no answer in time, or one that is not as we know it.
_FAILURES: Final = (
    OSError, subprocess.TimeoutExpired, ValueError, LookupError, TypeError, AttributeError,
)  # fmt: skip

# squawk may not know newest syntax, and PostgreSQL itself judges it in the rehearsal.
_ADVICE: Final = ("prefer-", "syntax-error", "identifier-too-long", "unused-", "ban-drop-not-null")


class NoSquawk(RuntimeError):
    """squawk could not be asked; the message says why."""


class _Script(NamedTuple):
    """One revision's SQL, and which statement begins at which line."""

    text: str
    begins: list[int]
    statements: list[Statement]


def squawks(statements: Sequence[Statement], patience: float = PATIENCE) -> list[LintFinding]:
    """Ask squawk about these statements, for ``patience`` seconds at most.

    Raises NoSquawk: it is not there, could not be run, took too long, or answered in other words.
    """
    scripts = [_script([*own]) for _, own in groupby(statements, attrgetter("revision"))]
    try:
        answer = _run(scripts, patience) if scripts else []
        return [_finding(entry, scripts[int(Path(entry["file"]).stem)]) for entry in answer]
    except _FAILURES as failed:
        raise NoSquawk(f"squawk could not be run: {type(failed).__name__}") from failed


def _run(scripts: Sequence[_Script], patience: float) -> list[dict[str, Any]]:
    names = [f"{number}.sql" for number in range(len(scripts))]
    options = ["--reporter", "json", "--pg-version", _OLDEST_SERVER, "-e", ",".join(EXCLUDED)]
    with TemporaryDirectory() as folder:
        for name, script in zip(names, scripts, strict=True):
            (Path(folder) / name).write_text(script.text, encoding="utf-8")
        squawk = subprocess.run(  # noqa: S603  # our own files, by names that we made
            [_program(), *options, *names],
            cwd=folder, capture_output=True, encoding="utf-8", timeout=patience, check=False,
        )  # fmt: skip
    # It ends with 1 when it has found something.
    if squawk.returncode not in {0, 1}:
        raise NoSquawk(f"squawk could not be run: {squawk.stderr.strip()[:300]}")
    return list(json.loads(squawk.stdout))


def _program() -> str:
    """Find the program that the package squawk-cli installs beside this Python's own."""
    for place in (str(Path(sys.executable).parent), sysconfig.get_path("scripts")):
        if program := shutil.which("squawk", path=place):
            return program
    raise NoSquawk(f"squawk is not installed beside {sys.executable}; it comes with squawk-cli")


def _script(statements: list[Statement]) -> _Script:
    lines: list[str] = []
    begins: list[int] = []
    for (_, way), own in groupby(statements, attrgetter("step", "way")):
        together = way in {"brief", "direct"}
        lines += _OPENING if together else []
        for statement in own:
            begins.append(len(lines))
            lines += f"{normalise(statement.sql)};".split("\n")
        lines += ["COMMIT;"] if together else []
    return _Script("\n".join(lines), begins, statements)


def _finding(entry: dict[str, Any], script: _Script) -> LintFinding:
    place = max(0, bisect_right(script.begins, entry["line"]) - 1)
    statement, rule = script.statements[place], str(entry["rule_name"])
    level: Level = "warning" if rule.startswith(_ADVICE) else "error"
    advice = entry.get("help")
    words = f"{entry['message'].rstrip('.')}.{f' {advice}.' if advice else ''}"
    return LintFinding(f"squawk/{rule}", level, statement.revision, statement.sql, words)
