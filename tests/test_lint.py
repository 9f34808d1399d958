"""Every dangerous statement is found, none of the recipe's is, and squawk's absence is told."""

import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from app.releases.lint import lint as linting
from app.releases.lint import squawk
from app.releases.lint.lint import lint
from app.releases.lint.rules import LintFinding
from app.releases.migrations.revisions import history
from app.releases.plan.plan import Statement, Way
from app.releases.plan.render import statements_from_code
from app.releases.sql.effects import describe

KNOWN: Final = {"cameras", "ccus", "events"}
EXPAND: Final = "0007_cameras_expand"
CONTRACT: Final = "0042_cameras_contract"

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


def rules(found: Sequence[LintFinding], level: str = "error") -> set[str]:
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
    ("rename", "brief", """ALTER TYPE "EventType" RENAME VALUE 'a' TO 'b'"""),
    ("rename", "brief", "ALTER FUNCTION f() SET SCHEMA attic"),
    ("drop-outside-contract", "brief", "ALTER TABLE cameras DROP COLUMN a"),
    ("drop-outside-contract", "brief", "ALTER TABLE cameras ADD b text, DROP a"),
    ("drop-outside-contract", "brief", "DROP TABLE cameras"),
    ("drop-outside-contract", "brief", 'DROP TYPE "EventType"'),
    ("drop-outside-contract", "brief", "TRUNCATE events"),
    ("drop-outside-contract", "brief", "DROP FUNCTION text_to_list(text)"),
    ("endless-wait", "patient", "ALTER TABLE cameras ADD COLUMN a text"),
    ("endless-wait", "patient", "CREATE TRIGGER t AFTER INSERT ON cameras EXECUTE FUNCTION f()"),
    ("several-statements", "brief",
     "SET LOCAL search_path = public; ALTER TABLE cameras DROP COLUMN zoom"),
    ("several-statements", "brief", "SELECT 1; LOCK TABLE cameras"),
    ("several-statements", "direct", "; SELECT 1"),
    ("several-statements", "patient", 'COMMENT ON COLUMN cameras."a;" IS \'a;\'; SELECT 1;'),
    ("several-statements", "brief", "SELECT E'a'\n'\\''; LOCK TABLE cameras --'"),
    ("drop-outside-contract", "brief", "SELECT 1; ALTER TABLE cameras DROP COLUMN zoom"),
    ("rewriting-storage", "brief", "ALTER TABLE cameras SET UNLOGGED"),
    ("rewriting-storage", "brief", "ALTER TABLE public . cameras SET UNLOGGED"),
    ("rewriting-storage", "brief", "ALTER TABLE cameras SET LOGGED"),
    ("rewriting-storage", "brief", "ALTER TABLE cameras ADD a text, SET TABLESPACE fast"),
    ("rewriting-storage", "brief", "ALTER TABLE ALL IN TABLESPACE slow SET TABLESPACE fast"),
    ("rewriting-storage", "brief", "ALTER INDEX cameras_pkey SET TABLESPACE fast"),
    ("rewriting-storage", "brief", "ALTER MATERIALIZED VIEW totals SET ACCESS METHOD heap2"),
    ("rewriting-storage", "brief", "ALTER TABLE cameras SET ACCESS METHOD heap2"),
    ("rewriting-storage", "brief", "ALTER TABLE cameras ALTER COLUMN g SET EXPRESSION AS (a + 2)"),
    ("row-security", "brief", "ALTER TABLE cameras ENABLE ROW LEVEL SECURITY"),
    ("row-security", "brief", "ALTER TABLE cameras FORCE ROW LEVEL SECURITY"),
    ("row-security", "brief", "ALTER TABLE cameras DISABLE ROW LEVEL SECURITY"),
    ("rights", "brief", "ALTER TABLE cameras OWNER TO somebody"),
    ("rights", "brief", "ALTER FUNCTION f() OWNER TO somebody"),
    ("rights", "brief", "REASSIGN OWNED BY a TO b"),
    ("rights", "brief", "REVOKE INSERT ON cameras FROM somebody"),
    ("rights", "brief", "ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM somebody"),
    ("unbatched-write", "patient", "EXPLAIN ANALYZE UPDATE cameras SET name = 'x'"),
    ("unbatched-write", "patient", "EXPLAIN (ANALYZE, BUFFERS) DELETE FROM cameras"),
    ("unbatched-write", "brief",
     "CREATE TABLE n AS WITH d AS (DELETE FROM cameras RETURNING *) SELECT * FROM d"),
    ("unbatched-write", "brief",
     "INSERT INTO ccus (id) WITH d AS (UPDATE cameras AS c SET a = 1 RETURNING id) TABLE d"),
    ("unbatched-write", "brief", "PREPARE p AS DELETE FROM cameras"),
    ("unbatched-write", "brief", 'WITH "a\n" AS (SELECT 1) UPDATE cameras SET a = 1'),
    ("unbatched-write", "brief",
     "WITH RECURSIVE x (a) AS (SELECT 1) CYCLE a SET c USING p UPDATE cameras SET a = 1"),
    ("drop-outside-contract", "brief", "DROP OWNED BY somebody"),
    ("drop-outside-contract", "brief", "DROP RULE r ON cameras"),
    ("drop-outside-contract", "brief", "DROP POLICY p ON cameras"),
    ("drop-outside-contract", "brief", "DROP EXTENSION pgcrypto"),
    ("instead-rule", "brief", "CREATE RULE r AS ON DELETE TO cameras DO INSTEAD NOTHING"),
    ("instead-rule", "brief",
     "CREATE OR REPLACE RULE r AS ON INSERT TO cameras WHERE NEW.a > 1 DO INSTEAD SELECT 1"),
    ("disabled-trigger", "brief",
     "SELECT set_config('session_replication_role', 'replica', true)"),
    ("disabled-trigger", "brief", "ALTER DATABASE d SET session_replication_role = replica"),
    ("disabled-trigger", "brief", "ALTER ROLE r IN DATABASE d SET session_replication_role TO x"),
    ("disabled-trigger", "brief", 'SET "session_replication_role" = replica'),
    ("timeout-off", "brief", "SET LOCAL statement_timeout = '1h'"),
    ("timeout-off", "brief", "SET LOCAL statement_timeout = 30001"),
    ("timeout-off", "brief", "SET LOCAL lock_timeout = '3s'"),
    ("timeout-off", "brief", "SET lock_timeout = '1s'"),
    ("timeout-off", "patient", "SELECT pg_catalog.set_config('lock_timeout', '1d', false)"),
    ("timeout-off", "brief", "ALTER ROLE somebody SET statement_timeout = '5s'"),
    ("timeout-off", "brief", "ALTER ROLE somebody RESET ALL"),
    ("timeout-off", "brief", "DISCARD ALL"),
    ("rewriting-default", "brief",
     'ALTER TABLE cameras ADD COLUMN u uuid DEFAULT "gen_random_uuid"()'),
    ("rewriting-default", "brief", "ALTER TABLE cameras ADD u text DEFAULT attic.lower('X')"),
    ("rewriting-default", "brief",
     "ALTER TABLE cameras ADD n numeric DEFAULT 1::numeric(10,2) + random()"),
    ("rewriting-type", "brief", 'ALTER TABLE cameras ALTER COLUMN "a b" TYPE bigint'),
    ("not-null-scan", "brief", 'ALTER TABLE cameras ALTER COLUMN "a b" SET NOT NULL'),
    ("constraint-scan", "brief", 'ALTER TABLE cameras ADD CONSTRAINT "a b" CHECK (a > 0)'),
    ("constraint-scan", "brief", "ALTER TABLE cameras ADD COLUMN a int CHECK (a > 0)"),
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
        [("brief", ("ALTER TABLE cameras ADD COLUMN a numeric(10,2) DEFAULT 1::numeric(10,2)",))],
        [("brief", ("ALTER TABLE cameras ADD a varchar(10) DEFAULT 'x'::character varying(10)",))],
        [("brief", ("ALTER TABLE cameras ADD COLUMN a text DEFAULT lower('X')",))],
        [("brief", ("ALTER TABLE cameras ADD COLUMN a date DEFAULT make_date(2020, 1, 1)",))],
        [("brief", ("ALTER TABLE cameras ADD a numeric DEFAULT CAST(1 AS numeric(10, 2))",))],
        [("brief", ("ALTER TABLE cameras ADD a text DEFAULT pg_catalog.lower('X'), ADD b text",))],
        [("brief", ("COMMENT ON TABLE cameras IS 'a; DROP TABLE cameras';",))],
        [("brief", ("CREATE TRIGGER t BEFORE INSERT OR UPDATE OF a ON cameras EXECUTE FUNCTION f()",
                    "GRANT SELECT (a), UPDATE (a) ON cameras TO somebody"))],
        [("brief", ("INSERT INTO cameras VALUES ('a') ON CONFLICT (id) DO UPDATE SET a = 1",))],
        [("brief", ("ALTER TABLE cameras ADD COLUMN lock_timeout integer",))],
        [("brief", ("ALTER TABLE cameras ALTER COLUMN statement_timeout SET DEFAULT 5",))],
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
        "DROP RULE r ON cameras",
        "DROP POLICY p ON cameras",
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
        (
            "write-from-select",
            "direct",
            "WITH x AS (INSERT INTO cameras SELECT * FROM ccus RETURNING id) SELECT 1 FROM x",
        ),
        ("widening-type", "brief", "ALTER TABLE cameras ALTER a TYPE text"),
        ("unread-call", "brief", "CALL carry_over()"),
        ("unread-call", "brief", "SELECT attic.carry_over(1)"),
        ("unread-call", "brief", "EXPLAIN ANALYZE SELECT count(*), carry_over(id) FROM ccus"),
        ("advisory-lock", "brief", "SELECT pg_advisory_lock(1)"),
        ("advisory-lock", "brief", "SELECT pg_try_advisory_xact_lock(1)"),
        ("sequence-moved", "brief", "SELECT setval('s', 1)"),
        ("sequence-moved", "brief", "ALTER SEQUENCE s RESTART"),
        ("sequence-moved", "brief", "ALTER SEQUENCE s INCREMENT 2 RESTART WITH 5"),
        ("sequence-moved", "brief", "ALTER TABLE cameras ALTER COLUMN n RESTART"),
        ("squawk/syntax-error", "brief", "FROBNICATE cameras"),
    ],
)
def test_what_may_be_meant_is_a_warning(rule: str, way: Way, sql: str) -> None:
    found = lint(plan([(way, (sql,))]))
    assert rule in rules(found, "warning")
    assert rules(found) == set()


