"""Chaos: many writers on one show through several processes, while processes and connections die.

``python -m tests.support.chaos`` runs a long one and prints its progress. Its size comes from the
environment, as that of the tests does: see ``Size``.
"""

import asyncio
import os
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from secrets import randbelow
from typing import Any, Final

import httpx

from tests.support import databases
from tests.support.bodies import SCOPED, minimal
from tests.support.checker import verdicts
from tests.support.processes import Process, plain, processes
from tests.support.recorded import History, Write
from tests.support.senders import HANG, Sender
from tests.support.watchers import of
from tests.support.writers import Writer

PROCESSES: Final = 3
PAGES: Final = (7, 100, 1_000)
# How far the writers may run ahead of a disaster that is due.
_AHEAD: Final = 15
Disaster = Callable[[], Awaitable[None]]
_CUT: Final = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@dataclass(frozen=True)
class Size:
    """How large a run is; ``of_environment`` reads each from CHAOS_ and its name.

    ``kills`` are of processes, ``cuts`` of all connections to the database at once.
    """

    writers: int = 6
    operations: int = 300
    kills: int = 2
    cuts: int = 4
    seed: int = field(default_factory=lambda: randbelow(2**31))

    @classmethod
    def of_environment(cls, **otherwise: int) -> "Size":
        said = {name: os.environ.get(f"CHAOS_{name.upper()}") for name in cls.__annotations__}
        return cls(**otherwise | {name: int(value) for name, value in said.items() if value})


