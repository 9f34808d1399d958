"""Standing in line to write: first come, first served, and nobody who left holds up the others."""

import asyncio
from uuid import UUID

import pytest

from app.store.writer import WriteQueue

SHOW = UUID(int=1)


async def test_first_come_first_served_and_one_at_a_time() -> None:
    turns, order, inside = WriteQueue(5), [], 0

    async def write(number: int) -> None:
        nonlocal inside
        async with turns.slot("show"):
            inside += 1
            assert inside == 1
            await asyncio.sleep(0)
            order.append(number)
            inside -= 1

    await asyncio.gather(*map(write, range(50)))
    assert order == list(range(50))
    assert not turns._queues  # noqa: SLF001  # a line that nobody stands in takes no memory


async def test_two_productions_do_not_wait_for_each_other() -> None:
    turns = WriteQueue(5)
    async with turns.slot("one"), turns.slot("other"):
        pass


async def test_names_of_one_production_stand_in_one_line() -> None:
    turns = WriteQueue(0.01)
    turns.remember_key("CAM 1", SHOW)
    turns.remember_key("SHOW 1", SHOW)
    async with turns.slot("CAM 1"):
        with pytest.raises(TimeoutError):
            async with turns.slot("SHOW 1"):
                pytest.fail("two at once")


async def test_a_production_is_one_whether_it_is_known_already_or_not() -> None:
    turns = WriteQueue(0.01)
    async with turns.slot(str(SHOW)):
        turns.remember_key(str(SHOW), SHOW)
        with pytest.raises(TimeoutError):
            async with turns.slot(str(SHOW)):
                pytest.fail("two at once")


async def test_who_waits_too_long_leaves_the_line_to_the_next() -> None:
    turns = WriteQueue(0.05)
    async with turns.slot("show"):
        with pytest.raises(TimeoutError):
            async with turns.slot("show"):
                pytest.fail("two at once")
    async with turns.slot("show"):
        pass


@pytest.mark.parametrize("when", ["waiting", "called"])
async def test_who_is_cancelled_takes_no_turn_with_it(when: str) -> None:
    turns, served = WriteQueue(5), []

    async def write(name: str) -> None:
        async with turns.slot("show"):
            served.append(name)

    async with turns.slot("show"):
        tasks = [asyncio.create_task(write(name)) for name in ("leaves", "stays")]
        await asyncio.sleep(0)  # both stand in line now
        if when == "waiting":
            tasks[0].cancel()
    if when == "called":
        tasks[0].cancel()
    await asyncio.wait(tasks)
    assert (tasks[0].cancelled(), served) == (True, ["stays"])
    assert not turns._queues  # noqa: SLF001  # a turn that was lost would stay here


async def test_an_error_ends_the_turn() -> None:
    turns = WriteQueue(0.05)
    with pytest.raises(ZeroDivisionError):
        async with turns.slot("show"):
            raise ZeroDivisionError
    async with turns.slot("show"):
        pass


def test_what_is_known_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.store.writer._MOST_KEYS", 3)
    turns = WriteQueue(5)
    for number in range(10):
        turns.remember_key(str(number), SHOW)
    assert list(turns._productions) == ["7", "8", "9"]  # noqa: SLF001  # its size is the point
