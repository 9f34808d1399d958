"""SQL is read as PostgreSQL reads it, also where its words alone would mislead."""

import re
import subprocess
import sys
from typing import Final

import postgast
import pytest

from app.releases.lint.lint import lint
from app.releases.migrations.revisions import history
from app.releases.plan.plan import Statement, Way
from app.releases.plan.render import statements_from_code
from app.releases.sql.effects import describe, foreign_key
from app.releases.sql.parser import InvalidSql, parse, quoted
from app.releases.sql.text import normalise
from app.settings import PROJECT

KNOWN: Final = {"cameras", "ccus", "Odd Ones"}


@pytest.mark.parametrize(
    ("sql", "tables", "destroys"),
    [
        ("DO 'BEGIN DELETE FROM cameras; END'", ("cameras",), True),
        ("WITH cameras AS (SELECT 1) SELECT * FROM cameras", (), False),
        ("WITH cameras AS (SELECT * FROM cameras) SELECT * FROM cameras", ("cameras",), False),
        ("WITH a AS (SELECT 1), ccus AS (TABLE a) SELECT * FROM ccus, cameras", ("cameras",),
         False),
        ("SELECT * FROM strangers JOIN others cameras ON true", (), False),
        (r'DROP TABLE U&"c\0061meras"', ("cameras",), True),
        ('TRUNCATE strangers, ONLY (cameras), public."Odd Ones"', ("Odd Ones", "cameras"), True),
        ("CREATE FUNCTION f() RETURNS void BEGIN ATOMIC DELETE FROM cameras; END", ("cameras",),
         False),
        ("COMMENT ON COLUMN ccus.cameras IS 'x'", ("ccus",), False),
        ("SELECT 'x'; -- ; DROP TABLE cameras\nTABLE ccus", ("ccus",), False),
        ("SELECT $a$ DROP TABLE ccus; $a$ FROM cameras", ("cameras",), False),
        ("", (), False),
    ],
)  # fmt: skip
def test_tables_are_found_as_postgresql_finds_them(
    sql: str, tables: tuple[str, ...], destroys: bool
) -> None:
    effect = describe(sql, KNOWN)
    assert (effect.tables, effect.destroys) == (tables, destroys)


def errors(*statements: str, way: Way = "brief") -> set[str]:
    plan = [
        Statement(revision="0007_cameras_expand", step=number, way=way, sql=sql,
                  **describe(sql, KNOWN)._asdict())
        for number, sql in enumerate(statements, 1)
    ]  # fmt: skip
    return {f.rule for f in lint(plan) if f.level == "error" and not f.rule.startswith("squawk/")}


@pytest.mark.parametrize(
    ("rule", "sql"),
    [
        ("constraint-scan", 'ALTER TABLE cameras ADD CONSTRAINT "NOT VALID" CHECK (a > 0)'),
        ("required-column", 'ALTER TABLE cameras ADD "DEFAULT" text NOT NULL'),
        ("required-column", "ALTER TABLE cameras ADD a text NOT NULL CHECK (a <> '')"),
        ("rewriting-default", "ALTER TABLE cameras ADD a uuid DEFAULT (SELECT (random_id ()))"),
        ("cascade", "DROP OWNED BY somebody CASCADE"),
        ("index-blocks-writers", "REINDEX (VERBOSE, CONCURRENTLY off) TABLE cameras"),
    ],
)
def test_no_name_and_no_order_of_words_hides_a_danger(rule: str, sql: str) -> None:
    assert rule in errors(sql)


@pytest.mark.parametrize(
    "sql",
    [
        'ALTER TABLE cameras ADD "NOT NULL" text',
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END",
        "ALTER TABLE cameras ADD a text DEFAULT ('x' COLLATE \"gen_random_uuid ()\")",
        "COMMENT ON COLUMN cameras.a IS 'x' -- ; LOCK TABLE cameras",
        'GRANT SELECT ON cameras TO "x OWNER TO y"',
    ],
)
def test_no_name_and_no_body_makes_a_danger(sql: str) -> None:
    assert errors(sql) == set()


def test_a_check_is_known_by_its_whole_name() -> None:
    check = 'ALTER TABLE cameras ADD CONSTRAINT "a b" CHECK ((a) IS NOT NULL) NOT VALID'
    validate = 'ALTER TABLE cameras VALIDATE CONSTRAINT "a b"'
    assert "not-null-scan" not in errors(
        check, validate, "ALTER TABLE cameras ALTER a SET NOT NULL"
    )


def test_what_no_parser_reads_is_told() -> None:
    with pytest.raises(InvalidSql, match="syntax error"):
        parse("FROBNICATE cameras")
    plan = [Statement(revision="0007_cameras_expand", step=1, way="brief", sql="FROBNICATE")]
    assert ("unread-sql", "warning") in {(f.rule, f.level) for f in lint(plan)}


def test_every_statement_of_ours_is_read_and_normalising_keeps_its_meaning() -> None:
    statements = statements_from_code([revision.name for revision in history()])
    assert len(statements) > 400
    for statement in statements:
        (tree,) = parse(statement.sql)
        assert tree.kind
        meaning, kept = map(postgast.fingerprint, (statement.sql, normalise(statement.sql)))
        assert meaning == kept


def test_a_field_that_no_such_node_has_is_an_error() -> None:
    (select,) = parse("SELECT 1")
    with pytest.raises(KeyError):
        select["no_such_field"]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("cameras", "cameras"), ("a_1", "a_1"), ("Odd Ones", '"Odd Ones"'), ("user", '"user"'),
        ("a-b", '"a-b"'), ('a"b', '"a""b"'), ("1a", '"1a"'), ("ä", '"ä"'), ("key", "key"),
    ],
)  # fmt: skip
def test_a_name_is_quoted_where_it_must_be(name: str, written: str) -> None:
    assert quoted(name) == written


def test_a_foreign_key_is_taken_apart() -> None:
    definition = 'FOREIGN KEY ("a, b") REFERENCES "Odd Ones"("x)") ON DELETE CASCADE'
    assert foreign_key(definition) == (['"a, b"'], '"Odd Ones"', ['"x)"'])


def test_only_one_module_knows_the_binding() -> None:
    users = [
        path.relative_to(PROJECT).as_posix()
        for path in (PROJECT / "app").rglob("*.py")
        if re.search(r"^(from|import) (postgast|google)\b", path.read_text(), re.MULTILINE)
    ]
    assert users == ["app/releases/sql/parser.py"]


def test_what_serves_does_not_load_the_parser() -> None:
    asked = "import sys, app.main; print('postgast' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", asked], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
