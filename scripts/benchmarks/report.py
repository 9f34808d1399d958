"""Writes measurements as tables into docs/performance.md."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from textwrap import fill
from typing import Final

from scripts.benchmarks.contenders import OURS
from scripts.benchmarks.load import Measurement
from scripts.benchmarks.targets import Results, judged, ratio
from scripts.benchmarks.workloads import GROWTH, WORKLOADS, Workload

PAGE: Final = Path("docs/performance.md")
_WIDTH: Final = 100
SERVING, LIVE, SIGNAL, HOSTILE = "bench", "bench-live", "bench-signal", "bench-hostile"
"""The page's sections, by the name in their markers."""
_INTRODUCTION: Final = """# Performance

`scripts/bench` writes what stands between the markers. The notes around them stay.
"""
_BESIDE: Final = "Signalbook is … times as fast"
_SMALLEST: Final = "of the smallest's rate"


def tables(results: Results, titles: Mapping[str, str]) -> str:
    """Return the tables in Markdown, and which bars are met; ``titles`` name the contenders."""
    lines = []
    for name in dict.fromkeys(workload.table for workload in WORKLOADS):
        rows = [
            row
            for workload in WORKLOADS
            if workload.table == name and workload.name in results
            for row in _rows(workload, results[workload.name], titles)
        ]
        if rows:
            lines += [*_head(name), *rows, ""]
    return "\n".join([*lines, *judged(results, titles)]).strip()


def _head(name: str) -> list[str]:
    grown = name == GROWTH
    of, compared = ("database of", _SMALLEST) if grown else ("server", _BESIDE)
    return [
        f"### {name}",
        "",
        f"| workload | {of} | a second | p50 ms | p99 ms | {compared} |",
        "|---|---|--:|--:|--:|--:|",
    ]


def _rows(
    workload: Workload, measured: Mapping[str, Sequence[Measurement]], titles: Mapping[str, str]
) -> list[str]:
    grown, rows = workload.table == GROWTH, []
    first = next(iter(measured)) if grown else OURS.name
    for name, turns in measured.items():
        compared = ""
        if name != first:
            ours, theirs = measured[first], turns
            compared = str(ratio(theirs, ours) if grown else ratio(ours, theirs))
        rate = median(turn.rate for turn in turns)
        p50, p99 = median(turn.p50 for turn in turns), median(turn.p99 for turn in turns)
        cells = f"{rate:,.0f} | {p50:.2f} | {p99:.2f}"
        rows.append(f"| {workload.title} | {titles[name]} | {cells} | {compared} |")
    return rows


def write(text: str, section: str, page: Path = PAGE) -> None:
    """Put the text, in lines of 100 characters, between a section's markers.

    Make the page if there is none.
    """
    begin_mark, end_mark = (f"<!-- {section}:{end} -->" for end in ("begin", "end"))
    page.parent.mkdir(exist_ok=True)
    if not page.exists():
        page.write_text(_INTRODUCTION + "".join(map(_empty, (SERVING, LIVE, SIGNAL, HOSTILE))))
    before, begin, rest = page.read_text().partition(begin_mark)
    _, end, after = rest.partition(end_mark)
    if not begin or not end:
        raise ValueError(f"{page} has lost its markers: put {begin_mark} and {end_mark} back.")
    page.write_text(f"{before}{begin}\n{_wrapped(text)}\n{end}{after}")


def _wrapped(text: str) -> str:
    """Break long lines; a row of a table stays whole."""
    return "\n".join(map(_wrapped_line, text.splitlines()))


def _wrapped_line(line: str) -> str:
    if line.startswith("|"):
        return line
    indent = "  " if line.startswith("- ") else ""
    return fill(line, _WIDTH, subsequent_indent=indent, break_on_hyphens=False)


def _empty(section: str) -> str:
    return f"\n<!-- {section}:begin -->\n<!-- {section}:end -->\n"
