"""What is asked of the servers: one entry in WORKLOADS for each kind of request."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from scripts.benchmarks.show import Show

NUMBER: Final = "{n}"
"""Stands in a body for a number that is never sent twice."""


@dataclass(frozen=True)
class Traffic:
    """Requests as a load generator sends them: the paths in turn, for ever."""

    method: str
    paths: tuple[str, ...]
    body: str | None = None


@dataclass(frozen=True)
class Workload:
    """One kind of request; ``title`` stands in the report.

    A turn lasts ``stretch`` times as long as the others', where an answer takes its time.
    """

    name: str
    title: str
    paths: Callable[[Show], tuple[str, ...]]
    method: str = "GET"
    body: Callable[[Show], Mapping[str, object]] | None = None
    stretch: int = 1

    @property
    def writes(self) -> bool:
        """Whether it changes rows, which are then put back before each turn."""
        return self.method != "GET"

    def traffic(self, show: Show) -> Traffic:
        """Give the requests for the seeded rows."""
        body = json.dumps(self.body(show)) if self.body else None
        return Traffic(self.method, self.paths(show), body)


def _list(production: str) -> tuple[str, ...]:
    return (f"/api/cameras/production/{production}",)


def _each(cameras: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"/api/cameras/{uuid}" for uuid in cameras)


WORKLOADS: Final = (
    Workload("list-20", "list of 20 cameras", lambda show: _list(show.small)),
    Workload("list-500", "list of 500 cameras", lambda show: _list(show.large), stretch=2),
    Workload("get", "one camera by uuid", lambda show: _each(show.cameras)),
    Workload(
        "create",
        "create a camera",
        lambda show: ("/api/cameras",),
        method="POST",
        body=lambda show: {
            "productionId": show.scratch_label,
            "id": f"CAM {NUMBER}",
            "name": "LONG LENS CENTER",
            "maxZoom": 86,
        },
    ),
    Workload(
        "update",
        "change one field",
        lambda show: _each(show.scratch_cameras),
        method="PATCH",
        body=lambda show: {"note": f"Moved {NUMBER} times."},
    ),
)
