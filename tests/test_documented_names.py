"""Routes, commands and scripts that documents name exist, and each that exists is named.

``test_settings`` does the same for settings and error codes, ``test_documents`` for files.
"""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from app.__main__ import cli
from app.entities import discovered
from app.settings import PROJECT
from tests.support.documents import DOCUMENT

PAGES = [
    PROJECT / name
    for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "clients/README.md")
] + sorted((PROJECT / "docs").glob("*.md"))
TEXT = {page: page.read_text() for page in PAGES}
# What a document calls a route by: a path of the service, or its end after "…".
PATH = re.compile(r"(?<=[`\s\"])(?:http://127\.0\.0\.1:3010|…)?/(?:api|health|livez)\b[^\s`\"|]*")
END = re.compile(r"(?<=[`\s]…)/[a-z][^\s`\"|]*")
COMMAND = re.compile(r"python -m app((?:[ \\\n]+[^`\n]+)?)")


ROUTES = {*DOCUMENT["paths"]}
TYPES = "|".join([*discovered(), *(a for e in discovered().values() for a in e.path_aliases)])


def shape(path: str) -> str:
    """Return a path with all that may differ from one row or type to another as ``{}``."""
    path = re.sub(rf"(?<=/)({TYPES})(?=/|$)", "{}", re.split(r"[?…]", path)[0].rstrip("/.,:)"))
    return re.sub(r"\{\w*\}|(?<=/)[0-9a-f]{8}-[0-9a-f-]{27}|(?<=/)[A-Z0-9][\w%]*", "{}", path)


def paths(page: Path) -> Iterator[str]:
    """Yield the shapes of the paths that a page names, and of the ends of paths."""
    for path in PATH.findall(TEXT[page]):
        yield shape(path.removeprefix("http://127.0.0.1:3010"))
    for end in END.findall(TEXT[page]):
        yield shape(end)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_route_that_is_named_exists(page: Path) -> None:
    shapes = {shape(route) for route in ROUTES}
    assert not [
        path
        for path in paths(page)
        if not any(each.endswith(path) or each.startswith(f"{path}/") for each in shapes)
    ]


def test_every_route_is_named() -> None:
    names = {path for page in PAGES for path in paths(page)}
    missing = {shape(route) for route in ROUTES} - names
    assert not [
        each for each in missing if not any(each.endswith(n) for n in names if n[1:4] != "api")
    ]


def commands() -> dict[str, Any]:
    """Return every command by its words: ``release approve``."""
    root = typer.main.get_command(cli)
    found: dict[str, Any] = {}

    def walk(words: str, command: Any) -> None:
        found[words] = command
        for name, inner in getattr(command, "commands", {}).items():
            walk(f"{words} {name}".strip(), inner)

    walk("", root)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_and_option_that_is_named_exists(page: Path) -> None:
    every = commands()
    for written in COMMAND.findall(TEXT[page]):
        words = shlex.split(written.replace("…", "X").split("#")[0], comments=True)
        name = ""
        while words and f"{name} {words[0]}".strip() in every:
            name = f"{name} {words.pop(0)}".strip()
        assert name or not words or words[0].startswith("-"), f"{page.name}: {written}"
        options = {o for each in ("", name) for p in every[each].params for o in p.opts}
        for word in words:
            if word.startswith("--") and word != "--help":
                assert word.split("=")[0].rstrip(".,)") in options, f"{page.name}: {written}"


def test_every_command_is_named() -> None:
    together = " ".join(" ".join(TEXT.values()).split())
    assert not [
        name
        for name, command in commands().items()
        if name and not command.hidden and not re.search(rf"(?:python -m app |`){name}\b", together)
    ]


def test_every_script_is_named() -> None:
    together = " ".join(TEXT.values())
    scripts = [each.name for each in (PROJECT / "scripts").iterdir() if each.is_file()]
    assert not [n for n in scripts if "." not in n and f"scripts/{n}" not in together]


def test_the_generators_are_the_versions_that_are_tried() -> None:
    page = TEXT[PROJECT / "clients" / "README.md"]
    package = json.loads((PROJECT / "clients" / "typescript" / "package.json").read_text())
    tools = {**package["dependencies"], **package["devDependencies"]}
    for name in ("openapi-fetch", "openapi-typescript", "typescript"):
        assert f"{name}@{tools[name]}" in page
    assert package["scripts"]["generate"].partition("schema.ts ")[2] in page
    locked = (PROJECT / "requirements-clients.lock").read_text()
    (generator,) = re.findall(r"(?m)^openapi-python-client==\S+", locked)
    assert generator in page
