"""No body within the limits is much work at once, and what is beyond them is refused unread.

The work is counted, not timed: how many functions one callback of the event loop calls.
"""

import json
import sys
from asyncio import events
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import httpx
import pytest

from app.database.url import DatabaseUrl
from app.main import create_app
from app.rules.json_bounds import (
    MOST_DIGITS,
    MOST_ITEMS,
    MOST_MEMBERS,
    MOST_VALUES,
    MOST_VALUES_OF_ONE,
)
from tests.legacy import connected
from tests.support.hostile_bodies import VALUES, Place, places, send, show_keys
from tests.support.service import settings

# A function of Python takes about a tenth of a microsecond: so some 50 ms.
_MOST_CALLS = 400_000
_RUN = vars(events.Handle)["_run"].__code__
_REFUSED_UNREAD = {
    "empty objects", "empty lists", "whole numbers", "short texts", "400,000 members",
    "a repeated name", "huge numbers", "deep lists",
}  # fmt: skip
# The values, dealt to as many tests.
_TESTS = 4


class Work:
    """The most calls that one callback of the loop made."""

    def __init__(self) -> None:
        self.most = self._calls = 0

    def count(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is _RUN:
            self._calls = 0
        elif event in {"call", "c_call"}:
            self._calls += 1
            self.most = max(self.most, self._calls)


@contextmanager
def counted() -> Iterator[Work]:
    work = Work()
    sys.setprofile(work.count)
    try:
        yield work
    finally:
        sys.setprofile(None)


@pytest.fixture
async def http(shared_database: str) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings(), DatabaseUrl.parse(shared_database))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://x", timeout=60) as client,
    ):
        yield client


async def place_named(client: httpx.AsyncClient, name: str) -> Place:
    keys = await show_keys(client)
    return next(place for place in places(keys) if place.name == name)


@pytest.mark.parametrize("first", range(_TESTS))
async def test_no_body_is_much_work_at_once(http: httpx.AsyncClient, first: int) -> None:
    chosen = list(places(await show_keys(http)))
    for place in chosen:
        await send(http, place, b"1")  # schemas are made at first use
    for number, value in enumerate(list(VALUES)[first::_TESTS]):
        content = VALUES[value]()
        # What is refused unread is refused everywhere in one way.
        step = 6 if value in _REFUSED_UNREAD else 2
        for place in chosen[number % step :: step]:
            with counted() as work:
                answer = await send(http, place, content)
            what = place.name, value
            assert answer.status_code < 500, (*what, answer.text[:300])
            assert work.most < _MOST_CALLS, what
            if answer.status_code in {413, 422}:
                assert answer.json()["code"] in {"BODY_TOO_LARGE", "INVALID"}, what
            if value in _REFUSED_UNREAD:
                assert answer.status_code == 413, what


async def test_a_refusal_names_the_path_and_the_limit(http: httpx.AsyncClient) -> None:
    place = await place_named(http, "update: free")
    for value, path, words in (
        (b"[%b1]" % (b"1," * MOST_ITEMS), "signalPath", f"at most {MOST_ITEMS:,} items"),
        (VALUES["huge numbers"]()[:60] + b"1]", "signalPath.0", "between 1e-40 and 1e+40"),
        (b'{"a":[{"b":"%b"}]}' % (b"x" * 1_000_001), "signalPath.a.0.b", "1,000,000 characters"),
        (b'{"%b":1}' % (b"n" * 1_001), f"signalPath.{'n' * 100}", "1,000 characters"),
        (b"{%b}" % b",".join(b'"%d":1' % n for n in range(MOST_MEMBERS + 1)), "signalPath",
         f"at most {MOST_MEMBERS:,} members"),
        (b"[%b]" % b",".join([b"[%b1]" % (b"1," * 4_999)] * 5), "signalPath", "20,000 values"),
        (VALUES["whole numbers of 4,000 digits"](), "body", f"at most {MOST_DIGITS:,} digits"),
    ):  # fmt: skip
        answer = await send(http, place, value)
        assert answer.status_code == 422, answer.text[:300]
        error = answer.json()["errors"][0]
        assert (error["path"], words in error["message"]) == (path, True), error
    digits = await send(http, place, b'["%b"%b]' % (b"9" * (MOST_DIGITS + 1), b" " * 50_000))
    assert digits.status_code == 200, "within a text they are no number"
    answer = await send(http, place, VALUES["whole numbers"]())
    assert (answer.status_code, answer.json()["limit"]) == (413, MOST_VALUES)


@pytest.mark.parametrize(("bad", "words"), [
    ({"outputs": [{}] * (MOST_ITEMS + 1)}, "data.outputs"),
    ({"outputs": [[1] * (MOST_ITEMS - 1)] * 9}, f"at most {MOST_VALUES_OF_ONE:,} values"),
])  # fmt: skip
async def test_one_item_of_a_batch_beyond_the_limits_spoils_no_other(
    http: httpx.AsyncClient, bad: dict[str, Any], words: str
) -> None:
    show = (await show_keys(http)).show
    data = [{"name": "good"}, {"name": "bad", **bad}]
    operations = [{"op": "create", "data": each} for each in data]
    answer = await http.post(
        f"/api/productions/{show}/ccus/bulk", json={"atomic": False, "operations": operations}
    )
    assert [each["status"] for each in answer.json()["results"]] == ["created", "failed"]
    mutations = [
        {"mutationId": f"m{n}", "op": "create", "collection": "ccus", "data": each}
        for n, each in enumerate(data)
    ]
    answer = await http.post(f"/api/productions/{show}/sync", json={"mutations": mutations})
    done, refused = answer.json()["results"]
    assert [done["status"], refused["status"]] == ["applied", "rejected"]
    assert refused["mutationId"] == "m1"
    assert words in refused["error"]["message"]


async def test_a_row_has_a_size_and_an_older_one_that_is_larger_may_shrink(
    http: httpx.AsyncClient, shared_database: str
) -> None:
    keys = await show_keys(http)
    path = f"/api/productions/{keys.show}"
    large = ["x" * 900_000, "y" * 200_000]
    answer = await http.patch(path, json={"sourceTypes": large, "version": 1})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "sourceTypes")
    assert "at most 1,000,000" in answer.json()["message"]
    grown = await http.patch(path, json={"sourceTypes": large[:1], "version": 1})
    assert grown.status_code == 200
    answer = await http.post(
        "/api/ccus", json={"name": "x", "productionId": keys.show, "outputs": [{"a": large[0]}] * 2}
    )
    assert answer.status_code == 422
    # Numbers count as PostgreSQL writes them out.
    numbers = [[1e39] * 4_900] * 4
    answer = await http.patch(path, json={"sourceTypes": [*numbers, "x" * 500_000], "version": 2})
    assert answer.status_code == 422
    older = {"uuid": keys.show, "types": json.dumps(["x" * 1_500_000])}
    async with connected(shared_database) as connection:
        sql = "UPDATE productions SET source_types = $2 WHERE uuid = $1"
        await connection.execute(sql, *older.values())
    venue = {"venue": "Hall 2", "version": 2}
    assert (await http.patch(path, json=venue)).status_code == 200
    answer = await http.patch(
        path, json={"sourceTypes": ["x" * 999_000, "y" * 600_000], "version": 3}
    )
    assert answer.status_code == 422
    assert (
        await http.patch(path, json={"sourceTypes": ["x" * 950_000], "version": 3})
    ).status_code == 200
