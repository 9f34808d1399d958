"""Every POST of every entity type, each ready to be sent: a path and a body that will be taken."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx

from app.model.entity import Entity, Row
from tests.support.bodies import ALL, minimal
from tests.support.offline import changing, making
from tests.support.service import created

_OF_A_SHOW: Final = ("bulk", "bulk each", "renumber")


@dataclass(frozen=True)
class Post:
    """What is posted, to which type, under which of its mounts."""

    entity: type[Row]
    mount: str
    kind: str

    @property
    def writes(self) -> int:
        """How many entries the log has after it."""
        return 2 if self.kind in {"bulk", "bulk each", "sync"} else 1

    def __str__(self) -> str:
        return f"{self.mount} {self.kind}"

    def ready(self, client: httpx.Client, show: dict[str, Any]) -> tuple[str, Any]:
        """Return its path and body, which has a word too many; make in the show what it needs."""
        path = f"/api/{self.mount}"
        if self.kind == "create":
            body = minimal(self.entity) | _in(self.entity, show)
            return path, body | {"hint": 1}
        row = created(
            client, self.entity.collection, **minimal(self.entity), **_in(self.entity, show)
        )
        note = "note" if issubclass(self.entity, Entity) else "venue"
        if self.kind == "restore":
            edit = {note: "Another", "version": 1}
            client.put(f"{path}/{row['uuid']}", json=edit).raise_for_status()
            return f"{path}/{row['uuid']}/restore", {"version": 1, "hint": 1}
        path = f"/api/productions/{show['uuid']}/{self.mount}"
        if self.kind == "sync":
            mutations = [making(self.entity), changing(self.entity, row["uuid"], 1, note="Another")]
            whole = {"mutations": mutations, "clientId": "A laptop", "since": 0, "hint": 1}
            return f"/api/productions/{show['uuid']}/sync", whole
        if self.kind == "renumber":
            return f"{path}/renumber", {"prefix": "NEW", "hint": 1}
        update = {"op": "update", "key": row["uuid"], "data": {note: "Another"}}
        create = {"op": "create", "data": minimal(self.entity)}
        body = {"operations": [create, update], "atomic": self.kind == "bulk", "hint": 1}
        return f"{path}/bulk", body


def _in(entity: type[Row], show: dict[str, Any]) -> dict[str, Any]:
    return {"productionId": show["uuid"]} if issubclass(entity, Entity) else {}


def _posts() -> Iterator[Post]:
    for entity in ALL:
        kinds = _OF_A_SHOW if issubclass(entity, Entity) else ()
        for mount in (entity.collection, *entity.path_aliases):
            for kind in ("create", "restore", *kinds):
                yield Post(entity, mount, kind)
        if kinds:
            yield Post(entity, entity.collection, "sync")


POSTS: Final = tuple(_posts())
# One of each kind, of a type that lives in a show, and those of shows themselves.
OF_EACH_KIND: Final = tuple(post for post in POSTS if post.mount in {"cameras", "productions"})
