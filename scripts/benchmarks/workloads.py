"""The requests that are measured: one entry in WORKLOADS for each kind.

Workloads of one ``race`` are measured in the same rounds, so that they can be compared. Workloads
of one ``table`` stand together in the report.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from scripts.benchmarks.show import MADE, Show

NUMBER: Final = "{n}"
"""A placeholder in a body for a number that is never sent twice."""
CONNECTIONS: Final = 16
# The lists that the frontend asks for when it opens a show.
SIX: Final = ("sources", "sends", "cameras", "ccus", "cable-snakes", "connections")
_SIX: Final = ",".join(SIX).replace("cable-snakes", "cableSnakes")


@dataclass(frozen=True)
class Traffic:
    """Requests as a load generator sends them: the paths in turn, over and over."""

    method: str
    paths: tuple[str, ...]
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    connections: int = CONNECTIONS


@dataclass(frozen=True)
class Workload:
    """One kind of request; ``title`` stands in the report.

    A turn lasts ``stretch`` times as long as the others', for slow answers. ``requests`` requests
    count as one. A ``conditional`` workload sends the current tag of the answer.
    """

    name: str
    title: str
    race: str
    table: str
    paths: Callable[[Show], tuple[str, ...]]
    method: str = "GET"
    body: Callable[[Show], Mapping[str, object]] | None = None
    stretch: int = 1
    requests: int = 1
    conditional: bool = False
    connections: int = CONNECTIONS

    @property
    def writes(self) -> bool:
        """Whether it changes rows, which are then restored before each turn."""
        return self.method != "GET"

    def traffic(self, show: Show) -> Traffic:
        """Return the requests for the seeded rows."""
        body = json.dumps(self.body(show)) if self.body else None
        return Traffic(self.method, self.paths(show), body, connections=self.connections)


def _lists(*productions: str) -> tuple[str, ...]:
    return tuple(f"/api/cameras/production/{production}" for production in productions)


def _each(cameras: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"/api/cameras/{uuid}" for uuid in cameras)


def _camera(show: Show) -> Mapping[str, object]:
    return {
        "productionId": show.scratch_label,
        "id": f"CAM {NUMBER}",
        "name": "LONG LENS CENTER",
        "maxZoom": 86,
    }


def _note(_: Show) -> Mapping[str, object]:
    return {"note": f"Moved {NUMBER} times."}


_READS, _WRITES, _OPENING, GROWTH = "Reads", "Writes", "Opening a show", "Growth"

WORKLOADS: Final = (
    Workload(
        "list-20", "list of 20 cameras", "list-20", _READS, lambda show: _lists(*show.small)
    ),
    Workload(
        "304", "the same list, unchanged (304)", "list-20", _READS,
        lambda show: _lists(*show.small), conditional=True,
    ),
    Workload(
        "list-500", "list of 500 cameras", "list-500", _READS,
        lambda show: _lists(show.large), stretch=2,
    ),
    Workload("get", "one camera by uuid", "get", _READS, lambda show: _each(show.cameras)),
    Workload(
        "create", "create a camera", "create", _WRITES, lambda show: ("/api/cameras",),
        method="POST", body=_camera,
    ),
    Workload(
        "update", "change one field, one editor", "update", _WRITES,
        lambda show: _each(show.scratch_cameras), method="PATCH", body=_note, connections=1,
    ),
    Workload(
        "editors-1", "change one field, 16 editors on one show", "editors", _WRITES,
        lambda show: _each(show.scratch_cameras), method="PATCH", body=_note,
    ),
    Workload(
        "editors-100", "change one field, 16 editors on 100 shows", "editors", _WRITES,
        lambda show: _each(show.edited), method="PATCH", body=_note,
    ),
    Workload(
        "six-lists", "a show by six lists", "show", _OPENING,
        lambda show: tuple(f"/api/{name}/production/{show.sample}" for name in SIX),
        requests=len(SIX),
    ),
    Workload(
        "eight", "the same rows as /show by eight requests", "show", _OPENING,
        lambda show: (
            f"/api/productions/{show.sample}",
            *(f"/api/{name}/production/{show.sample}" for name in (*SIX, "checklist-items")),
        ),
        requests=len(SIX) + 2,
    ),
    Workload(
        "show", "a show by /show", "show", _OPENING,
        lambda show: (f"/api/productions/{show.sample}/show",),
    ),
    Workload(
        "show-six", "the six lists by /show?collections=", "show", _OPENING,
        lambda show: (f"/api/productions/{show.sample}/show?collections={_SIX}",),
    ),
    Workload(
        "growth-list-20", "list of 20 cameras", "growth", GROWTH,
        lambda show: _lists(*show.small),
    ),
    Workload(
        "growth-get", "one camera by uuid", "growth", GROWTH, lambda show: _each(show.cameras)
    ),
    Workload(
        "growth-create", "create a camera", "growth", GROWTH, lambda show: ("/api/cameras",),
        method="POST", body=_camera,
    ),
    Workload(
        "growth-create-production", "create a production, 4 at once", "growth", GROWTH,
        lambda show: ("/api/productions",), method="POST",
        body=lambda show: {"showName": MADE, "client": f"Client {NUMBER}"},
        connections=4,
    ),
)  # fmt: skip
TITLES: Final = {workload.name: workload.title for workload in WORKLOADS}
RACES: Final = tuple(dict.fromkeys(workload.race for workload in WORKLOADS))
