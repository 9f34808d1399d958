"""What a connection's path is made of, once it is read."""

from dataclasses import dataclass
from typing import NamedTuple

from app.signal.graph.elements import GraphDevice


@dataclass(slots=True)
class PathStop:
    """A device on the path: by which input the signal enters it, and by which output it leaves.

    ``channel`` is that of a snake. What has no device is ``typed`` by hand, is ``missing`` where it
    was deleted, and is ``listed`` where only the free list of the path names it. ``metres`` is the
    length of the leg that leads to it, where one states it.
    """

    device: GraphDevice | None
    typed: str = ""
    enters: str | None = None
    leaves: str | None = None
    channel: int | None = None
    is_missing: bool = False
    is_listed: bool = False
    metres: float | None = None


class ConnectionPath(NamedTuple):
    """The stops of a connection in order, and the devices that it names in vain, by member."""

    stops: list[PathStop]
    missing: dict[str, str]
