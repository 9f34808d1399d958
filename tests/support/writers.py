"""Writers of chaos: each edits one show at random, from what it last saw. Values are unique."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any, Final

import httpx

from app.model.entity import Row as Kind
from tests.support.bodies import SCOPED, minimal
from tests.support.desks import FEW, Desk, Row, as_told, fate_of, mutation, texts
from tests.support.recorded import Fate, History, Write
from tests.support.senders import REPLAYED, Sender


class Writer(Desk):
    """One person at work. ``act`` does one thing."""

    def __init__(self, name: str, show: Row, sender: Sender, history: History) -> None:
        super().__init__(name, show, sender, history)
        self._batches: list[tuple[Row, list[Write], httpx.Response]] = []

    async def act(self) -> None:
        """Do one thing at random."""
        kinds, weights = zip(*_DEEDS.items(), strict=True)
        [deed] = self.random.choices(kinds, weights)
        await deed(self)

    async def create(self) -> None:
        """Make a row; often the client chooses its uuid."""
        kind, name = self.random.choice(SCOPED), self._next()
        values = minimal(kind) | {self.random.choice(texts(kind.collection)): f"made by {name}"}
        if kind.collection == "connections":
            values |= self._ends()
        uuid = self._uuid() if self.random.random() < 0.6 else None
        members = values | ({"uuid": uuid} if uuid else {}) | {"productionId": self.show["uuid"]}
        await self._post(name, kind.collection, uuid, members, values)

    async def create_twice(self) -> None:
        """Send one creation to two processes at once, under one key."""
        kind, name = self.random.choice(SCOPED), self._next()
        values = minimal(kind)
        await self._post(
            name, kind.collection, None, values | {"productionId": self.show["uuid"]}, values, 2
        )

    async def create_crowd(self) -> None:
        """Send several creations at once: the server must give each a label of its own."""
        kind = self.random.choice(SCOPED)
        values = minimal(kind)
        members = values | {"productionId": self.show["uuid"]}
        names = [self._next() for _ in range(4)]
        await asyncio.gather(
            *(self._post(name, kind.collection, None, members, values, 0) for name in names)
        )

    async def edit(self) -> None:
        """Change one or two members, saying what it started from in one way or the other."""
        collection, row = self._any_row()
        name = self._next()
        values = self._texts(collection, name)
        start = {"version": row["version"]}
        if row["fieldVersions"] and self.random.random() < 0.4:
            start = {"fieldVersions": row["fieldVersions"]}
        await self._put(name, collection, row, values, start)

    async def edit_form(self) -> None:
        """Change one member and send the whole row back, as forms do."""
        collection, row = self._any_row()
        name = self._next()
        values = self._texts(collection, name)
        await self._put(name, collection, row, values, {"version": row["version"]}, form=row)

    async def edit_blindly(self) -> None:
        """Change something without saying what it started from."""
        collection, row = self._any_row(own=False)
        name = self._next()
        await self._put(name, collection, row, self._texts(collection, name), {})

    async def edit_show(self) -> None:
        """Change the production itself."""
        name = self._next()
        values = self._texts("productions", name)
        start = {"version": self.show["version"]}
        await self._put(name, "productions", self.show, values, start)

    async def edit_outputs(self) -> None:
        """Change, add or remove an output of a source."""
        row = self._row("sources")
        if row is None:
            return await self.create()
        name, outputs = self._next(), [dict(output) for output in row["outputs"]]
        chosen = self.random.randrange(len(outputs) + 1)
        if chosen == len(outputs):
            outputs.append({"uuid": self._uuid(), "connector": f"SDI of {name}"})
        elif self.random.random() < 0.25:
            del outputs[chosen]
        else:
            outputs[chosen]["connector"] = f"HDMI of {name}"
        start = {"version": row["version"]}
        return await self._put(name, "sources", row, {"outputs": outputs}, start)

    async def link(self) -> None:
        """Plug a camera into a CCU, or out."""
        camera, ccu = self._row("cameras"), self._row("ccus")
        if camera is None:
            return await self.create()
        to = ccu["uuid"] if ccu and self.random.random() < 0.8 else None
        start = {"version": camera["version"]}
        return await self._put(self._next(), "cameras", camera, {"ccuUuid": to}, start)

    async def rename(self) -> None:
        """Return a device another label; what is linked to it shows it."""
        collection = self.random.choice(["ccus", "ccus", "sources", "sends"])
        row = self._row(collection)
        if row is None:
            return await self.create()
        name = self._next()
        start = {"version": row["version"]}
        return await self._put(name, collection, row, {"id": f"LABEL {name}"}, start)

    async def tick(self) -> None:
        """Tick a checklist item off, or not."""
        row = self._row("checklist-items")
        if row is None:
            return await self.create()
        values, start = {"completed": not row["completed"]}, {"version": row["version"]}
        return await self._put(self._next(), "checklist-items", row, values, start)

    async def delete(self) -> None:
        """Delete a row."""
        collection, row = self._any_row(own=False)
        name, uuid = self._next(), row["uuid"]
        path = f"/api/{collection}/{uuid}"
        answer = await self.sender.send("DELETE", path, {"userId": name}, name=name)
        self._record(Write(name, collection, "DELETE", uuid, fate_of(answer)))
        self._forget(collection, uuid)

    async def restore(self) -> None:
        """Bring back what was deleted, or a row as it was once."""
        name = self._next()
        body: dict[str, Any] = {"userId": name}
        if self.gone and self.random.random() < 0.6:
            collection, uuid = self.random.choice(self.gone)
        else:
            collection, row = self._any_row(own=False)
            uuid, body["version"] = row["uuid"], self.random.randint(1, row["version"])
        path = f"/api/{collection}/{uuid}/restore"
        answer = await self._keyed(path, body, name)
        write = Write(
            name, collection, "RESTORE", uuid, fate_of(answer), version=body.get("version")
        )
        self._record(self._answered(write, answer))

    async def edit_many(self) -> None:
        """Create, change and delete several rows of a collection in one request."""
        kind, name = self.random.choice(SCOPED), self._next()
        writes, operations = self._many(kind, name)
        atomic = self.random.random() < 0.5
        body = {"operations": operations, "atomic": atomic, "userId": name}
        path = f"/api/productions/{self.show['uuid']}/{kind.collection}/bulk"
        answer = await self._keyed(path, body, name)
        if answer is None or answer.status_code != 200:
            for write in writes:
                self._record(replace(write, fate=fate_of(answer)))
            return
        for write, result in zip(writes, answer.json()["results"], strict=True):
            self._record(as_told(write, result["status"], result.get("entity")))

    def _many(self, kind: type[Kind], name: str) -> tuple[list[Write], list[dict[str, Any]]]:
        writes, operations = [], []
        known = list(self.rows[kind.collection].values())
        for row in self.random.sample(known, min(len(known), self.random.randint(0, 3))):
            if self.random.random() < 0.2:
                writes.append(Write(name, kind.collection, "DELETE", row["uuid"], "unknown"))
                operations.append({"op": "delete", "key": row["uuid"]})
                continue
            values, seen = self._texts(kind.collection, name), row["version"]
            write = Write(name, kind.collection, "UPDATE", row["uuid"], "unknown", values, seen)
            writes.append(write)
            data = values | {"version": seen}
            operations.append({"op": "update", "key": row["uuid"], "data": data})
        uuid, values = self._uuid(), minimal(kind)
        writes.append(Write(name, kind.collection, "CREATE", uuid, "unknown", values))
        operations.append({"op": "create", "data": values | {"uuid": uuid}})
        return writes, operations

    async def renumber(self) -> None:
        """Return the rows of a collection labels that count on."""
        kind, name = self.random.choice(SCOPED), self._next()
        known = list(self.rows[kind.collection])[:FEW]
        if not known:
            return
        self.random.shuffle(known)
        body = {"order": known, "prefix": f"N{name}", "userId": name}
        path = f"/api/productions/{self.show['uuid']}/{kind.collection}/renumber"
        answer = await self._keyed(path, body, name)
        for number, uuid in enumerate(known, 1):
            values = {"id": f"N{name} {number}"}
            self._record(Write(name, kind.collection, "UPDATE", uuid, fate_of(answer), values))

    async def sync(self) -> None:
        """Bring in what was done offline: what it started from may be old by now."""
        name = self._next()
        writes = list(self._offline(name))
        body = {
            "clientId": self.name,
            "mutations": [mutation(write) for write in writes],
            "atomic": self.random.random() < 0.2,
            "dryRun": self.random.random() < 0.2,
        }
        answer = await self._keyed(self._sync, body, name)
        if answer is None or answer.status_code != 200 or body["dryRun"]:
            fate: Fate = "unknown" if answer is None else "refused"
            self.history.writes += [replace(write, fate=fate) for write in writes]
            return
        told = [
            as_told(write, result["status"], result.get("entity"))
            for write, result in zip(writes, answer.json()["results"], strict=True)
        ]
        self.history.writes += told
        self._batches.append((body, told, answer))

    @property
    def _sync(self) -> str:
        return f"/api/productions/{self.show['uuid']}/sync"

    def _offline(self, batch: str) -> Iterator[Write]:
        """Return the work of one offline: edits, one of a row twice, a new row and its edit."""
        names = (f"{batch}.{number}" for number in itertools.count())
        known = [(c, row) for c, rows in self.rows.items() for row in list(rows.values())[:FEW]]
        for collection, row in self.random.sample(known, min(len(known), 3)):
            members = self.random.sample(texts(collection), 2)
            for member, name in zip(members, names, strict=False):
                values, seen = {member: f"{member} by {name}"}, row["version"]
                yield Write(name, collection, "UPDATE", row["uuid"], "unknown", values, seen)
        kind, uuid = self.random.choice(SCOPED), self._uuid()
        yield Write(next(names), kind.collection, "CREATE", uuid, "unknown", minimal(kind))
        name, member = next(names), texts(kind.collection)[0]
        values = {member: f"{member} by {name}"}
        yield Write(name, kind.collection, "UPDATE", uuid, "unknown", values)
        if self.random.random() < 0.3:
            yield Write(next(names), kind.collection, "DELETE", uuid, "unknown")

    async def err(self) -> None:
        """Ask for what must be refused."""
        name = self._next()
        collection, row = self._any_row()
        bad = self.random.choice([
            {"id": ""}, {"version": row["version"] + 1_000, "note": name},
            {"isDeleted": 1, "id": 7}, {"productionId": self._uuid()},
        ])  # fmt: skip
        body = bad | {"userId": name}
        answer = await self.sender.send("PUT", f"/api/{collection}/{row['uuid']}", body, name=name)
        if answer is not None and answer.status_code < 400:
            self.history.faults.append(f"NOT REFUSED: {name}: {bad}")
        self._record(Write(name, collection, "UPDATE", row["uuid"], "refused"))

    async def repeat_all(self) -> None:
        """Send every POST that had an answer once more: each gets the same, and does nothing."""
        for path, body, name, first in self.keyed:
            again = await self.sender.send("POST", path, body, name=name, key=name)
            if again is None or (again.status_code, again.content) != (
                first.status_code,
                first.content,
            ):
                self.history.faults.append(f"NOT REPLAYED: {name}: {again and again.text[:300]}")
            elif again.headers.get(REPLAYED) != "true":
                self.history.faults.append(f"NOT REPLAYED: {name}: it does not say so")

        for body, writes, first in self._batches:
            await self._repeat_batch(body, writes, first.json()["results"])

    async def _repeat_batch(self, body: Row, writes: list[Write], before: list[Row]) -> None:
        """Send a batch without its key: what was taken is known, and only the rest may be done."""
        answer = await self.sender.send("POST", self._sync, body)
        if answer is None or answer.status_code not in {200, 409}:
            self.history.faults.append(f"NOT REPEATED: {writes[0].name}: {answer}")
            return
        for write, was, now in zip(writes, before, answer.json()["results"], strict=True):
            if was["status"] in {"applied", "merged"} and now["status"] != "duplicate":
                self.history.faults.append(f"DONE AGAIN: {write.name}: {now}")
            elif now["status"] in {"applied", "merged"}:
                self.history.writes.remove(write)
                self._record(as_told(write, now["status"], now.get("entity")))


_DEEDS: Final[dict[Callable[[Writer], Awaitable[None]], int]] = {
    Writer.create: 8, Writer.create_crowd: 2, Writer.create_twice: 2, Writer.edit: 22,
    Writer.edit_form: 12, Writer.edit_blindly: 8, Writer.edit_show: 7, Writer.edit_outputs: 8,
    Writer.link: 6, Writer.rename: 4, Writer.tick: 4, Writer.delete: 4, Writer.restore: 4,
    Writer.edit_many: 4, Writer.sync: 6, Writer.renumber: 2, Writer.err: 4, Writer.look: 6,
}  # fmt: skip
