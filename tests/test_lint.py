"""Every dangerous statement is found, none of the recipe's is, and squawk's absence is told."""

import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from app.releases import lint as linting
from app.releases import squawk
from app.releases.lint import Lint, lint
from app.releases.locks import describe
from app.releases.plan import Statement, Way
from app.releases.render import in_code
from app.releases.revisions import history

KNOWN: Final = {"cameras", "ccus", "events"}
EXPAND: Final = "0007_cameras_expand"
CONTRACT: Final = "0022_cameras_contract"

# A way and the statements that run that way, one step after another.
Steps = Sequence[tuple[Way, tuple[str, ...]]]


def plan(steps: Steps, revision: str = EXPAND) -> list[Statement]:
    return [
        Statement(
            revision=revision, step=number, way=way, sql=sql, **describe(sql, KNOWN)._asdict()
        )
        for number, (way, statements) in enumerate(steps, 1)
        for sql in statements
    ]


def rules(found: Sequence[Lint], level: str = "error") -> set[str]:
    return {finding.rule for finding in found if finding.level == level}


BAD: Final[list[tuple[str, Way, str]]] = [
    ("unbatched-write", "brief", "UPDATE cameras SET name = 'x'"),
    ("unbatched-write", "patient", "DELETE FROM cameras WHERE name = ''"),
    ("unbatched-write", "direct", "delete from only cameras"),
    ("unbatched-write", "brief", "WITH x AS (SELECT 1) UPDATE cameras SET name = 'x'"),
    ("unbatched-write", "brief", "WITH x AS (DELETE FROM cameras RETURNING *) SELECT * FROM x"),
    ("unbatched-write", "brief",
     "MERGE INTO cameras c USING ccus u ON u.id = c.id WHEN MATCHED THEN DELETE"),
    ("lock-table", "brief", "LOCK TABLE cameras"),
    ("lock-table", "brief", "lock cameras in share mode"),
    ("vacuum-full", "patient", "VACUUM FULL cameras"),
    ("vacuum-full", "patient", "VACUUM (ANALYZE, FULL) cameras"),
    ("cluster", "patient", "CLUSTER cameras USING cameras_pkey"),
    ("refresh-blocks-readers", "patient", "REFRESH MATERIALIZED VIEW totals"),
    ("drop-trigger", "brief", "DROP TRIGGER IF EXISTS cameras_ccu_id_sync ON cameras"),
    ("disabled-trigger", "brief", "ALTER TABLE cameras DISABLE TRIGGER ALL"),
    ("disabled-trigger", "brief", "SET LOCAL session_replication_role = 'replica'"),
    ("timeout-off", "brief", "SET LOCAL statement_timeout = 0"),
    ("timeout-off", "brief", "SET statement_timeout TO '0'"),
    ("timeout-off", "brief", "set lock_timeout='0ms'"),
    ("timeout-off", "brief", "SELECT set_config('statement_timeout', '0', false)"),
    ("timeout-off", "brief", "RESET lock_timeout"),
    ("timeout-off", "direct", "SET /* for now */ statement_timeout = DEFAULT"),
    ("index-if-not-exists", "patient", "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON cameras (a)"),
    ("index-blocks-writers", "patient", "CREATE INDEX i ON cameras (a)"),
    ("index-blocks-writers", "brief", "CREATE UNIQUE INDEX i ON public.cameras (a)"),
    ("index-blocks-writers", "brief", "DROP INDEX cameras_ccu_id_idx"),
    ("index-blocks-writers", "patient", "REINDEX TABLE cameras"),
    ("concurrently-in-transaction", "brief", "CREATE INDEX CONCURRENTLY i ON cameras (a)"),
    ("concurrently-in-transaction", "direct", "DROP INDEX CONCURRENTLY cameras_ccu_id_idx"),
    ("cascade", "brief", "ALTER TABLE cameras DROP CONSTRAINT cameras_pkey CASCADE"),
    ("cascade", "brief", "ALTER TABLE cameras DROP a, DROP CONSTRAINT b CASCADE"),
    ("cascade", "brief", "DROP TABLE cameras CASCADE"),
    ("cascade", "brief", "TRUNCATE cameras CASCADE"),
    ("rewriting-type", "brief", "ALTER TABLE cameras ALTER COLUMN a TYPE bigint"),
    ("rewriting-type", "brief", "ALTER TABLE cameras ALTER a SET DATA TYPE numeric(10, 2)"),
    ("rewriting-type", "brief", "ALTER TABLE cameras ALTER a TYPE uuid USING a::uuid"),
    ("rewriting-type", "brief", "ALTER TABLE cameras ALTER a TYPE timestamptz"),
    ("rewriting-default", "brief",
     "ALTER TABLE cameras ADD COLUMN u uuid DEFAULT gen_random_uuid()"),
    ("rewriting-default", "brief", "ALTER TABLE cameras ADD b text, ADD n bigserial"),
    ("rewriting-default", "brief",
     "ALTER TABLE cameras ADD t timestamptz DEFAULT clock_timestamp()"),
    ("rewriting-default", "brief",
     "ALTER TABLE cameras ADD g int GENERATED ALWAYS AS (a + 1) STORED"),
    ("required-column", "brief", "ALTER TABLE cameras ADD COLUMN a text NOT NULL"),
    ("not-null-scan", "brief", "ALTER TABLE cameras ALTER COLUMN a SET NOT NULL"),
    ("validate-at-once", "brief",
     "ALTER TABLE cameras ADD CONSTRAINT c CHECK (a > 0) NOT VALID, VALIDATE CONSTRAINT c"),
    ("constraint-scan", "brief", "ALTER TABLE cameras ADD CONSTRAINT c CHECK (a > 0)"),
    ("constraint-scan", "brief",
     "ALTER TABLE cameras ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES ccus (id)"),
    ("constraint-scan", "brief", "ALTER TABLE cameras ADD UNIQUE (a)"),
    ("constraint-scan", "brief", "ALTER TABLE cameras ADD COLUMN a text UNIQUE"),
    ("rename", "brief", "ALTER TABLE cameras RENAME TO cams"),
    ("rename", "brief", "ALTER TABLE cameras RENAME COLUMN a TO b"),
    ("rename", "brief", "ALTER TABLE cameras RENAME a TO b"),
    ("rename", "brief", "ALTER TABLE cameras SET SCHEMA attic"),
    ("drop-outside-contract", "brief", "ALTER TABLE cameras DROP COLUMN a"),
    ("drop-outside-contract", "brief", "ALTER TABLE cameras ADD b text, DROP a"),
    ("drop-outside-contract", "brief", "DROP TABLE cameras"),
    ("drop-outside-contract", "brief", 'DROP TYPE "EventType"'),
    ("drop-outside-contract", "brief", "TRUNCATE events"),
    ("drop-outside-contract", "brief", "DROP FUNCTION text_to_list(text)"),
    ("endless-wait", "patient", "ALTER TABLE cameras ADD COLUMN a text"),
    ("endless-wait", "patient", "CREATE TRIGGER t AFTER INSERT ON cameras EXECUTE FUNCTION f()"),
    ("squawk/transaction-nesting", "brief", "BEGIN"),
    ("squawk/constraint-missing-not-valid", "brief",
     "ALTER TABLE cameras ADD CONSTRAINT c CHECK (a > 0)"),
    ("squawk/renaming-column", "brief", "ALTER TABLE cameras RENAME COLUMN a TO b"),
    ("squawk/renaming-object", "brief", "ALTER TABLE cameras RENAME CONSTRAINT a TO b"),
    ("squawk/ban-drop-column", "brief", "ALTER TABLE cameras DROP COLUMN a"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "way", "sql"), BAD)