def test_what_only_reads_is_none() -> None:
    reads = "WITH x (a) AS (SELECT lower(name) FROM cameras) SELECT count(*), max(a) FROM x"
    assert lint(plan([("brief", (reads, "SELECT now() IN (SELECT now())"))])) == []


def test_a_finding_names_its_revision_and_statement() -> None:
    revisions = [EXPAND, CONTRACT]
    statements = [
        s for name in revisions for s in plan([("brief", ("BEGIN", f"SELECT '{name}\n'"))], name)
    ]
    found = [f for f in lint(statements) if f.rule == "squawk/transaction-nesting"]
    assert {(f.revision, f.sql) for f in found} == {(name, "BEGIN") for name in revisions}


def test_every_revision_of_ours_is_clean() -> None:
    statements = statements_from_code([revision.name for revision in history()])
    assert {s.revision for s in statements} == {revision.name for revision in history()}
    assert lint(statements) == []


def test_nothing_to_lint_is_nothing_found() -> None:
    assert lint([]) == []


@pytest.fixture(params=["missing", "failing", "babbling", "chatting", "hanging"])
def no_squawk(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Make squawk one that cannot be asked."""
    script = {
        "failing": "exit 3",
        "babbling": "echo hello",
        "chatting": """echo '[{"hello": 1}]'""",
        "hanging": "exec sleep 60",
    }
    if request.param in script:
        (tmp_path / "squawk").write_text(f"#!/bin/sh\n{script[request.param]}\n")
        (tmp_path / "squawk").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))


@pytest.mark.usefixtures("no_squawk")
def test_without_squawk_our_own_rules_stand_in_the_gate() -> None:
    found = lint(plan([("brief", ("LOCK TABLE cameras",))]), patience=0.2)
    assert rules(found) == {"lock-table"}
    assert "squawk-absent" in rules(found, "warning")


@pytest.mark.usefixtures("no_squawk")
def test_without_squawk_the_check_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        linting, "statements_from_code", lambda _: plan([("brief", ("ANALYZE cameras",))])
    )
    assert linting.main(patience=0.2) == 1
    told = capsys.readouterr()
    assert "squawk-absent" in told.out
    assert "squawk must read them, too" in told.err


def test_the_check_waits_longer_for_squawk_than_the_gate_does() -> None:
    """A check may share its machine with every test; a gate keeps a deploy waiting."""
    assert linting.CHECKS_PATIENCE >= 5 * squawk.PATIENCE


def test_without_a_folder_for_its_scripts_squawk_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    found = lint(plan([("brief", ("LOCK TABLE cameras",))]))
    assert rules(found) == {"lock-table"}
    (absent,) = [finding.words for finding in found if finding.rule == "squawk-absent"]
    assert "FileNotFoundError" in absent


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
    monkeypatch.setattr(linting, "statements_from_code", lambda _: bad)
    assert linting.main() == 1
    assert f"{EXPAND}: error lock-table" in capsys.readouterr().out
