"""Many writers, three processes, and both processes and connections dying: nobody's work is lost.

The checker that says so is tested first: each doctored history must be found out.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.bodies import SOME_UUID
from tests.support.chaos import Size, chaos
from tests.support.checker import verdicts
from tests.support.processes import plain, processes
from tests.support.recorded import History, Write
from tests.support.watchers import Socket, Stream, Watcher

ROW = "018f0000-0000-7000-8000-000000000001"


def row(version: int, **members: Any) -> dict[str, Any]:
    blank = {"name": "A", "model": None, "note": None, "id": "SNAKE 1", "isDeleted": False}
    return {"uuid": ROW, **blank, "version": version, **members}


def entry(seq: int, name: str, changes: dict[str, Any], shown: dict[str, Any]) -> dict[str, Any]:
    operation = "CREATE" if seq == 1 else "UPDATE"
    return {"seq": seq, "collection": "cable-snakes", "operation": operation, "entityId": ROW,
            "entityData": shown, "changes": changes, "version": seq, "userId": name}  # fmt: skip


def written(name: str, values: dict[str, Any], seen: int | None, answer: Any) -> Write:
    return Write(name, "cable-snakes", "UPDATE", ROW, "done", values, seen, answer)


def sound() -> History:
    """Return a history without fault: a row that three edited, of whom one was refused."""
    rows = [row(1), row(2, model="M"), row(3, model="M", note="N")]
    log = [
        entry(1, "a", {"name": [None, "A"], "id": [None, "SNAKE 1"]}, rows[0]),
        entry(2, "b", {"model": [None, "M"]}, rows[1]),
        entry(3, "c", {"note": [None, "N"]}, rows[2]),
    ]
    return History(
        writes=[
            Write("a", "cable-snakes", "CREATE", ROW, "done", {"name": "A"}, answer=rows[0]),
            written("b", {"model": "M"}, 1, rows[1]),
            written("c", {"note": "N"}, 1, rows[2]),
            Write("d", "cable-snakes", "UPDATE", ROW, "refused", {"model": "X"}, 1),
            Write("e", "cable-snakes", "UPDATE", ROW, "unknown", {"model": "Y"}, 1),
        ],
        log=log,
        feeds={"process 1": deepcopy(log)},
        lists={"process 1": {"cable-snakes": [deepcopy(rows[2])]}},
        heard={"socket": [{"seq": e["seq"], "key": ROW, "row": e["entityData"]} for e in log]},
    )


def lose(history: History) -> None:
    history.log = history.log[:2]


def repeat(history: History) -> None:
    history.log = [*history.log, {**history.log[2], "seq": 4, "version": 4}]


def revert(history: History) -> None:
    history.log[2]["entityData"]["model"] = None


def revert_before(history: History) -> None:
    history.log[2]["changes"] = {"note": [None, "N"], "model": [None, "M"]}


def leave_a_gap(history: History) -> None:
    history.log[2]["seq"] = 4


def skip_a_version(history: History) -> None:
    history.log[2]["version"] = 4


def invent(history: History) -> None:
    history.writes.pop(1)


def invent_a_field(history: History) -> None:
    history.log[2]["changes"]["name"] = ["A", "B"]
    history.log[2]["entityData"]["name"] = "B"


def write_what_was_refused(history: History) -> None:
    history.log[1]["userId"] = "d"


def overwrite(history: History) -> None:
    history.log[2].update(changes={"model": ["M", "N"]})
    history.log[2]["entityData"].update(model="N", note=None)
    history.writes[2] = written("c", {"model": "N"}, 1, history.log[2]["entityData"])


def answer_otherwise(history: History) -> None:
    history.writes[1] = written("b", {"model": "M"}, 1, row(2, model="Z"))


def write_otherwise(history: History) -> None:
    history.writes[1] = written("b", {"model": "Z"}, 1, None)


def do_nothing(history: History) -> None:
    history.writes.append(
        Write("f", "cable-snakes", "UPDATE", ROW, "unchanged", {"note": "F"}, 1, row(3))
    )


def list_otherwise(history: History) -> None:
    history.lists["process 1"]["cable-snakes"][0]["note"] = "Z"


def list_nothing(history: History) -> None:
    history.lists["process 1"] = {"cable-snakes": []}


def take_a_label(history: History) -> None:
    other = {**row(1), "uuid": SOME_UUID}
    history.log.append({**entry(4, "g", {}, other), "operation": "CREATE", "entityId": SOME_UUID})


def link_to_nothing(history: History) -> None:
    camera = {**row(1), "uuid": SOME_UUID, "ccuUuid": ROW[::-1]}
    made = entry(4, "g", {"ccuUuid": [None, ROW[::-1]]}, camera)
    history.log.append({**made, "collection": "cameras", "entityId": SOME_UUID})


def page_otherwise(history: History) -> None:
    history.feeds["process 1"] = history.log[1:]


def miss(history: History) -> None:
    history.heard["socket"] = history.heard["socket"][:2]


def hear_twice(history: History) -> None:
    history.heard["socket"] = [*history.heard["socket"], history.heard["socket"][2]]


def reorder(history: History) -> None:
    one, two, three = history.heard["socket"]
    history.heard["socket"] = [one, three, two]


def hear_otherwise(history: History) -> None:
    history.heard["socket"][1]["row"] = row(2, model="Z")


def answer_500(history: History) -> None:
    history.faults.append("BAD ANSWER: 500")


def test_a_sound_history_is_not_found_fault_with() -> None:
    assert verdicts(sound()) == []


def test_what_nobody_knows_of_may_be_there_once_or_not() -> None:
    history, was = sound(), row(4, model="Y", note="N")
    history.writes[4] = Write("e", "cable-snakes", "UPDATE", ROW, "unknown", {"model": "Y"}, 3)
    extra = entry(4, "e", {"model": ["M", "Y"]}, was)
    history.log = [*history.log, extra]
    history.feeds, history.heard = {}, {}
    history.lists = {"process 1": {"cable-snakes": [was]}}
    assert verdicts(history) == []


@pytest.mark.parametrize(
    ("doctor", "word"),
    [
        (lose, "LOST"), (repeat, "TWICE"), (revert, "REVERTED"), (revert_before, "REVERTED"),
        (leave_a_gap, "GAP"), (skip_a_version, "VERSION"), (invent, "NOBODY SENT"),
        (invent_a_field, "NOBODY SENT"), (write_what_was_refused, "REFUSED BUT LOGGED"),
        (overwrite, "OVERWRITTEN"), (answer_otherwise, "NOT AS ANSWERED"),
        (write_otherwise, "NOT WHAT WAS SENT"), (do_nothing, "LOST"),
        (take_a_label, "LABEL"), (link_to_nothing, "DANGLING"),
        (list_otherwise, "LISTS DIFFER"), (list_nothing, "LISTS DIFFER"),
        (page_otherwise, "FEEDS DIFFER"), (miss, "WATCHER"), (hear_twice, "WATCHER"),
        (reorder, "WATCHER"), (hear_otherwise, "WATCHER"), (answer_500, "BAD ANSWER"),
    ],
)  # fmt: skip
def test_every_fault_is_named(doctor: Callable[[History], None], word: str) -> None:
    history = sound()
    doctor(history)
    assert word in {verdict.partition(":")[0] for verdict in verdicts(history)}


@pytest.mark.slow
async def test_chaos_loses_nothing(own_database: str, tmp_path: Path) -> None:
    """``CHAOS_…`` in the environment makes it larger, or the same again."""
    size = Size.of_environment()
    made = await chaos(own_database, tmp_path, size)
    found = verdicts(made.history)
    again = f"CHAOS_SEED={size.seed} runs it again; the processes' logs are in {tmp_path}"
    assert not found, "\n".join([*found[:20], f"{len(found)} faults. {again}"])
    # It was chaos indeed: writes met, processes and connections died, and most was done.
    fates = [write.fate for write in made.history.writes]
    assert fates.count("done") > len(fates) // 2, fates
    assert made.counts["409"] > 0
    assert made.counts["returns"] >= size.kills
    assert made.counts["uncertain"] > 0


@pytest.mark.parametrize("kind", [Socket, Stream])
async def test_a_watcher_that_was_away_under_load_catches_up(
    own_database: str, tmp_path: Path, kind: type[Watcher]
) -> None:
    """``CHAOS_AWAY`` seconds, of which there are two."""
    away = float(os.environ.get("CHAOS_AWAY", "2"))
    with processes(2, own_database, tmp_path) as servers:
        watched, written_to = servers
        await asyncio.gather(*(one.ready() for one in servers))
        async with plain(base_url=written_to.root, timeout=30) as client:
            show = (await client.post("/api/productions", json={"name": "A show"})).json()["uuid"]
            watcher = kind(watched.root, show, "process 1")
            async with loaded(client, show):
                async with watcher.watching():
                    await watcher.until(10)
                last = len(watcher.heard)
                await asyncio.sleep(away)  # the time it is away is the point
                async with watcher.watching():
                    await watcher.until(last + 20 * int(away))
            feed = (await client.get(f"/api/productions/{show}/changes?limit=1000")).json()
            async with watcher.watching():
                await watcher.until(feed["latest"])
    heard = [event["seq"] for event in watcher.heard]
    assert heard == list(range(1, feed["latest"] + 1))


@asynccontextmanager
async def loaded(client: httpx.AsyncClient, show: str) -> AsyncIterator[None]:
    """Have rows made, one after the other, while the block runs."""
    over = asyncio.Event()

    async def load() -> None:
        while not over.is_set():
            body = {"productionId": show, "name": "A camera"}
            (await client.post("/api/cameras", json=body)).raise_for_status()

    task = asyncio.create_task(load())
    try:
        yield
    finally:
        over.set()
        await task
