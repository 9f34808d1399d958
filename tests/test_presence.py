"""Who watches a show, on all processes: shown within a moment, and no longer than it is so."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.database.pool import ConnectionPool
from app.live.sockets.limits import SocketLimits
from tests.support.databases import column, execute
from tests.support.pace import at_most
from tests.support.processes import processes
from tests.support.sockets import Tab, posted, served, several, tab

QUICK = SocketLimits(linger=0.1, retry=0.1, sweep=0.3)
ROWS = "SELECT user_id FROM presence ORDER BY user_id"
LISTENERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE application_name = 'signalbook-listener' AND datname = current_database()"
)
# Of each row that is there, the transaction that wrote it last.
WRITERS = "SELECT socket_id || ' ' || xmin::text FROM presence ORDER BY 1"


@asynccontextmanager
async def tabs(*roots: str) -> AsyncIterator[list[Tab]]:
    """Open a tab on each of several processes."""
    if not roots:
        yield []
        return
    async with tab(roots[0]) as first, tabs(*roots[1:]) as others:
        yield [first, *others]


async def test_a_person_stays_while_any_of_her_tabs_does(own_database: str) -> None:
    with several(own_database, 2, limits=QUICK) as roots:
        show = await posted(roots[0], "productions", name="A show")
        async with tabs(roots[0], roots[1], roots[1]) as (ann, ann_too, bob):
            await ann.join(show["id"], "ann")
            await ann_too.join(show["uuid"], "ann")
            await bob.join(show["id"], "bob")
            for watching in (ann, ann_too, bob):
                await shows(watching, ("ann", "Ann", ann_too.sid, 2), ("bob", "Bob", bob.sid, 1))
            await ann.ask("production:leave", {"productionId": show["id"]})
            await shows(bob, ("ann", "Ann", ann_too.sid, 1), ("bob", "Bob", bob.sid, 1))
            await ann_too.client.disconnect()
            await bob.seen("bob")
            assert ann.of("presence:update")[-1] != bob.of("presence:update")[-1]
    assert await column(own_database, ROWS) == []


async def shows(watching: Tab, *people: tuple[str, str, str, int]) -> None:
    """Wait until exactly these people are shown: id, name, newest socket and count of sockets."""
    members = "userId", "userName", "socketId", "sockets"
    expected = [dict(zip(members, person, strict=True)) for person in people]

    def is_shown() -> bool:
        return bool(told := watching.of("presence:update")) and told[-1] == expected

    await watching.until(is_shown)


async def test_a_person_is_one_face_through_joins_reloads_and_renamings(own_database: str) -> None:
    with several(own_database, 2, limits=QUICK) as roots:
        show = await posted(roots[0], "productions", name="A show")
        async with tabs(*roots * 3) as (cy, ann, ann_2, ann_3, bob, dan):

            async def everybody_sees(*faces: tuple[str, str, str, int]) -> None:
                for watching in (cy, dan):
                    shown = ("cy", "Cy", cy.sid, 1), ("dan", "Dan", dan.sid, 1), *faces
                    await shows(watching, *shown)

            for mine, user in ((cy, "cy"), (dan, "dan")):
                await mine.join(show["uuid"], user)
            # In one moment, on two processes: the table has to say which came last.
            for mine in (ann, ann_2, ann_3):
                await mine.join(show["id"], "ann")
            await bob.join(show["id"], "bob")
            his = "bob", "Bob", bob.sid, 1
            await everybody_sees(("ann", "Ann", ann_3.sid, 3), his)
            # Renamed in her oldest tab, while listeners are lost.
            await execute(own_database, LISTENERS)
            renamed = {"productionId": show["id"], "userId": "ann", "userName": "Ann Lee"}
            await ann.ask("production:join", renamed)
            await everybody_sees(("ann", "Ann Lee", ann.sid, 3), his)
            # A tab reloads without a farewell, and comes back on the other process.
            await ann_3.client.eio.disconnect(abort=True)
            async with tab(roots[0]) as again:
                await again.join(show["uuid"], "ann")
                await everybody_sees(("ann", "Ann", again.sid, 3), his)
                # Bob signs in as somebody who is there already.
                await bob.join(show["id"], "ann")
                await everybody_sees(("ann", "Ann", bob.sid, 4))
            for mine in (bob, ann):
                await mine.client.disconnect()
            await everybody_sees(("ann", "Ann", ann_2.sid, 1))
            await ann_2.ask("production:leave", {"productionId": show["uuid"]})
            await everybody_sees()


async def test_who_does_not_say_who_she_is_stands_for_her_socket_alone(
    shared_database: str,
) -> None:
    with several(shared_database, 2, limits=QUICK) as roots:
        show = await posted(roots[0], "productions", name="A show")
        async with tabs(*roots, roots[0]) as (one, other, named):
            for mine, members in ((one, {}), (other, {"userId": "", "userName": "Guest"})):
                await mine.ask("production:join", {"productionId": show["id"], **members})
            # Nobody becomes another's face by her socket's name.
            await named.join(show["id"], one.sid)
            for watching in (one, other, named):
                await shows(
                    watching, ("system", "System", one.sid, 1), ("system", "Guest", other.sid, 1),
                    (one.sid, one.sid.title(), named.sid, 1),
                )  # fmt: skip


async def test_a_repeated_join_writes_nothing_and_is_shown_who_is_there(own_database: str) -> None:
    with served(own_database, QUICK) as root:
        show = await posted(root, "productions", name="A show")
        async with tabs(root, root) as (ann, bob):
            await bob.join(show["id"], "bob")
            await ann.join(show["id"], "ann")
            await ann.seen("ann", "bob")
            await bob.seen("ann", "bob")
            before, told = await column(own_database, WRITERS), len(bob.of("presence:update"))
            for _ in range(5):
                count = len(ann.of("presence:update"))
                await ann.join(show["id"], "ann")
                await ann.until(partial(_more_than, ann, count))
            assert ann.of("presence:update")[-1] == bob.of("presence:update")[-1]
            assert await column(own_database, WRITERS) == before
            await ann.join(show["id"], "anna")
            await bob.seen("anna", "bob")
            assert len(bob.of("presence:update")) == told + 1
            assert len(set(before) - set(await column(own_database, WRITERS))) == 1


def _more_than(watching: Tab, count: int) -> bool:
    return len(watching.of("presence:update")) > count


async def test_those_of_a_killed_process_are_gone_within_seconds(
    own_database: str, tmp_path: Path
) -> None:
    with (
        served(own_database, QUICK) as root,
        processes(1, own_database, tmp_path) as [other],
    ):
        await other.ready()
        show = await posted(root, "productions", name="A show")
        async with tabs(root, other.root) as (ann, bob):
            await ann.join(show["id"], "ann")
            await bob.join(show["id"], "bob")
            async with tab(other.root) as ann_too:
                await ann_too.join(show["id"], "ann")
                await shows(ann, ("ann", "Ann", ann_too.sid, 2), ("bob", "Bob", bob.sid, 1))
                other.end(signal.SIGKILL)
                await shows(ann, ("ann", "Ann", ann.sid, 1))
                async with asyncio.timeout(30):
                    while await column(own_database, ROWS) != ["ann"]:  # noqa: ASYNC110  # no event
                        await asyncio.sleep(0.05)


async def test_a_process_that_stops_leaves_no_rows(own_database: str, tmp_path: Path) -> None:
    """And it does not wait for sockets, nor for polls, until its time to drain is over."""
    with processes(1, own_database, tmp_path, drain=20) as [one]:
        await one.ready()
        show = await posted(one.root, "productions", name="A show")
        async with tab(one.root) as ann, tab(one.root, "polling") as bob:
            await ann.join(show["id"], "ann")
            await bob.join(show["id"], "bob")
            await bob.seen("ann", "bob")
            begun = asyncio.get_running_loop().time()
            await asyncio.to_thread(one.end, signal.SIGTERM)
            assert asyncio.get_running_loop().time() - begun < at_most(5)
            async with asyncio.timeout(60):
                await ann.ended.wait()
                await bob.ended.wait()
        assert await column(own_database, ROWS) == []
        assert "Traceback" not in one.log.read_text()


async def test_a_listener_that_is_killed_loses_nobody(own_database: str) -> None:
    with several(own_database, 2, limits=QUICK) as roots:
        show = await posted(roots[0], "productions", name="A show")
        async with tabs(*roots) as (ann, bob):
            await ann.join(show["id"], "ann")
            await bob.join(show["id"], "bob")
            await ann.seen("ann", "bob")
            await execute(own_database, LISTENERS)
            async with tab(roots[1]) as cy:
                await cy.join(show["id"], "cy")
                for watching in (ann, bob, cy):
                    await watching.seen("ann", "bob", "cy")
            for watching in (ann, bob):
                await watching.seen("ann", "bob")


@pytest.mark.parametrize("known", [True, False], ids=["open room", "new room"])
async def test_without_a_database_joins_wait_for_it(
    own_database: str, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A room that is open is joined at once, another as soon as the database answers."""
    with served(own_database, QUICK) as root:
        show = await posted(root, "productions", name="A show")
        async with tabs(root, root) as (ann, bob):
            if known:
                await ann.join(show["id"], "ann")
                await ann.seen("ann")
            with monkeypatch.context() as patch:
                away(patch)
                told = await bob.join(show["id"], "bob")
                if known:
                    assert told["productionUuid"] == show["uuid"]
                else:
                    assert told["code"] == "DATABASE_AWAY"
            if not known:
                assert (await bob.one("resync"))["productionId"] == show["id"]
            await bob.seen(*(["ann", "bob"] if known else ["bob"]))
            made = await posted(root, "ccus", productionId=show["id"], name="C")
            await bob.one("entity:created", entityId=made["uuid"])


def away(patch: pytest.MonkeyPatch) -> None:
    """Let no connection of the pool be had."""

    def none(*_: Any) -> Any:
        raise ConnectionRefusedError("away")

    patch.setattr(ConnectionPool, "take_idle", none)