class Chaos:
    """One run of many writers.

    ``history`` is what happened, ``counts`` how requests were answered, ``slowest`` the seconds
    that the slowest answer took.

    The disasters are those of its size, and ``more``; the writers run at most ``ahead`` operations
    ahead of one that is due or under way.
    """

    def __init__(
        self, url: str, servers: list[Process], size: Size, *more: Disaster, ahead: int = _AHEAD
    ) -> None:
        self.url, self.servers, self.size = url, servers, size
        self.say: Callable[[str], None] = lambda _: None
        self.history, self.counts = History(), Counter[str]()
        self.slowest = 0.0
        self.show: dict[str, Any] = {}
        self.writers: list[Writer] = []
        self._random = Random(size.seed)  # noqa: S311  # it must be the same again
        self._ahead = ahead
        own = [self._kill] * size.kills + [self._cut] * size.cuts
        self._disasters: list[Disaster] = self._random.sample([*own, *more], len(own) + len(more))
        self._done = 0
        self._struck = 0
        self._progress = asyncio.Condition()

    async def run(self) -> None:
        """Begin a show, let the writers loose, and read everything that is there afterwards."""
        await asyncio.gather(*(one.ready() for one in self.servers))
        async with self._sender(0) as sender:
            await self._begin(sender)
            watchers = of(self.servers, self.show["uuid"])
            async with AsyncExitStack() as stack:
                for watcher in watchers:
                    await stack.enter_async_context(watcher.watching())
                await self._rage()
                await self._repeat(sender)
                await self.read(sender)
                await asyncio.gather(*(w.until(len(self.history.log)) for w in watchers))
            self.history.heard = {watcher.name: watcher.heard for watcher in watchers}
            self.counts["returns"] = sum(watcher.returns for watcher in watchers)

    async def _rage(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._strike())
            for number in range(1, self.size.writers + 1):
                tasks.create_task(self._write(number))

    @asynccontextmanager
    async def _sender(self, number: int) -> AsyncIterator[Sender]:
        limits = httpx.Limits(max_connections=20)
        async with plain(timeout=HANG, limits=limits) as client:
            roots = [one.root for one in self.servers]
            random = Random(f"{self.size.seed} {number}")  # noqa: S311  # it must be the same again
            sender = Sender(client, roots, random, self.history.faults, self.counts)
            yield sender
            self.slowest = max(self.slowest, sender.slowest)

    async def _begin(self, sender: Sender) -> None:
        """Make a show with three rows of each collection, so that writers meet from the start."""
        await self._made(sender, "productions", {"name": "A show"})
        for kind in SCOPED:
            for _ in range(3):
                body = minimal(kind) | {"productionId": self.show["uuid"]}
                await self._made(sender, kind.collection, body)

    async def _made(self, sender: Sender, collection: str, body: dict[str, Any]) -> None:
        name = f"begin-{len(self.history.writes)}"
        members = body | {"userId": name}
        answer = await sender.send("POST", f"/api/{collection}", members, name=name)
        assert answer is not None, "nothing has been killed yet"
        row = answer.raise_for_status().json()
        self.show = self.show or row
        write = Write(name, collection, "CREATE", row["uuid"], "done", {}, answer=row)
        self.history.writes.append(write)

    async def _write(self, number: int) -> None:
        async with self._sender(number) as sender:
            writer = Writer(f"w{number}", self.show, sender, self.history)
            self.writers.append(writer)
            await writer.look()
            for _ in range(self.size.operations // self.size.writers):
                async with self._progress:
                    await self._progress.wait_for(self._may_go_on)
                await writer.act()
                async with self._progress:
                    self._done += 1
                    self._progress.notify_all()

    def _may_go_on(self) -> bool:
        over = self._struck == len(self._disasters)
        return over or self._done < self._due(self._struck) + self._ahead

    def _due(self, number: int) -> int:
        """Return the operation with which a disaster strikes: they are spread evenly."""
        return (number + 1) * self.size.operations // (len(self._disasters) + 2)

    def _has_done(self, due: int) -> bool:
        return self._done >= due

    async def _strike(self) -> None:
        for number, disaster in enumerate(self._disasters):
            due = self._due(number)
            async with self._progress:
                await self._progress.wait_for(partial(self._has_done, due))
            self.say(f"{self._done} operations; now: {disaster.__name__.strip('_')}")
            await disaster()
            async with self._progress:
                self._struck += 1
                self._progress.notify_all()

    async def _cut(self) -> None:
        """End all connections to the database, those of listeners too."""
        await databases.execute(self.url, _CUT)

    async def _kill(self) -> None:
        """Kill a process and start it again; the others go on meanwhile."""
        await asyncio.gather(*(one.ready() for one in self.servers))
        killed = self._random.choice(self.servers)
        await asyncio.to_thread(killed.end)
        killed.start()

    async def _repeat(self, sender: Sender) -> None:
        """Send again what must do nothing any more."""
        await asyncio.gather(*(one.ready() for one in self.servers))
        for writer in self.writers:
            writer.sender = sender
            await writer.repeat_all()

    async def read(self, sender: Sender) -> None:
        """Read the log and the lists from every process, in pages of several sizes."""
        path = f"/api/productions/{self.show['uuid']}"
        for one in self.servers:
            sender.roots = [one.root]
            for limit in PAGES:
                entries = await self._feed(sender, path, limit)
                self.history.feeds[f"process {one.number} by {limit}"] = entries
            lists = {"productions": [await sender.ask(path)]}
            for kind in SCOPED:
                listed = f"/api/{kind.collection}/production/{self.show['uuid']}"
                lists[kind.collection] = await sender.ask(listed)
            self.history.lists[f"process {one.number}"] = lists
        self.history.log = next(iter(self.history.feeds.values()))

    async def _feed(self, sender: Sender, path: str, limit: int) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = []
        page = {"more": True, "next": 0}
        while page["more"]:
            page = await sender.ask(f"{path}/changes?since={page['next']}&limit={limit}")
            entries += page["changes"]
        return entries


async def chaos(
    url: str, folder: Path, size: Size, say: Callable[[str], None] = lambda _: None
) -> Chaos:
    """Run it on a migrated database; the processes keep their logs in ``folder``."""
    with processes(PROCESSES, url, folder) as servers:
        made = Chaos(url, servers, size)
        made.say = say
        await made.run()
    return made


def _say(words: str) -> None:
    print(words, flush=True)  # noqa: T201  # it is a command


def main() -> int:
    """Run it long; say what was found, and how to run it again."""
    size = Size.of_environment(writers=8, operations=5_000, kills=12, cuts=20)
    _say(str(size))
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    with databases.server() as server, server.lent(databases.migrated(server)) as url:
        made = asyncio.run(chaos(url, folder, size, say=_say))
    found = verdicts(made.history)
    _say("\n".join(found))
    _say(
        f"{len(made.history.log)} changes, answers {dict(made.counts)}: "
        f"{len(found)} faults. CHAOS_SEED={size.seed}; logs in {folder}"
    )
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
