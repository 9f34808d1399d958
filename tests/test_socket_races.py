"""What happens at a socket at the same moment, in the order that is hardest."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from app.errors import DatabaseAway
from app.live.feed.entries import Page
from app.live.feed.hub import Hub
from app.live.sockets.limits import SocketLimits
from app.live.sockets.rooms import Rooms
from tests.support.databases import execute
from tests.support.live import KILL
from tests.support.processes import plain
from tests.support.sockets import posted, served, tab

QUICK = SocketLimits(linger=0.2, retry=0.1, sweep=0.5)


@pytest.fixture(scope="module")
def root(shared_database: str) -> Iterator[str]:
    with served(shared_database, QUICK) as made:
        yield made


@pytest.fixture
async def show(root: str) -> dict[str, Any]:
    return await posted(root, "productions", name="A show")


class Gate:
    """Where the service, in another thread, waits until the test lets it go on."""

    def __init__(self) -> None:
        self._reached, self._open = threading.Event(), threading.Event()

    async def wait(self) -> None:
        """Wait here, as the service."""
        self._reached.set()
        assert await asyncio.to_thread(self._open.wait, 10)

    async def reached(self) -> None:
        """Wait until the service is here."""
        assert await asyncio.to_thread(self._reached.wait, 10)

    def open(self) -> None:
        """Let the service go on."""
        self._open.set()


async def test_what_is_told_while_one_is_read_to_is_not_missing_there(
    root: str, show: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log held nothing more when it was read; when the answer was there, all had been told."""
    gate, read = Gate(), Hub.read

    async def slow(self: Hub, production: UUID, since: int) -> Page:
        page = await read(self, production, since)
        if since == 0:  # only the one who is behind
            await gate.wait()
        return page

    monkeypatch.setattr(Hub, "read", slow)
    async with tab(root) as one, tab(root) as late:
        await one.join(show["id"])
        await late.join(show["id"], since=0)
        await gate.reached()
        await posted(root, "ccus", productionId=show["id"], name="C")
        await one.one("entity:created", seq=2)
        gate.open()
        await posted(root, "ccus", productionId=show["id"], name="C")
        await late.one("entity:created", seq=3)
        assert [told["seq"] for told in late.of("entity:created")] == [2, 3]


async def test_a_database_from_a_backup_is_told_as_lost_and_then_what_is_written(
    root: str, show: dict[str, Any], shared_database: str
) -> None:
    async with tab(root) as one:
        await one.join(show["id"])
        for _ in range(3):
            await posted(root, "ccus", productionId=show["id"], name="C")
        await one.one("entity:created", seq=4)
        for sql in (
            "DELETE FROM changes WHERE production_uuid = $1 AND seq > 2",
            "UPDATE productions SET change_seq = 2 WHERE uuid = $1",
        ):
            await execute(shared_database, sql, show["uuid"])
        await execute(shared_database, KILL)
        assert (await one.one("resync"))["latest"] == 2
        made = await posted(root, "ccus", productionId=show["id"], name="D")
        await one.one("entity:created", seq=3, entityId=made["uuid"])


async def test_a_show_is_left_by_what_it_was_called_when_it_was_joined(root: str) -> None:
    async with tab(root) as one, tab(root) as other, plain(base_url=root) as client:
        tour = f"TOUR {one.sid}"
        first = await posted(root, "productions", name="First", id=tour)
        await one.join(tour, "one")
        await other.join(first["uuid"].upper(), "other")
        await other.seen("one", "other")
        path = f"/api/productions/{first['uuid']}"
        (await client.put(path, json={"id": f"LAST {tour}", "version": 1})).raise_for_status()
        await one.one("production:updated")
        said = {"productionId": tour, "data": "still here"}
        assert await one.ask("production:change", said) == {}
        assert await other.one("production:change") == said
        assert await one.ask("production:leave", {"productionId": tour}) == {}
        await other.seen("other")


