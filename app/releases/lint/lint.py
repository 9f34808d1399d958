"""What is dangerous in a migration's SQL: squawk's findings and our own, in one list.

``python -m app.releases.lint.lint`` reads every revision of this image; ``scripts/check`` runs it.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Final

from app.releases.lint.conditions import statements_to_lint
from app.releases.lint.rules import RULES, LintFinding
from app.releases.lint.squawk import CONTRACTS_MAY, PATIENCE, NoSquawk, squawks
from app.releases.migrations.revisions import Phase, history
from app.releases.plan.plan import Statement
from app.releases.plan.render import statements_from_code

# Seconds: a check may share its machine with every test, and nobody's deploy waits for it.
CHECKS_PATIENCE: Final = 120.0
_NO_SQUAWK: Final = "squawk-absent"


def lint(statements: Sequence[Statement], patience: float = PATIENCE) -> list[LintFinding]:
    """Lint the statements of a plan's upgrade, in their order.

    Never raises: where squawk cannot be run, or takes more than ``patience`` seconds, that is a
    warning, and our own rules stand alone.
    """
    phases = {revision.name: revision.phase for revision in history()}
    ours = dict.fromkeys(_ours(statements, phases))
    return [*ours, *_squawks(statements, phases, patience)]


def _ours(statements: Sequence[Statement], phases: dict[str, Phase]) -> Iterator[LintFinding]:
    for one in statements_to_lint(statements, phases):
        revision, sql = one.statement.revision, one.statement.sql
        for rule in RULES:
            if rule.broken(one):
                yield LintFinding(rule.name, rule.level, revision, sql, rule.words)


def _squawks(
    statements: Sequence[Statement], phases: dict[str, Phase], patience: float
) -> Iterator[LintFinding]:
    older = history()[0].name
    try:
        findings = squawks(statements, patience)
    except NoSquawk as absent:
        yield LintFinding(_NO_SQUAWK, "warning", "", "", f"{absent}; only our own rules were asked")
        return
    for finding in findings:
        allowed = finding.rule in CONTRACTS_MAY and phases.get(finding.revision) == "contract"
        # The first revision is what an older service left; its style is not ours to judge.
        of_style = finding.revision == older and finding.rule.startswith("squawk/prefer-")
        if not allowed and not of_style:
            yield finding


def main(patience: float = CHECKS_PATIENCE) -> int:
    """Lint every revision of this image and print the findings.

    1 when one is an error, or when squawk could not be asked: then it is not known to be clean.
    """
    findings = lint(statements_from_code([revision.name for revision in history()]), patience)
    for finding in findings:
        sys.stdout.write(
            f"{finding.revision}: {finding.level} {finding.rule}: {finding.words}\n"
            f"    {finding.sql}\n"
        )
    half = any(finding.rule == _NO_SQUAWK for finding in findings)
    if half:
        sys.stderr.write(
            "The revisions were only half linted: squawk must read them, too. It is installed by "
            "scripts/install; then check again.\n"
        )
    return 1 if half or any(finding.level == "error" for finding in findings) else 0


if __name__ == "__main__":
    sys.exit(main())
