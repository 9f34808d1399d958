"""The documents: what they name exists, and they are short enough to be read."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from app.settings import PROJECT
from tests.structure.test_house import project_files

DOCUMENTS = [
    PROJECT / "README.md",
    PROJECT / "CONTRIBUTING.md",
    PROJECT / "CHANGELOG.md",
    PROJECT / "SECURITY.md",
    PROJECT / "clients" / "README.md",
    *sorted((PROJECT / "docs").rglob("*.md")),
]
LINE = 100
PARAGRAPH = 5 * LINE
CELL = 200
TABLE_LINE = 400

ITEM = re.compile(r" *(?:[-*]|\d+\.) ")
# A path stands from the project's folder; `<type>` and `*` stand for any name.
PATH = re.compile(r"(?<![\w/.-])(?:app|tests|scripts|docs|alembic)/[\w./*<>-]*[\w/*>]")
DOTTED = re.compile(r"(?<![\w.])app(?:\.[a-z_]+)+")
BARE = re.compile(r"`([\w-]+\.(?:py|md|toml))`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"(?ms)^ *```.*?^ *```$")


@cache
def text(document: Path) -> str:
    return document.read_text()


def prose(document: Path) -> str:
    """Return the document without its code blocks."""
    return CODE.sub("", text(document))


def short(document: Path) -> str:
    return str(document.relative_to(PROJECT))


def paragraphs(document: Path) -> Iterator[str]:
    """Return each paragraph and each item of a list as one line."""
    lines: list[str] = []
    for line in [*prose(document).splitlines(), ""]:
        is_text = line.strip() and not line.startswith(("#", "|"))
        if (not is_text or ITEM.match(line)) and lines:
            yield " ".join(lines)
            lines = []
        if is_text:
            lines.append(line.strip())


def cells(document: Path) -> Iterator[str]:
    for line in prose(document).splitlines():
        if line.startswith("|"):
            yield from (cell.strip() for cell in re.split(r"(?<!\\)\|", line))


def anchors(document: Path) -> set[str]:
    """Return the headings as links name them."""
    headings = re.findall(r"(?m)^#+ (.+)$", text(document))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


def test_every_path_exists() -> None:
    """A folder's name matches the folder; a pattern matches at least one file."""
    assert not [
        f"{short(document)}: {path}"
        for document in DOCUMENTS
        for path in PATH.findall(text(document))
        if not list(PROJECT.glob(re.sub(r"<\w+>", "*", path).rstrip("/")))
    ]


def test_every_dotted_name_is_a_module_or_in_one() -> None:
    def leads_to_a_module(dotted: str) -> bool:
        module = PROJECT / dotted.replace(".", "/")
        return any(p.with_suffix(".py").exists() or p.is_dir() for p in (module, module.parent))

    assert not [
        f"{short(document)}: {dotted}"
        for document in DOCUMENTS
        for dotted in DOTTED.findall(text(document))
        if not leads_to_a_module(dotted)
    ]


def test_every_file_that_is_named_without_its_folder_exists() -> None:
    names = {path.name for path in project_files()}
    assert not [
        f"{short(document)}: {name}"
        for document in DOCUMENTS
        for name in BARE.findall(text(document))
        if name not in names
    ]


def test_every_link_leads_somewhere() -> None:
    for document in DOCUMENTS:
        for link in LINK.findall(text(document)):
            if link.startswith("http"):
                continue
            path, _, anchor = link.partition("#")
            target = (document.parent / path).resolve() if path else document
            assert target.exists(), f"{short(document)}: {link}"
            assert not anchor or anchor in anchors(target), f"{short(document)}: {link}"


def test_no_paragraph_is_longer_than_five_lines() -> None:
    assert not [
        f"{short(document)}: {paragraph[:60]}… has {len(paragraph)} characters"
        for document in DOCUMENTS
        for paragraph in paragraphs(document)
        if len(paragraph) > PARAGRAPH
    ]


def test_no_cell_of_a_table_is_longer_than_two_lines() -> None:
    assert not [
        f"{short(document)}: {cell[:60]}… has {len(cell)} characters"
        for document in DOCUMENTS
        for cell in cells(document)
        if len(cell) > CELL
    ]


def test_no_line_is_long() -> None:
    """A row of a table cannot be broken."""
    for document in DOCUMENTS:
        for number, line in enumerate(prose(document).splitlines(), 1):
            bound = TABLE_LINE if line.startswith("|") else LINE
            assert len(line) <= bound, f"{short(document)}: {number}: {line[:60]}…"


def test_every_page_is_in_its_index() -> None:
    for folder in (PROJECT / "docs", PROJECT / "docs" / "decisions"):
        listed = set(LINK.findall(text(folder / "README.md")))
        assert not {page.name for page in folder.glob("*.md")} - listed - {"README.md"}
