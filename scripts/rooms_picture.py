"""Draws the rooms of ``app`` from its imports, as Mermaid text in docs/architecture.md.

``python -m scripts.rooms_picture`` writes the pictures; with ``--check`` it only compares, and
exits with 1 if the page shows other rooms than the code has.
"""

import ast
import re
import sys
from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[1]
PAGE: Final = PROJECT / "docs" / "architecture.md"
_PICTURE: Final = re.compile(r"(<!-- rooms of (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)

Graph = dict[str, set[str]]


def imports(root: Path = PROJECT / "app") -> Graph:
    """Return which modules of ours each module imports, by dotted names."""
    files = {_name(file): file for file in root.rglob("*.py")}
    return {
        module: {target for name in _imported(file) if (target := _ours(name, files)) != module}
        - {""}
        for module, file in files.items()
    }


def _name(file: Path) -> str:
    return ".".join(file.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")


def _imported(file: Path) -> Iterable[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _ours(name: str, files: Mapping[str, Path]) -> str:
    """Return the module that an imported name is, or stands in; "" for another project's."""
    while name and name not in files:
        name = name.rpartition(".")[0]
    return name


def rooms(graph: Graph, package: str) -> Graph:
    """Join the modules of a package into its rooms: its folders, and the modules beside them."""
    joined: Graph = {}
    for module, targets in graph.items():
        room = _room(module, package)
        if room:
            inside = {_room(target, package) for target in targets} - {"", room}
            joined.setdefault(room, set()).update(inside)
    return joined


def _room(module: str, package: str) -> str:
    """Return the first name below the package; "" for the package itself and all outside it."""
    return (
        module.removeprefix(f"{package}.").split(".")[0]
        if module != package and (module.startswith(f"{package}."))
        else ""
    )


def mermaid(graph: Graph) -> str:
    """Return the graph as Mermaid text, without arrows that a longer way implies.

    Raise graphlib.CycleError if the graph has a cycle.
    """
    order = [*TopologicalSorter(graph).static_order()]
    below: Graph = {}
    for room in order:
        below[room] = set().union(graph[room], *(below[target] for target in graph[room]))
    lines = ["flowchart TD"]
    for room in reversed(order):
        direct = {t for t in graph[room] if not any(t in below[o] for o in graph[room])}
        lines += [f"    {room} --> {target}" for target in sorted(direct)] or [f"    {room}"]
    return "\n".join(lines)


def page(text: str) -> str:
    """Return the page's text with its pictures drawn anew."""
    graph = imports()

    def draw(match: re.Match[str]) -> str:
        return f"{match[1]}```mermaid\n{mermaid(rooms(graph, match[2]))}\n```\n{match[3]}"

    return _PICTURE.sub(draw, text)


def main(words: list[str]) -> int:
    """Write the page, or compare it. Return 1 if the comparison failed."""
    before = PAGE.read_text()
    after = page(before)
    if before == after:
        return 0
    if "--check" in words:
        sys.stderr.write("docs/architecture.md shows other rooms than app/ has: scripts/picture\n")
        return 1
    PAGE.write_text(after)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
