"""The house speaks plainly: one word for one thing, and names that say what they hold."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from app.settings import PROJECT
from tests.structure.test_house import MODULES, PYTHON, Function, name, tree

SCRIPTS = sorted((PROJECT / "scripts").rglob("*.py"))
# A variable is named by what it holds, not by what was done to it.
PARTICIPLES = {
    "asked", "begun", "called", "done", "found", "given", "gone", "got", "heard", "held", "kept",
    "known", "left", "lent", "made", "meant", "noted", "refused", "said", "seen", "sent", "shown",
    "taken", "told", "wanted", "written",
}  # fmt: skip
# Sealed revisions write this keyword, so it cannot be renamed.
SEALED = {"app/releases/migrations/ddl.py: called"}
# Modules of one name in two rooms, each of which does for its room what the name says.
SHARED_NAMES = {
    "errors", "schemas", "production_list",
    # A route and what it asks; a stage, a word of the command line and what they run.
    "audit", "bulk", "compare", "drift", "equipment", "events", "feed", "formats", "health",
    "history", "memberships", "status", "stream", "sync",
    # The process's own, and what the contract calls so: those of the installation's pages.
    "settings",
}  # fmt: skip


def bound_names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
        yield node.id if isinstance(node, ast.Name) else node.attr
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, Function):
        yield node.name


def test_no_participle_is_a_name() -> None:
    """Members that the wire or an older service names so are written as text, not as names."""
    bad = {
        f"{name(path)}: {bound}"
        for path in [*MODULES, *SCRIPTS]
        for node in ast.walk(tree(path))
        for bound in bound_names(node)
        if bound.strip("_") in PARTICIPLES
    }
    assert not sorted(bad - SEALED)


def test_no_class_name_stands_in_two_modules() -> None:
    homes = defaultdict(set)
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef):
                homes[node.name].add(name(path))
    assert not {title: paths for title, paths in homes.items() if len(paths) > 1}


def test_a_module_name_in_two_rooms_says_the_same_of_each() -> None:
    homes = defaultdict(set)
    for path in MODULES:
        homes[path.stem].add(name(path))
    twice = {stem for stem, paths in homes.items() if len(paths) > 1} - {"__init__"}
    assert not {stem: homes[stem] for stem in twice - SHARED_NAMES}


def documented(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Module | ast.ClassDef | Function):
            yield ast.get_docstring(node) or ""


def test_docstrings_say_return_rather_than_give() -> None:
    riddling = re.compile(r"(Give|Gives|Tell|Tells)\b")
    assert not [
        f"{name(path)}: {words.splitlines()[0]}"
        for path in [*PYTHON, *SCRIPTS]
        for words in documented(path)
        if riddling.match(words)
    ]


def test_what_is_let_pass_says_why() -> None:
    """A linter or a type checker is silenced on a line only with the reason beside it."""
    silenced = re.compile(r"# (?:noqa(?::|$)|type: ignore)|// @ts-")
    explained = re.compile(
        r"# (?:noqa: [A-Z0-9, ]+|type: ignore\[[a-z, -]+\])  # \S|// @ts-expect-error: \S"
    )
    clients = [path for path in (PROJECT / "clients").rglob("*.*") if path.suffix in {".py", ".ts"}]
    # Of the textbook's, its modules' docstrings say why: they are the same on each line.
    assert not [
        f"{name(path)}:{number}"
        for path in [*PYTHON, *SCRIPTS, *clients]
        if not path.stem.startswith("textbook") and path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if silenced.search(line) and not explained.search(line)
    ]
