"""Shows for tests of the signal flow: small ones by hand, random ones, and the sample."""

from collections.abc import Mapping
from itertools import count
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from hypothesis import strategies as st
from pydantic_core import from_json

from app.settings import PROJECT
from app.shows.signal_reading import show_kinds
from app.signal.answers.impact import impact
from app.signal.answers.show_signal import ShowSignal
from app.signal.answers.things import SignalThing, find_thing
from app.signal.answers.trace import TraceDirection, trace
from app.signal.checks.report import DEFAULT_RULES
from app.signal.checks.rule_table import RuleTable

Members = dict[str, Any]
Document = dict[str, list[Members]]


def uuid_of(label: str) -> str:
    return str(uuid5(NAMESPACE_URL, label))


class ShowBuilder:
    """Rows in wire form, whose uuids are made of their labels."""

    def __init__(self) -> None:
        self.show: Document = {kind.member: [] for kind in show_kinds()}
        self._numbers = count(1)

    def row(self, member: str, label: str, **members: Any) -> "ShowBuilder":
        self.show[member].append({"uuid": uuid_of(label), "id": label, **members})
        return self

    def source(self, label: str, connector: str = "SDI", **members: Any) -> "ShowBuilder":
        output = {"uuid": uuid_of(f"{label}-OUT1"), "id": f"{label}-OUT1", "connector": connector}
        raster = {"hRes": 1920, "vRes": 1080, "rate": 59.94}
        return self.row("sources", label, outputs=[output], **{**raster, **members})

    def port(self, device: str, label: str, direction: str, **members: Any) -> "ShowBuilder":
        own = {"deviceUuid": uuid_of(device), "portLabel": label, "direction": direction}
        sdi = {"ioType": "3G-SDI", "signalFamily": "SDI", "linkClass": "3G"}
        return self.row("devicePorts", f"{device} {direction} {label}", **own, **{**sdi, **members})

    def matrix(self, member: str, label: str, inputs: int, outputs: int) -> "ShowBuilder":
        self.row(member, label)
        for number in range(1, inputs + 1):
            self.port(label, f"IN {number}", "INPUT")
        for number in range(1, outputs + 1):
            self.port(label, f"OUT {number}", "OUTPUT")
        return self

    def path(self, *stops: Any, label: str = "", **members: Any) -> "ShowBuilder":
        """Add a connection whose free list names its stops."""
        label = label or f"CON {next(self._numbers)}"
        return self.row("connections", label, signalPath=list(stops), **members)

    def connect(
        self, source: str, destination: str, *, between: str = "", enters: str | None = None,
        leaves: str | None = None, label: str = "", **members: Any,
    ) -> "ShowBuilder":  # fmt: skip
        """Add a connection of the older members."""
        label = label or f"CON {next(self._numbers)}"
        middle = {
            "intermediateUuid": uuid_of(between), "intermediateInput": enters,
            "intermediateOutput": leaves,
        }  # fmt: skip
        return self.row(
            "connections", label, destinationUuid=uuid_of(destination),
            **({"sourceUuid": uuid_of(source)} if source else {}),
            **(middle if between else {}), **members,
        )  # fmt: skip

    def signal(self, table: RuleTable = DEFAULT_RULES) -> ShowSignal:
        return ShowSignal(self.show, show_kinds(), 7, table)


def stop(device: str, enters: str | None = None, leaves: str | None = None) -> Members:
    return {"device": device, "input": enters, "output": leaves}


def thing(signal: ShowSignal, label: str) -> SignalThing:
    found = find_thing(signal.graph, uuid_of(label))
    assert found is not None, label
    return found


def traced(signal: ShowSignal, label: str, direction: TraceDirection = "upstream") -> Members:
    return trace(signal, thing(signal, label), direction)


def impact_of(signal: ShowSignal, *labels: str) -> dict[str, list[str]]:
    answer = impact(signal, [thing(signal, label) for label in labels])
    return {
        name: [ref["label"] for ref in answer[name]] for name in ("dark", "secondPath", "cameras")
    }


def codes(signal: ShowSignal) -> list[str]:
    return sorted({problem.code for problem in signal.problems if problem.severity != "info"})


def sample() -> Document:
    """Return the sample show as it would be stored, with uuids."""
    document: Mapping[str, Any] = from_json((PROJECT / "app/sample/show.json").read_bytes())
    lists = {name: rows for name, rows in document.items() if isinstance(rows, list)}
    return {
        name: [{"uuid": uuid_of(f"{name} {row['id']}"), **row} for row in rows]
        for name, rows in lists.items()
    }


@st.composite
def random_shows(draw: st.DrawFn) -> ShowBuilder:
    """Draw a show of few devices with paths between them, loops and shared ports included."""
    builder = ShowBuilder()
    origins = [f"SRC {n}" for n in range(1, draw(st.integers(1, 3)) + 1)]
    matrices = [f"RTR {n}" for n in range(1, draw(st.integers(0, 3)) + 1)]
    sinks = [f"DST {n}" for n in range(1, draw(st.integers(1, 3)) + 1)]
    for label in origins:
        builder.source(label)
    for label in matrices:
        builder.matrix("routers", label, 2, 2)
    for label in sinks:
        builder.row("sends", label, hRes=1920, vRes=1080, rate=59.94)
    builder.row("cableSnakes", "SNAKE 1", model="50' SDI 3 x 3")
    ports = st.sampled_from([None, "1", "2"])
    for _ in range(draw(st.integers(0, 7))):
        stops: list[Any] = [draw(st.sampled_from([*origins, *matrices]))]
        for label in draw(st.lists(st.sampled_from([*matrices, "SNAKE 1"]), max_size=3)):
            number = draw(ports)
            if label == "SNAKE 1":
                stops.append({"device": label, "channel": int(number) if number else None})
            else:
                other = draw(ports)
                stops.append(stop(label, number and f"IN {number}", other and f"OUT {other}"))
        builder.path(*stops, draw(st.sampled_from([*matrices, *sinks])))
    return builder
