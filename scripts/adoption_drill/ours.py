"""A writer of ours: every entity type, through the service, as the frontend does."""

import asyncio
from itertools import count
from typing import Any, Final

import httpx

from app.entities import discovered
from app.model.entity import Entity, Row
from scripts.adoption_drill.timings import Board, Timings, message, number_in
from tests.support.bodies import SCOPED, full

_ROOM: Final = 8
_REFERENCES: Final = {"cameras": ("ccuUuid", "ccus"), "connections": ("sourceUuid", "sources")}
Answer = dict[str, Any]


class OurWriter:
    """Writes in a production of its own, and keeps every answer to compare with in the end.

    Until the contracts a label is one across all productions, so each is given, and a new one.
    """

    def __init__(self, number: int, origin: str, timings: Timings, board: Board) -> None:
        self.who = f"ours {number}"
        self._origin, self._timings, self._board = origin, timings, board
        self.rows: dict[str, tuple[str, Answer | None]] = {}
        """The last answer for each uuid, with its collection; None when deleted."""
        self.production: Answer = {}
        self._numbers = count(1)
        self._kept: dict[str, list[str]] = {entity.collection: [] for entity in SCOPED}
        self._named: dict[str, str] = {}
        """A row of each type that others name; never deleted, since that would change them."""

    async def run(self, stop: asyncio.Event, pause: float) -> None:
        """Write and read until told to stop. Ends at the first failure, which is noted."""
        async with httpx.AsyncClient(base_url=f"{self._origin}/api", timeout=60) as self._client:
            self.production = await self._create("productions", id=self.who, name="A show of ours")
            signal = await self._create("cameras", id=f"{self.who} message", name=message(0))
            for _, parent in _REFERENCES.values():
                body = self._body(discovered()[parent])
                self._named[parent] = (await self._create(parent, **body))["uuid"]
            while not stop.is_set():
                for entity in SCOPED:
                    await self._round(entity)
                    await asyncio.sleep(pause)
                number = next(self._numbers)
                await self._update("cameras", signal["uuid"], name=message(number))
                self._board.last[self.who] = number
                await self._update("productions", self.production["uuid"], venue=f"hall {number}")
                await self._see()

    async def faults(self) -> list[str]:
        """Ask for every row again, and give what is not as it was answered last."""
        found = []
        async with httpx.AsyncClient(base_url=f"{self._origin}/api", timeout=60) as client:
            for uuid, (collection, answer) in self.rows.items():
                got = await client.get(f"/{collection}/{uuid}")
                if answer is None and got.status_code != 404:
                    found.append(f"{self.who}: {collection} {uuid} was deleted and is there")
                elif answer is not None and (got.status_code != 200 or got.json() != answer):
                    found.append(f"{self.who}: {collection} {uuid} is {got.text}, not {answer}")
        return found

    async def _round(self, entity: type[Row]) -> None:
        collection, kept = entity.collection, self._kept[entity.collection]
        made = await self._create(collection, **self._body(entity))
        kept.append(made["uuid"])
        edited = kept[len(kept) // 2]
        await self._update(collection, edited, note=f"note {next(self._numbers)} é")
        with self._timings.timed(self.who, f"get {collection}"):
            got = _read(await self._client.get(f"/{collection}/{edited}"), 200)
            if got != self.rows[edited][1]:
                raise AssertionError(f"{got} is not {self.rows[edited][1]}")
        with self._timings.timed(self.who, f"list {collection}"):
            path = f"/{collection}/production/{self.production['uuid']}"
            listed = {row["uuid"] for row in _read(await self._client.get(path), 200)}
            if not listed.issuperset(kept):
                raise AssertionError(f"the list of {collection} lacks rows")
        if len(kept) > _ROOM:
            await self._delete(collection, kept.pop(0))

    def _body(self, entity: type[Row]) -> Answer:
        body = full(entity, id=f"{self.who} {entity.prefix} {next(self._numbers)}")
        member, parent = _REFERENCES.get(entity.collection, ("", ""))
        if parent in self._named:
            body[member] = self._named[parent]
        return body

    async def _create(self, collection: str, **body: Any) -> Answer:
        if issubclass(discovered()[collection], Entity):
            body["productionId"] = self.production["uuid"]
        with self._timings.timed(self.who, f"create {collection}"):
            answer: Answer = _read(await self._client.post(f"/{collection}", json=body), 201)
        self.rows[answer["uuid"]] = (collection, answer)
        return answer

    async def _update(self, collection: str, uuid: str, **changes: Any) -> None:
        known = self.rows[uuid][1] or {}
        with self._timings.timed(self.who, f"update {collection}"):
            body = changes | {"version": known["version"]}
            answer = _read(await self._client.put(f"/{collection}/{uuid}", json=body), 200)
            if answer["version"] != known["version"] + 1:
                raise AssertionError(f"version {answer['version']} after {known['version']}")
        self.rows[uuid] = (collection, answer)

    async def _delete(self, collection: str, uuid: str) -> None:
        with self._timings.timed(self.who, f"delete {collection}"):
            _read(await self._client.delete(f"/{collection}/{uuid}"), 200)
        self.rows[uuid] = (collection, None)

    async def _see(self) -> None:
        """Read what the older service wrote last, by its label."""
        for who, last in self._board.of("older").items():
            with self._timings.timed(self.who, f"see what {who} wrote last"):
                row = _read(await self._client.get(f"/cameras/{who} message"), 200)
                if number_in(row["name"]) < last:
                    raise AssertionError(f"{row['name']} in place of {message(last)}")
            self._board.read["ours reads older"] += 1


def _read(answer: httpx.Response, status: int) -> Any:
    if answer.status_code != status:
        raise AssertionError(f"{answer.status_code} in place of {status}: {answer.text[:500]}")
    return answer.json()