async def test_a_show_that_is_renamed_while_it_is_joined_is_called_by_its_new_name(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, place = Gate(), Rooms._find_production  # noqa: SLF001  # the moment is inside

    async def slow(self: Rooms, key: str) -> Any:
        found = await place(self, key)
        await gate.wait()
        return found

    async with tab(root) as one, tab(root) as other, plain(base_url=root) as client:
        tour, last = f"TOUR {one.sid}", f"LAST TOUR {one.sid}"
        first = await posted(root, "productions", name="First", id=tour)
        with monkeypatch.context() as patch:
            patch.setattr(Rooms, "_find_production", slow)
            joining = asyncio.create_task(one.join(tour))
            await gate.reached()
            path = f"/api/productions/{first['uuid']}"
            (await client.put(path, json={"id": last, "version": 1})).raise_for_status()
            second = await posted(root, "productions", name="Second", id=tour)
            gate.open()
            await joining
        await one.one("production:updated", seq=2)
        assert (await other.join(second["uuid"]))["productionId"] == tour
        assert (await other.join(last))["productionId"] == last


async def test_who_leaves_while_a_kept_join_is_done_has_left(
    root: str, show: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, place = Gate(), Rooms._find_production  # noqa: SLF001  # the moment is inside
    answers = iter([DatabaseAway("away")])

    async def slow(self: Rooms, key: str) -> Any:
        for away in answers:
            raise away
        await gate.wait()
        return await place(self, key)

    async with tab(root) as one, tab(root) as other:
        with monkeypatch.context() as patch:
            patch.setattr(Rooms, "_find_production", slow)
            assert (await one.join(show["id"], "one"))["code"] == "DATABASE_AWAY"
            await gate.reached()
            assert await one.ask("production:leave", {"productionId": show["id"]}) == {}
            gate.open()
            # It is asked for after the kept one, so it waits for the same opening.
            await other.join(show["id"], "other")
        await posted(root, "ccus", productionId=show["id"], name="C")
        await other.one("entity:created", seq=2)
        await other.seen("other")
        await one.ask("production-list:leave", {})
        assert one.told == []


async def test_who_has_joined_the_list_is_told_all_from_then_on(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is made before the answer is in the list that is loaded after it."""
    gate, watch = Gate(), Hub.subscribe_to_productions

    async def slow(self: Hub, hear: Any) -> Any:
        await gate.wait()
        return await watch(self, hear)

    monkeypatch.setattr(Hub, "subscribe_to_productions", slow)
    async with tab(root) as one:
        joining = asyncio.create_task(one.ask("production-list:join", {}))
        await gate.reached()
        await posted(root, "productions", name="Before")
        assert not joining.done()
        gate.open()
        assert await joining == {}
        made = await posted(root, "productions", name="After")
        told = await one.one("production:created")
        assert told["production"]["uuid"] == made["uuid"]


async def test_a_show_that_is_deleted_while_it_is_joined_is_not_found_afterwards(
    root: str, show: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, found = Gate(), Rooms._find_room  # noqa: SLF001  # the moment is inside

    async def slow(self: Rooms, key: str) -> Any:
        room = await found(self, key)
        await gate.wait()
        return room

    async with tab(root) as one, tab(root) as other, plain(base_url=root) as client:
        await other.join(show["id"])
        with monkeypatch.context() as patch:
            patch.setattr(Rooms, "_find_room", slow)
            joining = asyncio.create_task(one.join(show["uuid"]))
            await gate.reached()
            (await client.delete(f"/api/productions/{show['uuid']}")).raise_for_status()
            await other.one("production:deleted")
            gate.open()
            await joining
        assert (await other.join(show["uuid"]))["code"] == "PRODUCTION_NOT_FOUND"


async def test_a_show_that_was_renamed_in_what_is_lost_is_called_by_its_new_name(
    root: str, shared_database: str
) -> None:
    async with tab(root) as one:
        tour, last = f"TOUR {one.sid}", f"LAST TOUR {one.sid}"
        first = await posted(root, "productions", name="First", id=tour)
        await one.join(tour)
        by_hand = "UPDATE productions SET id = $2, change_seq = 5 WHERE uuid = $1"
        await execute(shared_database, by_hand, first["uuid"], last)
        await execute(shared_database, KILL)
        await one.one("resync", latest=5)
        assert (await one.join(tour))["code"] == "PRODUCTION_NOT_FOUND"
        assert (await one.join(last))["productionId"] == last