def test_a_dangerous_statement_is_an_error(rule: str, way: Way, sql: str) -> None:
    assert rule in rules(lint(plan([(way, (sql,))])))


@pytest.mark.parametrize("case", BAD, ids=lambda case: str(case[2]))
def test_neither_comments_nor_layout_hide_it(case: tuple[str, Way, str]) -> None:
    rule, way, sql = case
    hidden = "-- squawk-ignore-file\n/* squawk-ignore */ " + sql.replace(" ", " /* - */\n ")
    assert rule in rules(lint(plan([(way, (hidden,))])))


CHECKED: Final = "ALTER TABLE cameras ADD CONSTRAINT c CHECK (a IS NOT NULL) NOT VALID"
VALIDATED: Final = "ALTER TABLE cameras VALIDATE CONSTRAINT c"
REQUIRED: Final = "ALTER TABLE cameras ALTER COLUMN a SET NOT NULL"
TIED: Final = """ALTER TABLE cameras ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES ccus (id)
    ON DELETE CASCADE NOT VALID"""
FUNCTION: Final = """CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN UPDATE cameras SET a = 1; RETURN NULL; END $$"""
ZONED: Final = "ALTER TABLE cameras ALTER COLUMN a TYPE timestamptz"


@pytest.mark.parametrize(
    "steps",
    [
        [("backfill", ("UPDATE cameras t SET a = 1 WHERE t.a IS NULL",))],
        [("patient", ("CREATE INDEX CONCURRENTLY i ON cameras (a)",))],
        [("patient", ("DROP INDEX CONCURRENTLY IF EXISTS cameras_ccu_id_idx",))],
        [("patient", ("REINDEX TABLE CONCURRENTLY cameras",))],
        [("patient", ("VACUUM cameras",)), ("patient", ("ANALYZE cameras",))],
        [("patient", ("REFRESH MATERIALIZED VIEW CONCURRENTLY totals",))],
        [("brief", (CHECKED,)), ("patient", (VALIDATED,)), ("brief", (REQUIRED,))],
        [("brief", ("SET LOCAL TimeZone = 'UTC'", ZONED))],
        [("brief", ("ALTER TABLE cameras ADD a bigint NOT NULL DEFAULT 0, ADD b text",))],
        [("brief", ("ALTER TABLE cameras ADD a timestamptz DEFAULT now()",))],
        [("brief", ("ALTER TABLE cameras ADD COLUMN a text DEFAULT 'gen_random_uuid()'",))],
        [("brief", ("ALTER TABLE cameras ALTER a SET DEFAULT gen_random_uuid()",))],
        [("brief", (TIED,))],
        [("brief", ("ALTER TABLE cameras ADD CONSTRAINT k UNIQUE USING INDEX i",))],
        [("brief", ("COMMENT ON TABLE cameras IS 'LOCK TABLE; UPDATE cameras CASCADE'",))],
        [("brief", (FUNCTION,))],
        [("brief", ("SET LOCAL statement_timeout = '5s'",))],
        # A table that the same plan makes has no users yet.
        [("brief", ("CREATE TABLE lenses (id text NOT NULL)", "CREATE INDEX i ON lenses (id)")),
         ("brief", ("ALTER TABLE lenses ADD CONSTRAINT c CHECK (id <> '') NOT VALID",))],
    ],
)  # fmt: skip
def test_a_safe_one_is_none(steps: Steps) -> None:
    assert rules(lint(plan(steps))) == set()


