"""What is dangerous in a migration's SQL: squawk's findings and our own, in one list.

``python -m app.releases.lint`` reads every revision of this image; ``scripts/check`` runs it.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.releases.lint_conditions import seen
from app.releases.lint_rules import RULES, Level
from app.releases.plan import Statement
from app.releases.render import in_code
from app.releases.revisions import Phase, history
from app.releases.squawk import CONTRACTS_MAY, NoSquawk, remarks


@dataclass(frozen=True)
class Lint:
    """One finding: an "error" must not be applied; a "warning" is for who approves."""

    rule: str
    level: Level
    revision: str
    sql: str
    words: str


def lint(statements: Sequence[Statement]) -> list[Lint]:
    """Read statements of a plan, in their order; only an upgrade's are meant.

    Never raises: where squawk cannot be run, that is a warning, and our own rules stand alone.
    """
    phases = {revision.name: revision.phase for revision in history()}
    return [*_ours(statements, phases), *_squawks(statements, phases)]


def _ours(statements: Sequence[Statement], phases: dict[str, Phase]) -> Iterator[Lint]:
    for one in seen(statements, phases):
        for rule in RULES:
            if rule.broken(one):
                statement = one.statement
                yield Lint(rule.name, rule.level, statement.revision, statement.sql, rule.words)


def _squawks(statements: Sequence[Statement], phases: dict[str, Phase]) -> Iterator[Lint]:
    older = history()[0].name
    try:
        found = remarks(statements)
    except NoSquawk as absent:
        yield Lint("squawk-absent", "warning", "", "", f"{absent}; only our own rules were asked")
        return
    for rule, is_error, statement, words in found:
        allowed = rule in CONTRACTS_MAY and phases.get(statement.revision) == "contract"
        # The first revision is what an older service left; its style is not ours to judge.
        if not allowed and not (statement.revision == older and rule.startswith("prefer-")):
            level: Level = "error" if is_error else "warning"
            yield Lint(f"squawk/{rule}", level, statement.revision, statement.sql, words)


def main() -> int:
    """Lint every revision of this image and tell the findings; 1 when one is an error."""
    found = lint(in_code([revision.name for revision in history()]))
    for finding in found:
        sys.stdout.write(
            f"{finding.revision}: {finding.level} {finding.rule}: {finding.words}\n"
            f"    {finding.sql}\n"
        )
    return 1 if any(finding.level == "error" for finding in found) else 0


if __name__ == "__main__":
    sys.exit(main())
