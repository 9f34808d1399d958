"""What happened in chaos: what was sent and answered, the log, the lists, what watchers heard.

Each request goes by a name of its own. It is sent as ``userId``, so the log tells whose each entry
is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Row = Mapping[str, Any]
Entry = Mapping[str, Any]
"""An entry of the log, as the feed gives it."""

Operation = Literal["CREATE", "UPDATE", "DELETE", "RESTORE"]
Fate = Literal["done", "unchanged", "refused", "unknown"]


@dataclass(frozen=True)
class Write:
    """What one request wanted of one row, and what became of it.

    ``values`` holds, by wire name, what it set of its own will: an echo in a form is none. ``seen``
    is the version it started from, or those of the fields; ``version`` the one it restores.
    ``uuid`` is None where the server was to choose and nobody heard what it chose.
    """

    name: str
    collection: str
    operation: Operation
    uuid: str | None
    fate: Fate
    values: Mapping[str, Any] = field(default_factory=dict)
    seen: int | Mapping[str, int] | None = None
    answer: Row | None = None
    version: int | None = None


@dataclass
class History:
    """One show's run from its beginning.

    ``log`` is the feed; ``feeds`` the same as it was read elsewhere and in other pages; ``lists``
    the rows by collection as each process gives them; ``heard`` what each watcher got, in its
    order: ``seq``, the ``key`` of the row, and the ``row`` or the whole ``entry``. ``faults`` are
    answers that nobody must ever get, in words.
    """

    writes: list[Write] = field(default_factory=list)
    log: list[Any] = field(default_factory=list)
    feeds: dict[str, list[Any]] = field(default_factory=dict)
    lists: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    heard: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
