"""History that was sealed cannot be edited, dropped or forgotten; how it looks does not count."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

from app.releases.migrations import revisions
from app.releases.migrations.source_hash import source_hash
from app.releases.plan import seals as sealed
from app.releases.plan.render import offline_hash
from app.settings import PROJECT
from tests.support.images import Image

SOURCE: Final = '''"""A revision."""

from alembic import op

revision = "0001_a"
table = "cameras"
BATCH = 100


def upgrade() -> None:
    """Do it."""
    op.execute("UPDATE cameras SET name = 'a -- b' WHERE id > 1")
    op.execute(f"ALTER TABLE {table} ADD COLUMN zoom text DEFAULT 'x  y'")
    op.execute("""CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT 'c' $$""")
'''


class Helpers:
    """Stands in for what the revisions call: what they say in SQL, by revision."""

    def __init__(self) -> None:
        self.says: dict[str, str] = {}

    def offline_hash(self, names: Sequence[str]) -> str:
        return sha256(" ".join(self.says.get(name, name) for name in names).encode()).hexdigest()


@pytest.fixture
def helpers(monkeypatch: pytest.MonkeyPatch) -> Helpers:
    found = Helpers()
    monkeypatch.setattr(sealed, "offline_hash", found.offline_hash)
    return found


@pytest.fixture
def folder(tmp_path: Path, helpers: Helpers) -> Path:
    """Return an Alembic folder of two sealed revisions."""
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions" / "0001_a.py").write_text(SOURCE)
    (tmp_path / "versions" / "0002_b.py").write_text(SOURCE.replace("0001_a", "0002_b"))
    assert sealed.seal(tmp_path) == ["0001_a", "0002_b"]
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A revision."""', '"""Another text."""'),
        ('    """Do it."""\n', ""),
        ("BATCH = 100\n", "BATCH = 100  # rows\n\n\n# and more\n"),
        ("BATCH = 100", "BATCH = (\n    100\n)"),
        ('"0001_a"', "'0001_a'"),
        ("UPDATE cameras SET", "UPDATE cameras\\n   SET"),
        ("UPDATE cameras SET", "UPDATE cameras /* all */ SET"),
        ("UPDATE cameras SET name", 'UPDATE cameras " "SET name'),
        ("{table} ADD", "{ table }  ADD"),
        ('op.execute("""CREATE', 'op.execute("""\n        -- why\n        CREATE'),
        ('$$""")', '$$;\n    """,)'),
    ],
)  # fmt: skip
def test_how_it_looks_does_not_count(folder: Path, old: str, new: str) -> None:
    edited(folder, old, new)
    assert sealed.problems(folder) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("id > 1", "id > 2"),
        ("UPDATE cameras", "UPDATE ccus"),
        ("'a -- b'", "'a -- c'"),
        ("'a -- b'", "'a  -- b'"),
        ("'x  y'", "'x y'"),
        ("SELECT 'c'", "SELECT  'c'"),
        ("{table} ADD", "{revision} ADD"),
        ("{table} ADD", "cameras ADD"),
        ("zoom text", "zoom  text, ADD x text"),
        ("BATCH = 100", "BATCH = 1000"),
        ("BATCH = 100", "BATCH = 100.0"),
        ("BATCH", "SIZE"),
        ('table = "cameras"', 'table = "ccus"'),
        ("op.execute(f", "op.do(f"),
        ("import op", "import op as operations"),
        ("def upgrade() -> None:", "def upgrade(x: int = 0) -> None:"),
        ('    op.execute("UPDATE', '    return\n    op.execute("UPDATE'),
    ],
)
def test_what_it_says_does(folder: Path, old: str, new: str) -> None:
    edited(folder, old, new)
    (problem,) = sealed.problems(folder)
    assert "alembic/versions/0001_a.py is edited history" in problem
    assert "write the change as a new revision" in problem


