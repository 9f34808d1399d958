"""A writer of our service: every entity type over HTTP, as the frontend does it."""

import asyncio
from itertools import count
from typing import Any, Final

import httpx

from app.entities import discovered
from app.model.entity import Entity, Row
from scripts.adoption_drill.timings import Board, Timings, message, number_in
from tests.support.bodies import SCOPED, full

_ROWS_EACH: Final = 8
_REFERENCES: Final = {"cameras": ("ccuUuid", "ccus"), "connections": ("sourceUuid", "sources")}
Answer = dict[str, Any]


class OurWriter:
    """Writes in a production of its own, and keeps every answer to compare with in the end.

    Until the contracts a label is unique across all productions, so each row gets a new one.
    """

    def __init__(self, number: int, origin: str, timings: Timings, board: Board) -> None:
        self.who = f"ours {number}"
        self._origin, self._timings, self._board = origin, timings, board
        self.rows: dict[str, tuple[str, Answer | None]] = {}
        """The last answer for each uuid, with its collection; None when deleted."""
        self.production: Answer = {}
        self._numbers = count(1)
        self._uuids: dict[str, list[str]] = {entity.collection: [] for entity in SCOPED}
        self._parents: dict[str, str] = {}
        """A row of each type that others name; never deleted, since others would change with it."""

    async def run(self, stop: asyncio.Event, pause: float) -> None:
        """Write and read until ``stop`` is set, or until the first failure, which is recorded."""
        async with httpx.AsyncClient(base_url=f"{self._origin}/api", timeout=60) as self._client:
            self.production = await self._create("productions", id=self.who, name="A show of ours")
            signal = await self._create("cameras", id=f"{self.who} message", name=message(0))
            for _, parent in _REFERENCES.values():
                body = self._body(discovered()[parent])
                self._parents[parent] = (await self._create(parent, **body))["uuid"]
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
        """Ask for every row again, and return where the answer is not the last one."""
        faults = []
        async with httpx.AsyncClient(base_url=f"{self._origin}/api", timeout=60) as client:
            for uuid, (collection, answer) in self.rows.items():
                answer_now = await client.get(f"/{collection}/{uuid}")
                if answer is None and answer_now.status_code != 404:
                    faults.append(f"{self.who}: {collection} {uuid} was deleted and is there")
                elif answer is not None and (
                    answer_now.status_code != 200 or answer_now.json() != answer
                ):
                    faults.append(
                        f"{self.who}: {collection} {uuid} is {answer_now.text}, not {answer}"
                    )
        return faults

    async def _round(self, entity: type[Row]) -> None:
        collection, uuids = entity.collection, self._uuids[entity.collection]
        created = await self._create(collection, **self._body(entity))
        uuids.append(created["uuid"])
        edited = uuids[len(uuids) // 2]
        await self._update(collection, edited, note=f"note {next(self._numbers)} é")
        with self._timings.timed(self.who, f"get {collection}"):
            row = _read(await self._client.get(f"/{collection}/{edited}"), 200)
            if row != self.rows[edited][1]:
                raise AssertionError(f"{row} is not {self.rows[edited][1]}")
        with self._timings.timed(self.who, f"list {collection}"):
            path = f"/{collection}/production/{self.production['uuid']}"
            listed = {row["uuid"] for row in _read(await self._client.get(path), 200)}
            if not listed.issuperset(uuids):
                raise AssertionError(f"the list of {collection} lacks rows")
        if len(uuids) > _ROWS_EACH:
            await self._delete(collection, uuids.pop(0))

    def _body(self, entity: type[Row]) -> Answer:
        body = full(entity, id=f"{self.who} {entity.prefix} {next(self._numbers)}")
        member, parent = _REFERENCES.get(entity.collection, ("", ""))
        if parent in self._parents:
            body[member] = self._parents[parent]
        return body

    async def _create(self, collection: str, **body: Any) -> Answer:
        if issubclass(discovered()[collection], Entity):
            body["productionId"] = self.production["uuid"]
        with self._timings.timed(self.who, f"create {collection}"):
            answer: Answer = _read(await self._client.post(f"/{collection}", json=body), 201)
        self.rows[answer["uuid"]] = (collection, answer)
        return answer

    async def _update(self, collection: str, uuid: str, **changes: Any) -> None:
        before = self.rows[uuid][1] or {}
        with self._timings.timed(self.who, f"update {collection}"):
            body = changes | {"version": before["version"]}
            answer = _read(await self._client.put(f"/{collection}/{uuid}", json=body), 200)
            if answer["version"] != before["version"] + 1:
                raise AssertionError(f"version {answer['version']} after {before['version']}")
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