def test_a_check_that_is_not_validated_proves_nothing() -> None:
    steps: Steps = [("brief", (CHECKED,)), ("brief", (REQUIRED,))]
    assert "not-null-scan" in rules(lint(plan(steps)))
    together: Steps = [("brief", (CHECKED, VALIDATED, REQUIRED))]
    assert {"not-null-scan", "validate-at-once"} <= rules(lint(plan(together)))


def test_a_direct_statement_must_not_lock_what_a_step_needs() -> None:
    made = "CREATE TABLE lenses (camera text REFERENCES cameras (id))"
    steps: Steps = [("direct", (made,)), ("brief", ("ALTER TABLE cameras ADD COLUMN a text",))]
    assert "blocks-itself" in rules(lint(plan(steps)))
    elsewhere: Steps = [("direct", (made,)), ("brief", ("ALTER TABLE ccus ADD COLUMN a text",))]
    assert rules(lint(plan(elsewhere))) == set()
    after: Steps = [*reversed(steps)]
    assert "blocks-itself" not in rules(lint(plan(after)))


def test_a_time_gets_its_zone_only_in_utc() -> None:
    steps: Steps = [("brief", ("SET LOCAL TimeZone = 'UTC'",)), ("brief", (ZONED,))]
    assert "rewriting-type" in rules(lint(plan(steps)))


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TRIGGER t ON cameras",
        "DROP FUNCTION f()",
        "ALTER TABLE cameras DROP COLUMN a",
        "DROP TABLE cameras",
    ],
)
def test_a_contract_may_drop_what_nobody_uses_any_more(sql: str) -> None:
    assert rules(lint(plan([("brief", (sql,))], CONTRACT))) == set()
    assert rules(lint(plan([("brief", (sql,))], EXPAND))) != set()


