"""Where a writer works: what it last saw of a show, how it sends its writes, what it notes of each.

Few rows are edited by many, so that writes meet.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any, Final
from uuid import UUID

import httpx

from app.entities import discovered
from app.model.secret_fields import secret_members
from tests.support.bodies import SCOPED, minimal, optional
from tests.support.recorded import Fate, History, Write
from tests.support.senders import Sender

Row = dict[str, Any]
FEW: Final = 5  # rows of a collection that everybody edits
_ENDS: Final = {"sourceOutputId", "intermediateId", "destinationId", "deviceId", "deviceType"}
_TEXTS: Final = {
    kind.collection: [
        *(
            m
            for m, word in optional(kind).items()
            if word == "str" and m not in _ENDS | secret_members(kind)  # the log has no secrets
        ),
        *(m for m, value in minimal(kind).items() if value == "A name"),
    ]
    for kind in discovered().values()
}


def texts(collection: str) -> list[str]:
    """Return the members of a row that take any text, few enough that writers meet in them."""
    return _TEXTS[collection][:4]


class Desk:
    """One person's desk, with everything as it was last seen.

    ``show`` is the production and ``rows`` are those of each collection. ``gone`` is what was
    deleted, ``keyed`` each POST with its answer.
    """

    def __init__(self, name: str, show: Row, sender: Sender, history: History) -> None:
        self.name, self.show, self.sender, self.history = name, show, sender, history
        self.random: Random = sender.random
        self.rows: dict[str, dict[str, Row]] = {kind.collection: {} for kind in SCOPED}
        self.gone: list[tuple[str, str]] = []
        self.keyed: list[tuple[str, Any, str, httpx.Response]] = []
        self._count = 0

    async def look(self, collection: str = "") -> None:
        """See what is there now."""
        for kind in SCOPED:
            if collection in {"", kind.collection}:
                path = f"/api/{kind.collection}/production/{self.show['uuid']}"
                listed = await self.sender.ask(path)
                self.rows[kind.collection] = {row["uuid"]: row for row in listed}
        self.show = await self.sender.ask(f"/api/productions/{self.show['uuid']}")

    # How it is sent and noted

    async def _post(
        self,
        name: str,
        collection: str,
        uuid: str | None,
        members: Row,
        values: Row,
        times: int = 1,
    ) -> None:
        """Make a row; under a key where it is sent several ``times``, without one where 0."""
        body = members | {"userId": name, "userName": self.name}
        path = f"/api/{collection}"
        if times == 0 or (times == 1 and self.random.random() < 0.5):
            answer = await self.sender.send("POST", path, body, name=name)
        else:
            answer, *others = await asyncio.gather(
                *(self._keyed(path, body, name) for _ in range(times))
            )
            if any(other and answer and other.text != answer.text for other in others):
                self.history.faults.append(f"TWO OUTCOMES: {name} under one key")
        write = Write(name, collection, "CREATE", uuid, fate_of(answer), values)
        self._record(self._answered(write, answer))

    async def _keyed(self, path: str, body: Any, name: str) -> httpx.Response | None:
        """Post under a key, until it is known what became of it."""
        answer = await self.sender.send("POST", path, body, name=name, key=name)
        if answer is not None:
            self.keyed.append((path, body, name, answer))
        return answer

    async def _put(
        self,
        name: str,
        collection: str,
        row: Row,
        values: Row,
        start: Mapping[str, Any],
        form: Row | None = None,
    ) -> None:
        path = f"/api/{collection}/{row['uuid']}"
        body = {**(form or {}), **values, **start, "userId": name, "userName": self.name}
        body.pop("lastModifiedBy", None)
        method = self.random.choice(["PUT", "PATCH"])
        answer = await self.sender.send(method, path, body, name=name)
        seen = start.get("version", start.get("fieldVersions"))
        if isinstance(seen, Mapping):
            seen = {member: told["version"] for member, told in seen.items()}
        # What equals the value that one started from is an echo, and asks for nothing.
        own = {m: value for m, value in values.items() if not start or row.get(m) != value}
        write = Write(name, collection, "UPDATE", row["uuid"], fate_of(answer), own, seen)
        self._record(self._answered(write, answer))
        if answer is not None and answer.status_code == 409:
            await self.look(collection if collection != "productions" else "none")
        elif answer is not None and answer.status_code == 404:
            self._forget(collection, row["uuid"])

    def _answered(self, write: Write, answer: httpx.Response | None) -> Write:
        """Note the row of an answer, and whether it was written."""
        if answer is None or answer.status_code not in {200, 201}:
            return write
        row = answer.json()
        if write.collection == "productions":
            self.show = row
        else:
            self.rows[write.collection][row["uuid"]] = row
        ours = row["lastModifiedBy"] == write.name
        fate: Fate = "done" if ours else "unchanged"
        return replace(write, fate=fate, uuid=row["uuid"], answer=row)

    def _record(self, write: Write) -> None:
        self.history.writes.append(write)

    def _next(self) -> str:
        self._count += 1
        return f"{self.name}-{self._count}"

    def _forget(self, collection: str, uuid: str) -> None:
        if self.rows.get(collection, {}).pop(uuid, None):
            self.gone.append((collection, uuid))

    # What it edits

    def _any_row(self, *, own: bool = True) -> tuple[str, Row]:
        """Choose a row that others edit too; the show's own where there is none."""
        known = [c for c, rows in self.rows.items() if rows]
        if not known or (own and self.random.random() < 0.05):
            return "productions", self.show
        collection = self.random.choice(known)
        return collection, self.random.choice(list(self.rows[collection].values())[:FEW])

    def _row(self, collection: str) -> Row | None:
        few = list(self.rows[collection].values())[:FEW]
        return self.random.choice(few) if few else None

    def _texts(self, collection: str, name: str) -> Row:
        members = texts(collection)
        chosen = self.random.sample(members, self.random.choice([1, 1, 2]))
        return {member: f"{member} by {name}" for member in chosen}

    def _ends(self) -> Row:
        source, send = self._row("sources"), self._row("sends")
        ends: Row = {"sourceUuid": source["uuid"]} if source else {}
        return ends | ({"destinationType": "SEND", "destinationUuid": send["uuid"]} if send else {})

    def _uuid(self) -> str:
        return str(UUID(int=self.random.getrandbits(128), version=4))


def fate_of(answer: httpx.Response | None) -> Fate:
    """Return the fate of a write by its answer."""
    if answer is None:
        return "unknown"
    return "done" if answer.status_code < 400 else "refused"


def as_told(write: Write, status: str, row: Row | None) -> Write:
    """Note what became of one of several writes of a request."""
    if status in {"failed", "undone", "conflict", "rejected"}:
        return replace(write, fate="refused")
    ours = row is None or row["lastModifiedBy"] == write.name
    fate: Fate = "done" if ours and status != "unchanged" else "unchanged"
    return replace(write, fate=fate, answer=row)


def mutation(write: Write) -> Row:
    """Return a write as a batch has it."""
    start = {} if write.seen is None else {"version": write.seen}
    data = {} if write.operation == "DELETE" else {**write.values}
    return {
        "mutationId": write.name,
        "op": write.operation.lower(),
        "collection": write.collection,
        "uuid": write.uuid,
        "data": data | {"userId": write.name},
        **start,
    }
