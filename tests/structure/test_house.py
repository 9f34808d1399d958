"""The house can be walked through: small modules, short functions, no hidden imports."""

import ast
import inspect
import os
import re
import statistics
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import get_args

from app.entities import discovered
from app.model.entity import Entity
from app.settings import PROJECT

MODULES = sorted((PROJECT / "app").rglob("*.py"))
PYTHON = [
    *MODULES,
    *sorted((PROJECT / "alembic").rglob("*.py")),
    *sorted((PROJECT / "tests").rglob("*.py")),
]
Function = ast.FunctionDef | ast.AsyncFunctionDef
INDENTED = re.compile(r"^[ \t]+(import|from) ", re.MULTILINE)
# Members and values of the answers about signal flow, which are words of the trade.
SIGNAL_WORDS = {"signal": {"'cameras'", "'send'", "'source'"}}
UNCLEAR = {"manager", "helper", "helpers", "utils", "util", "base", "data", "process", "common"}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def name(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def functions(path: Path) -> Iterator[Function]:
    yield from (node for node in ast.walk(tree(path)) if isinstance(node, Function))


def length(function: Function) -> int:
    """Count the lines of the body, its docstring left out."""
    body = function.body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_a_module_stays_under_300_lines() -> None:
    lengths = {name(path): len(path.read_text().splitlines()) for path in MODULES}
    assert not {path: lines for path, lines in lengths.items() if lines > 300}


def test_a_module_says_what_it_is_for() -> None:
    assert not [name(path) for path in MODULES if not ast.get_docstring(tree(path))]


def test_a_class_says_what_it_is() -> None:
    classes = [
        (name(path), node)
        for path in MODULES
        for node in tree(path).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    assert not [(path, node.name) for path, node in classes if not ast.get_docstring(node)]


def test_functions_are_short() -> None:
    lengths = [length(function) for path in MODULES for function in functions(path)]
    assert statistics.median(lengths) <= 8
    assert max(lengths) <= 45


def test_modules_are_typically_short() -> None:
    assert statistics.median(len(path.read_text().splitlines()) for path in MODULES) <= 120


def test_nothing_is_imported_inside_a_function() -> None:
    hidden = [
        f"{name(path)}:{node.lineno}"
        for path in PYTHON
        if INDENTED.search(path.read_text())
        for function in functions(path)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not hidden


def test_only_a_word_of_the_command_line_loads_a_module_late() -> None:
    """The entities are discovered while their package is imported; else nothing is hidden."""
    loading = {
        str(path.relative_to(PROJECT))
        for path in MODULES
        if {"import_module", "__import__"} & _names(path)
    }
    assert loading == {
        "app/cli/commands/__init__.py",
        "app/entities/__init__.py",
        "app/releases/product.py",  # the older service, which is there until it is retired
    }
    users = {
        str(path.relative_to(PROJECT))
        for path in MODULES
        if re.search(r"\bfrom app\.cli import (.*, )?commands\b", path.read_text())
    }
    declared = {"app/__main__.py", "app/cli/release.py"}
    declared |= {"app/cli/audit_words.py", "app/cli/token_words.py"}
    assert users == {*declared, "app/cli/commands/release_status.py"}


def _names(path: Path) -> set[str]:
    return {node.id for node in ast.walk(tree(path)) if isinstance(node, ast.Name)}


def calls_of_commands() -> list[ast.Call]:
    return [
        call
        for path in MODULES
        for call in ast.walk(tree(path))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "commands.run"
    ]


def test_a_word_is_there_and_takes_what_it_is_given() -> None:
    """What is loaded late is seen by no type checker."""
    for call in calls_of_commands():
        word = ast.literal_eval(call.args[0])
        run = inspect.signature(import_module(f"app.cli.commands.{word}").run)
        run.bind(**{str(option.arg): None for option in call.keywords})


def test_each_word_has_its_module_and_no_module_is_without_a_word() -> None:
    words = {ast.literal_eval(call.args[0]) for call in calls_of_commands()}
    folder = PROJECT / "app" / "cli" / "commands"
    running = {path.stem for path in folder.glob("*.py") if "def run(" in path.read_text()}
    assert words == running - {"__init__"}


def test_names_say_something() -> None:
    assert not UNCLEAR & {path.stem for path in MODULES}


def test_the_fixtures_fit_on_a_page() -> None:
    assert len((PROJECT / "tests" / "conftest.py").read_text().splitlines()) <= 60


def test_only_a_declaration_names_an_entity_type() -> None:
    """The production is the scope of all others, and may be named."""
    types = [entity for entity in discovered().values() if entity.collection != "productions"]
    names = {w for e in types for w in (e.collection, str(e.__tablename__), e.entity_type)}
    quoted = re.compile(rf"""["'](?:{"|".join(sorted(names))})["']""")
    for path in MODULES:
        if path.relative_to(PROJECT / "app").parts[0] in {"entities", "releases", "older_service"}:
            continue
        module = ast.parse(path.read_text())  # not the one that others read: it is changed
        imported = {
            n.module for n in ast.walk(module) if isinstance(n, ast.ImportFrom) and n.module
        }
        assert not [m for m in imported if m.startswith("app.entities.")], path.name
        named = set(quoted.findall(ast.unparse(_without_docstrings(module))))
        assert not named - SIGNAL_WORDS.get(path.relative_to(PROJECT / "app").parts[0], set()), path


def _without_docstrings(module: ast.Module) -> ast.Module:
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.ClassDef | Function) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return module


def test_alembic_is_no_package_of_ours() -> None:
    assert not (PROJECT / "alembic" / "__init__.py").exists()


def test_the_project_speaks_of_itself_alone() -> None:
    elsewhere = re.compile(r"\.\./shared|/work/|/root/|pythonhosted|registry\.npmjs")
    files = list(project_files())
    assert Path(__file__) in files
    for path in files:
        if path.suffix in {".py", ".md", ".toml", ".lock", ".json", ""} and path != Path(__file__):
            found = elsewhere.search(path.read_text(errors="replace"))
            assert not found, f"{path}: {found}"


def test_no_source_line_is_long() -> None:
    """A formatter passes over long comments and pragmas, and over what is not Python."""
    files = [path for path in project_files() if is_source(path)]
    found = {name(path) for path in files}
    assert found >= {"Dockerfile", "compose.yaml", ".ci/run", "scripts/install"}
    assert {path.suffix for path in files} >= {".py", ".ts", ".js"}
    assert not [
        f"{name(path)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > 100
    ]


def is_source(path: Path) -> bool:
    """Whether people write it: Python, TypeScript, JavaScript, a shell script or how to deploy."""
    is_script = not path.suffix and path.parent in {PROJECT / "scripts", PROJECT / ".ci"}
    is_code = path.suffix in {".py", ".ts", ".js", ".sh"} and "node_modules" not in path.parts
    return is_script or is_code or path.name in {"Dockerfile", "compose.yaml"}


def project_files() -> Iterator[Path]:
    """Return the files of the project; what tools and databases keep comes and goes meanwhile."""
    kept = (".venv", ".git", ".data", ".mypy", ".ruff", ".pytest", ".hypothesis", ".import")
    for folder, folders, files in os.walk(PROJECT):
        if Path(folder) == PROJECT:
            folders[:] = [name for name in folders if not name.startswith(kept)]
        paths = (Path(folder, name) for name in files)
        yield from (p for p in paths if not p.relative_to(PROJECT).parts[0].startswith(kept))


def test_what_is_named_like_a_secret_is_declared_one() -> None:
    like = re.compile(r"(^|_)(key|passphrase|password|pin|secret|token|credentials?)(_|$)")
    for entity in discovered().values():
        named = {field for field in entity.model_fields if like.search(field)}
        assert named <= set(entity.secrets), entity.__name__
        parts = [field for each in entity.parts.values() for field in each.columns()]
        assert not list(filter(like.search, parts)), "a part has no secrets"


def test_a_secret_is_an_optional_text_of_a_row_in_a_show() -> None:
    """What keeps it from view expects that: of the list of shows, for one, nothing is kept."""
    for entity in discovered().values():
        fields = [entity.model_fields[name].annotation for name in entity.secrets]
        assert all(type(None) in get_args(field) and "str" in str(field) for field in fields)
        assert not fields or issubclass(entity, Entity)
        assert not {*entity.secrets} & {*entity.unique, *entity.synonyms.values(), *entity.ends()}
