"""Lays out a graph with Graphviz: DOT on standard input, its JSON on standard output.

A program of its own: Graphviz has global state, holds the interpreter while it works, and cannot be
stopped but with its process.
"""

import sys

from pygraphviz import AGraph


def main() -> None:
    """Lay out the graph that is on standard input."""
    graph = AGraph(string=sys.stdin.read())
    sys.stdout.buffer.write(graph.draw(format="json0", prog="dot"))


if __name__ == "__main__":
    main()