@pytest.mark.parametrize(
    ("rule", "way", "sql"),
    [
        ("not-a-step", "direct", "ALTER TABLE cameras ADD COLUMN a text"),
        ("unread-block", "direct", "DO $$ BEGIN PERFORM 1; END $$"),
        ("write-from-select", "direct", "INSERT INTO cameras SELECT * FROM ccus"),
        ("widening-type", "brief", "ALTER TABLE cameras ALTER a TYPE text"),
        ("squawk/syntax-error", "brief", "FROBNICATE cameras"),
    ],
)
def test_what_may_be_meant_is_a_warning(rule: str, way: Way, sql: str) -> None:
    found = lint(plan([(way, (sql,))]))
    assert rule in rules(found, "warning")
    assert rules(found) == set()


def test_a_finding_names_its_revision_and_statement() -> None:
    revisions = [EXPAND, CONTRACT]
    statements = [
        s for name in revisions for s in plan([("brief", ("BEGIN", f"SELECT '{name}\n'"))], name)
    ]
    found = [f for f in lint(statements) if f.rule == "squawk/transaction-nesting"]
    assert {(f.revision, f.sql) for f in found} == {(name, "BEGIN") for name in revisions}


def test_every_revision_of_ours_is_clean() -> None:
    statements = in_code([revision.name for revision in history()])
    assert {s.revision for s in statements} == {revision.name for revision in history()}
    assert lint(statements) == []


def test_nothing_to_lint_is_nothing_found() -> None:
    assert lint([]) == []


@pytest.mark.parametrize("program", ["missing", "failing", "babbling", "hanging"])
def test_without_squawk_our_own_rules_stand(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = {"failing": "exit 3", "babbling": "echo hello", "hanging": "exec sleep 60"}
    if program in script:
        (tmp_path / "squawk").write_text(f"#!/bin/sh\n{script[program]}\n")
        (tmp_path / "squawk").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setattr(squawk, "_PATIENCE", 0.2)
    found = lint(plan([("brief", ("LOCK TABLE cameras",))]))
    assert rules(found) == {"lock-table"}
    assert "squawk-absent" in rules(found, "warning")


def test_every_rule_of_squawks_that_we_leave_out_is_one_it_has() -> None:
    done = subprocess.run(
        [squawk._program(), "-e", ",".join(squawk.EXCLUDED)],  # noqa: SLF001  # the one in use
        input="", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_check_fails_on_an_error_and_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert linting.main() == 0
    bad = plan([("brief", ("LOCK TABLE cameras",))])
    monkeypatch.setattr(linting, "in_code", lambda _: bad)
    assert linting.main() == 1
    assert f"{EXPAND}: error lock-table" in capsys.readouterr().out