def test_sealing_again_does_not_forgive_an_edit(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (folder / sealed.SEALS).read_text()
    edited(folder, "id > 1", "id > 2")
    assert sealed.main(["seal"], folder) == 1
    assert "edited history" in capsys.readouterr().err
    assert (folder / sealed.SEALS).read_text() == before


def test_a_file_that_is_gone_is_noticed(folder: Path) -> None:
    (folder / "versions" / "0002_b.py").unlink()
    (problem,) = sealed.problems(folder)
    assert "0002_b.py is gone" in problem
    (folder / "versions" / "0003_c.py").write_text(SOURCE)
    assert sealed.seal(folder) == []
    assert problem in sealed.problems(folder)


def test_a_new_one_must_be_sealed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = json.loads((folder / sealed.SEALS).read_text())
    (folder / "versions" / "0003_c.py").write_text(SOURCE)
    assert sealed.main([], folder) == 1
    assert "run scripts/seal" in capsys.readouterr().err
    assert sealed.main(["seal"], folder) == 0
    after = json.loads((folder / sealed.SEALS).read_text())
    assert before.items() < after.items()
    assert after.keys() - before.keys() == {"0003_c"}
    assert after["0003_c"].keys() == {"file", "sql"}


def test_a_helper_that_says_something_else_is_noticed(
    folder: Path, helpers: Helpers, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (folder / sealed.SEALS).read_text()
    helpers.says["0002_b"] = "SELECT 2"
    (problem,) = sealed.problems(folder)
    assert "what the revisions call was changed" in problem
    assert "0002_b" in problem
    assert "0001_a" not in problem
    assert "a new parameter or a new helper" in problem
    assert sealed.main(["seal"], folder) == 1
    assert capsys.readouterr().err == f"{problem}\n"
    assert (folder / sealed.SEALS).read_text() == before


def test_half_a_seal_is_none_and_what_there_is_stays(folder: Path, helpers: Helpers) -> None:
    seals = json.loads((folder / sealed.SEALS).read_text())
    for name, part in (("0001_a", "file"), ("0002_b", "sql")):
        half = {**seals, name: {part: seals[name][part]}}
        (folder / sealed.SEALS).write_text(json.dumps(half))
        (problem,) = sealed.problems(folder)
        assert f"{name}.py is not sealed yet" in problem
        assert sealed.seal(folder) == [name]
        assert json.loads((folder / sealed.SEALS).read_text()) == seals


def test_a_piece_of_sql_is_kept_as_it_is() -> None:
    """Its quotes are open, so nothing tells what is SQL in it and what is text."""
    piece = 'x = "UPDATE a SET b = \'" + value + " -- c\'"'
    assert source_hash(piece) != source_hash(piece.replace("-- c", "-- d"))
    assert source_hash(piece) != source_hash(piece.replace("= '", "=  '"))


AWKWARD: Final = """
def f(x, w=3):
    'doc'
    return f"UPDATE {x!r:>{w}} SET a = 'b -- c' " f"WHERE {x + 1}" + f"{x=}" + f"" + f"a" "b"
class A: b: int = 1
async def g(*, y): return [z async for z in y if (q := z)], b'1', 1j, ..., -1, u'k', lambda: None
"""


def test_the_hash_is_the_same_on_every_python() -> None:
    """Made on 3.11, 3.12 and 3.13, which take f-strings apart in different ways."""
    assert source_hash(AWKWARD) == GOLDEN
    assert sealed.problems() == []


def test_all_our_revisions_are_sealed() -> None:
    seals = json.loads((revisions.FOLDER / sealed.SEALS).read_text())
    assert seals == {
        r.name: {"file": sealed.hash_of(r.name), "sql": offline_hash([r.name])}
        for r in revisions.history()
    }


@pytest.fixture
def asked(tmp_path: Path) -> Callable[..., tuple[int, list[str]]]:
    """Run a script of ours whose programs only note what they are asked; one may fail."""
    programs = set(re.findall(r"\.venv/bin/[\w-]+", (PROJECT / "scripts" / "check").read_text()))
    for path in (*programs, "scripts/install"):
        stand_in = tmp_path / path
        stand_in.parent.mkdir(parents=True, exist_ok=True)
        stand_in.write_text(STAND_IN)
        stand_in.chmod(0o755)

    def run_script(name: str, failing: str = "nothing") -> tuple[int, list[str]]:
        shutil.copy(PROJECT / "scripts" / name, tmp_path / "scripts")
        (tmp_path / "asked").write_text("")
        done = subprocess.run(
            [tmp_path / "scripts" / name],
            check=False, capture_output=True, env={**os.environ, "FAILING": failing},
        )  # fmt: skip
        return done.returncode, (tmp_path / "asked").read_text().splitlines()

    return run_script


STAND_IN: Final = """#!/bin/sh
echo "$*" >> asked
test "$*" != "$FAILING"
"""


@pytest.mark.parametrize("check", ["-m app.releases.plan.seals", "-m app.releases.lint.lint"])
def test_the_checks_ask_for_it_and_fail_with_it(
    check: str, asked: Callable[..., tuple[int, list[str]]]
) -> None:
    passed, found = asked("check")
    assert (passed, check in found) == (0, True)
    failed, others = asked("check", failing=check)
    assert failed == 1
    assert others == found, "every check runs, even when one has failed"


def test_the_script_seals(asked: Callable[..., tuple[int, list[str]]]) -> None:
    assert asked("seal") == (0, ["dev", "-m app.releases.plan.seals seal"])


def test_a_new_revision_from_the_template_passes_every_check(tmp_path: Path) -> None:
    image = Image(tmp_path)
    name = "0058_cameras_zoom"
    made = run(tmp_path, "alembic", "revision", "-m", "Cameras get a zoom", "--rev-id", name)
    assert made.returncode == 0, made.stderr
    path = f"alembic/versions/{name}.py"
    text = (tmp_path / path).read_text()
    assert "timeout" in text
    assert "scripts/seal" in text
    for line in (r'^phase = "expand"$', r"^table = None$"):
        assert re.search(line, text, re.MULTILINE)
    unsealed = run(tmp_path, "app.releases.plan.seals")
    assert (unsealed.returncode, f"{path} is not sealed yet" in unsealed.stderr) == (1, True)

    image.replace(path, "table = None", 'table = "cameras"')
    image.replace(path, "add_columns(steps, table, {})", 'add_columns(steps, table, {"z": "text"})')
    image.replace(path, "drop_columns(table, [])", 'drop_columns(table, ["z"])')
    linted = run(tmp_path, "app.releases.lint.lint")
    assert (linted.returncode, linted.stdout) == (0, ""), linted.stdout + linted.stderr
    assert run(tmp_path, "app.releases.plan.seals", "seal").returncode == 0
    assert run(tmp_path, "app.releases.plan.seals").returncode == 0
    for words in (["check"], ["format", "--check"]):
        ruffed = run(tmp_path, "ruff", *words, path)
        assert ruffed.returncode == 0, ruffed.stdout
    placed = run(tmp_path, "-", given=PLACED)
    assert placed.stdout.split() == [name, "expand", "cameras"], placed.stderr


def test_an_edited_revision_of_an_image_fails_its_check(tmp_path: Path) -> None:
    image = Image(tmp_path)
    image.replace("alembic/versions/0019_changes.py", "request_id text", "request_id uuid")
    checked = run(tmp_path, "app.releases.plan.seals")
    assert checked.returncode == 1
    assert "0019_changes.py is edited history" in checked.stderr


def test_two_heads_are_told_and_nothing_is_sealed(tmp_path: Path) -> None:
    image = Image(tmp_path)
    nothing = "def upgrade() -> None:\n    pass\n"
    for name in ("0058_here", "0058_there"):
        image.revision(name, "0058_productions_contract", phase="expand", table=None, body=nothing)
    before = (tmp_path / "alembic" / sealed.SEALS).read_text()
    done = run(tmp_path, "app.releases.plan.seals", "seal")
    assert done.returncode == 1
    assert "The revisions cannot be read one after another" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "alembic" / sealed.SEALS).read_text() == before


@pytest.mark.parametrize(
    ("path", "old", "new", "revision"),
    [
        ("phased_change.py", "PRIMARY KEY USING INDEX", "UNIQUE USING INDEX",
         "0004_cable_snakes_switch"),
        ("column_sync.py", "NEW.{self.new} := text_to_list(", "NEW.{self.new} := to_jsonb(",
         "0015_checklist_items_expand"),
        ("ddl.py", "ANALYZE {table}", "ANALYZE VERBOSE {table}", "0041_cable_snakes_contract"),
        ("backfill.py", "UPDATE {self.table}", "UPDATE ONLY {self.table}",
         "0002_productions_expand"),
    ],
)  # fmt: skip
def test_a_changed_helper_of_an_image_fails_its_check(
    tmp_path: Path, path: str, old: str, new: str, revision: str
) -> None:
    image = Image(tmp_path)
    image.replace(f"app/releases/migrations/{path}", old, new)
    for words in ([], ["seal"]):
        checked = run(tmp_path, "app.releases.plan.seals", *words)
        assert checked.returncode == 1
        assert revision in checked.stderr
    assert (tmp_path / "alembic" / sealed.SEALS).read_text() == (
        revisions.FOLDER / sealed.SEALS
    ).read_text()


def test_how_a_helper_is_written_does_not_count(tmp_path: Path) -> None:
    image = Image(tmp_path)
    image.replace("app/releases/migrations/ddl.py", "ANALYZE {table}", "ANALYZE\\n  {table} -- now")
    checked = run(tmp_path, "app.releases.plan.seals")
    assert (checked.returncode, checked.stderr) == (0, "")


PLACED: Final = "from app.releases.migrations.revisions import history; print(*history()[-1])"


GOLDEN: Final = "b3ea4235df3d789bf428d6669b3da58da5cc7e50cff8c46535b2d7a734d60718"


def run(
    folder: Path, module: str, *words: str, given: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a Python module in a folder, or a script that is given."""
    options = [module] if given else ["-m", module]
    return subprocess.run(
        [sys.executable, *options, *words],
        cwd=folder, capture_output=True, text=True, check=False, input=given,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip


def edited(folder: Path, old: str, new: str) -> None:
    file = folder / "versions" / "0001_a.py"
    assert old in SOURCE
    file.write_text(SOURCE.replace(old, new, 1))
