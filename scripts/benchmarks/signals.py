"""The signal flow of generated shows, one ten times the other: build, checks, trace and impact.

Times are those of the processor, so another process beside it does not count.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from random import Random
from statistics import median
from time import process_time
from typing import Any, Final, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from app.shows.signal_reading import show_kinds
from app.signal.answers.impact import impact
from app.signal.answers.show_signal import ShowSignal
from app.signal.answers.things import find_thing
from app.signal.answers.trace import trace
from scripts.benchmarks import machine

PART: Final = "signal"
_TIMES: Final = 5
_ASKED: Final = 20
_PORTS: Final = 16
_LAYERS: Final = 3

Show = dict[str, list[dict[str, Any]]]
Say = Callable[[str], None]


class Size(NamedTuple):
    """How much there is of a show."""

    devices: int
    connections: int
    snakes: int


class Times(NamedTuple):
    """Milliseconds of the processor: medians, and of trace and impact also the most."""

    build: float
    checks: float
    trace: float
    most_trace: float
    impact: float
    most_impact: float


SIZES: Final = (Size(200, 500, 20), Size(2_000, 5_000, 200))
BARS: Final = Times(1_000, 1_000, 50, 50, 50, 50)
"""What the larger show may take, in milliseconds."""


def measured(say: Say) -> str:
    """Return the table of both shows, and which bars are met."""
    results = []
    for size in SIZES:
        say(f"signal flow of {size.devices:,} devices …")
        results.append(_times(generated(size)))
    small, large = results
    lines = [
        f"`scripts/bench --only {PART}`: medians of {_TIMES} builds, {_ASKED} questions.",
        "",
        machine.described("", "")[0],
        "",
        "### Signal flow",
        "",
        f"| milliseconds of CPU | {' | '.join(map(_described, SIZES))} | times |",
        "|---|--:|--:|--:|",
    ]
    for name, one, other in zip(Times._fields, small, large, strict=True):
        ratio = other / one if one else 0
        lines.append(f"| {name.replace('_', ' ')} | {one:.1f} | {other:.1f} | {ratio:.1f} |")
    verdicts = (
        f"- {name.replace('_', ' ')} of the larger show, at most {bar:,.0f} ms: {value:,.1f} ms, "
        f"{'met' if value <= bar else '**MISSED**'}."
        for name, value, bar in zip(Times._fields, large, BARS, strict=True)
    )
    return "\n".join([*lines, "", *verdicts])


def _described(size: Size) -> str:
    return f"{size.devices:,} devices, {size.connections:,} connections, {size.snakes:,} snakes"


def _times(show: Show) -> Times:
    builds, checks = zip(*(_build(show) for _ in range(_TIMES)), strict=True)
    signal = ShowSignal(show, show_kinds(), 1)
    assert signal.problems_at
    gc.collect()  # what the builds left is not the questions' to clear away
    traces = list(_each(signal, show["sends"], lambda one: trace(signal, one, "upstream")))
    impacts = list(_each(signal, show["routers"], lambda one: impact(signal, [one])))
    return Times(
        median(builds), median(checks), median(traces), max(traces), median(impacts), max(impacts)
    )


def _build(show: Show) -> tuple[float, float]:
    """Return how long it takes to build a graph, and to check it."""
    milliseconds, signal = _timed(lambda: ShowSignal(show, show_kinds(), 1))
    return milliseconds, _timed(lambda: signal.problems)[0]


def _each(
    signal: ShowSignal, rows: Sequence[dict[str, Any]], ask: Callable[[Any], Any]
) -> Iterator[float]:
    for row in rows[:: max(1, len(rows) // _ASKED)]:
        thing = find_thing(signal.graph, row["uuid"])
        yield _timed(lambda: ask(thing))[0]  # noqa: B023  # called at once


def _timed(ask: Callable[[], Any]) -> tuple[float, Any]:
    start = process_time()
    value = ask()
    return (process_time() - start) * 1_000, value


def generated(size: Size) -> Show:
    """Return a show of sources and cameras, three layers of routers, and sends, the same always."""
    show: Show = {kind.member: [] for kind in show_kinds()}
    share = size.devices // 10
    for number in range(1, 3 * share + 1):
        output = {"id": f"SRC {number}-OUT1", "connector": "SDI"}
        raster = {"hRes": 1920, "vRes": 1080, "rate": 59.94}
        _add(show, "sources", f"SRC {number}", outputs=[output], **raster)
        _add(show, "sends", f"DST {number}", **raster)
    for number in range(1, share // 2 + 1):
        _add(show, "ccus", f"CCU {number}", formatMode="1080p59.94", referenceInput="TRI-LEVEL")
        _add(show, "cameras", f"CAM {number}", ccuId=f"CCU {number}", smpteCableLength=250)
    for number in range(1, 3 * share + 1):
        _add_router(show, f"RTR {number}")
    for number in range(1, size.snakes + 1):
        _add(show, "cableSnakes", f"SNAKE {number}", model="150' SDI 16 x 16")
    _add_connections(show, size)
    return show


def _add(show: Show, member: str, label: str, **members: Any) -> dict[str, Any]:
    row = {"uuid": str(uuid5(NAMESPACE_URL, f"{member} {label}")), "id": label, **members}
    show[member].append(row)
    return row


def _add_router(show: Show, label: str) -> None:
    router = _add(show, "routers", label)
    for direction, words in (("INPUT", "IN"), ("OUTPUT", "OUT")):
        for number in range(1, _PORTS + 1):
            _add(
                show, "devicePorts", f"{label} {words} {number}", deviceUuid=router["uuid"],
                direction=direction, portLabel=f"{words} {number}", ioType="3G-SDI",
                signalFamily="SDI", linkClass="3G",
            )  # fmt: skip


def _add_connections(show: Show, size: Size) -> None:
    random, channels = Random(7), count()  # noqa: S311  # the same show always
    routers = [row["id"] for row in show["routers"]]
    layer = len(routers) // _LAYERS
    inputs: list[list[str]] = [[] for _ in range(_LAYERS)]
    for number in range(size.connections):
        depth = number * (_LAYERS + 1) // size.connections
        if depth == 0:
            start: Any = f"SRC {random.randrange(len(show['sources'])) + 1}"
        else:
            router, port = random.choice(inputs[depth - 1]).split("|")
            leaves = f"OUT {random.randrange(_PORTS) + 1}"
            start = {"device": router, "input": port, "output": leaves}
        stops = [start]
        if number % 2 and (ridden := next(channels)) < size.snakes * _PORTS:
            stops.append(f"SNAKE {ridden // _PORTS + 1} CH {ridden % _PORTS + 1}")
        if depth == _LAYERS:
            end: Any = f"DST {random.randrange(len(show['sends'])) + 1}"
        else:
            router = routers[depth * layer + random.randrange(layer)]
            port = f"IN {random.randrange(_PORTS) + 1}"
            inputs[depth].append(f"{router}|{port}")
            end = {"device": router, "input": port}
        _add(show, "connections", f"CON {number + 1}", signalPath=[*stops, end])
