"""Draws the pictures of the documents: the rooms of ``app``, and the sample show's signal paths.

The rooms come from the imports, as Mermaid text in docs/architecture.md and as a picture for the
README; the signal paths come from the sample show. ``python -m scripts.rooms_picture`` writes them.
With ``--check`` it only compares, and exits with 1 if one shows something else than there is.
"""

import ast
import json
import re
import sys
from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import Final

from scripts.layered_svg import Edge, draw

PROJECT: Final = Path(__file__).parents[1]
PAGE: Final = PROJECT / "docs" / "architecture.md"
PICTURES: Final = PROJECT / "docs" / "pictures"
SAMPLE: Final = PROJECT / "app" / "sample" / "show.json"
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
    direct = [*_direct(graph)]
    lines = ["flowchart TD"]
    for room in reversed([*TopologicalSorter(graph).static_order()]):
        targets = [target for start, target in direct if start == room]
        lines += [f"    {room} --> {target}" for target in targets] or [f"    {room}"]
    return "\n".join(lines)


def page(text: str) -> str:
    """Return the page's text with its pictures drawn anew."""
    graph = imports()

    def draw(match: re.Match[str]) -> str:
        return f"{match[1]}```mermaid\n{mermaid(rooms(graph, match[2]))}\n```\n{match[3]}"

    return _PICTURE.sub(draw, text)


def rooms_svg() -> str:
    """Return the rooms as a picture: each stands above those that it imports."""
    graph = _folders(rooms(imports(), "app"))
    depth: dict[str, int] = {}
    for room in TopologicalSorter(graph).static_order():
        depth[room] = 1 + max((depth[target] for target in graph[room]), default=-1)
    layers = [
        [r for r in sorted(graph) if depth[r] == d] for d in range(max(depth.values()), -1, -1)
    ]
    edges = [Edge(room, target) for room, target in _direct(graph)]
    return draw(layers, edges, "The rooms of app/: each imports only what stands below", down=True)


def _folders(graph: Graph) -> Graph:
    """Leave single modules out: what imports one imports what that imports."""
    order = [*TopologicalSorter(graph).static_order()]
    behind: Graph = {}
    for room in order:
        targets = graph[room]
        is_folder = {target: (PROJECT / "app" / target).is_dir() for target in targets}
        behind[room] = set().union(
            {target for target in targets if is_folder[target]},
            *(behind[target] for target in targets if not is_folder[target]),
        )
    return {room: behind[room] for room in order if (PROJECT / "app" / room).is_dir()}


def signal_svg() -> str:
    """Return the sample show's connections as a picture: sources, devices, sends."""
    show = json.loads(SAMPLE.read_text())
    names = {row["id"]: f"{row['id']}  {row['name']}" for row in show["sources"] + show["sends"]}
    edges: dict[Edge, None] = {}
    layers: list[dict[str, None]] = [{}, {}, {}]
    for each in (one for one in show["connections"] if "sourceId" in one):
        way = [
            names.get(each["sourceId"], each["sourceId"]),
            each.get("intermediateId") or "direct",
            names.get(each["destinationId"], each["destinationId"]),
        ]
        for layer, box in zip(layers, way, strict=True):
            layer[box] = None
        edges |= {Edge(start, end, way[0]): None for start, end in pairwise(way)}
    title = "Signal paths of the sample show: sources, devices, sends"
    return draw([[*layer] for layer in layers], edges, title, down=False)


def _direct(graph: Graph) -> Iterable[tuple[str, str]]:
    """Yield the arrows that no longer way implies."""
    below: Graph = {}
    for room in TopologicalSorter(graph).static_order():
        below[room] = set().union(graph[room], *(below[target] for target in graph[room]))
        for target in sorted(graph[room]):
            if not any(target in below[other] for other in graph[room]):
                yield room, target


def main(words: list[str]) -> int:
    """Write the pictures, or compare them. Return 1 if the comparison failed."""
    pictures = {
        PAGE: page(PAGE.read_text()),
        PICTURES / "rooms.svg": rooms_svg(),
        PICTURES / "signal-paths.svg": signal_svg(),
    }
    changed = {f: t for f, t in pictures.items() if not f.exists() or f.read_text() != t}
    for file, text in changed.items():
        if "--check" in words:
            name = file.relative_to(PROJECT)
            sys.stderr.write(f"{name} does not show what is there: run scripts/picture\n")
        else:
            file.write_text(text)
    return int(bool(changed) and "--check" in words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
