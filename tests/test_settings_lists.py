"""The lists that pages choose from, and the other settings: read, edited, pushed, carried over."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import asyncpg
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.database.url import DatabaseUrl
from app.errors import SignalbookError
from app.installation import list_edits, settings
from app.installation.announcements import CHANNEL, RENDERERS
from app.installation.list_edits import Word, add, remove, reorder, restore_defaults
from app.installation.lists import (
    CONNECTOR_TYPES,
    FRAME_RATES,
    LISTS,
    RESOLUTIONS,
    SOURCE_TYPES,
    WordList,
)
from app.store.write_context import WriteContext
from tests.support import databases
from tests.support.holding import Held, after
from tests.support.service import service

ROOT: Final = "/api/settings"
JSON: Final = {"content-type": "application/json"}
every = pytest.mark.parametrize("words", LISTS, ids=lambda words: words.path)
Write = Callable[[WriteContext], Awaitable[Any]]


@pytest.fixture
def client(own_database: str) -> Iterator[httpx.Client]:
    with service(own_database) as served:
        yield served


@pytest.fixture(scope="module")
def unchanged(shared_database: str) -> Iterator[httpx.Client]:
    """Serve what only asks for refusals: the lists stay as they are."""
    with service(shared_database) as served:
        yield served


def path(words: WordList, end: str = "") -> str:
    return f"{ROOT}/{words.path}{end}"


def new_word(words: WordList, name: Any) -> dict[str, Any]:
    return {"rate" if words is FRAME_RATES else "name": name}


def order(words: WordList, names: Any) -> dict[str, Any]:
    return {{FRAME_RATES: "rates", RESOLUTIONS: "resolutions"}.get(words, "types"): names}


def names(client: httpx.Client, words: WordList) -> list[str]:
    listed: list[str] = client.get(path(words)).raise_for_status().json()
    return listed


def remove_path(words: WordList, name: str) -> str:
    return path(words, f"/{quote(name, safe='')}")


async def rows(url: str, words: WordList) -> list[Any]:
    sql = (
        f"SELECT json_build_array({words.column}, sort_order, is_active)::text "
        f"FROM {words.table} ORDER BY sort_order, {words.column}"
    )
    return [json.loads(str(row)) for row in await databases.column(url, sql)]


async def older_rows(url: str, words: WordList) -> None:
    """Put rows there as the older service does: its keys, its times, one word removed."""
    await databases.execute(
        url,
        f"INSERT INTO {words.table} (id, {words.column}, sort_order, is_active, updated_at) VALUES "
        "('c1', 'OLD B', 10, true, '2024-01-01'), ('c2', 'OLD A', 20, true, '2024-01-01'), "
        "('c3', 'OLD GONE', 5, false, '2024-01-01')",
    )


@every
def test_a_list_without_rows_has_its_defaults(
    client: httpx.Client, own_database: str, words: WordList
) -> None:
    assert names(client, words) == list(words.defaults)
    assert asyncio.run(rows(own_database, words)) == [], "reading writes nothing"


def test_the_defaults_are_what_crews_use() -> None:
    assert {"HDMI", "SDI", "DP", "DVI", "VGA", "USB-C", "FIBER", "NDI"} <= {
        *CONNECTOR_TYPES.defaults
    }
    assert "MEDIA SERVER" in SOURCE_TYPES.defaults
    assert FRAME_RATES.defaults == ("23.98", "24", "25", "29.97", "30", "50", "59.94", "60")
    assert RESOLUTIONS.defaults[0] == "1920x1080"
    for words in LISTS:
        assert len({words.same(name) for name in words.defaults}) == len(words.defaults)


@every
def test_a_word_is_added_at_the_end(
    client: httpx.Client, own_database: str, words: WordList
) -> None:
    answer = client.post(path(words), json={**new_word(words, " NEW / 1 "), "userId": "u"})
    assert answer.status_code == 200, answer.text
    assert answer.json() == [*words.defaults, "NEW / 1"] == names(client, words)
    assert answer.headers["x-ignored-fields"] == "userId"
    stored = asyncio.run(rows(own_database, words))
    assert [row[0] for row in stored] == answer.json(), "the first write stores the defaults"
    times = f"SELECT updated_at - timezone('UTC', now()) < interval '1 hour' FROM {words.table}"
    assert set(asyncio.run(databases.column(own_database, times))) == {True}


@every
def test_a_word_that_is_there_is_a_409(client: httpx.Client, words: WordList) -> None:
    first = words.defaults[0]
    answer = client.post(path(words), json=new_word(words, f" {first.lower()}"))
    assert (answer.status_code, answer.json()["error"]) == (409, "Already in the list")
    assert f"{first!r} is in the list already" in answer.json()["message"]
    assert names(client, words) == list(words.defaults)


@every
@pytest.mark.parametrize("name", ["HDMI 2.0", "1920x1080/60", "50%", "a?b#c", "ÄÖ 日本", "..x"])
def test_a_word_is_removed_by_its_encoded_name(
    client: httpx.Client, own_database: str, words: WordList, name: str
) -> None:
    client.post(path(words), json=new_word(words, name)).raise_for_status()
    answer = client.delete(remove_path(words, name))
    assert answer.status_code == 200, answer.text
    assert answer.json() == list(words.defaults)
    stored = asyncio.run(rows(own_database, words))
    assert [name, len(words.defaults), False] in stored, "the row stays"
    again = client.delete(remove_path(words, name))
    assert (again.status_code, again.json()["code"]) == (404, "NOT_FOUND")
    assert again.json()["error"] == f"{words.noun.capitalize()} not found"


@every
def test_a_removed_word_comes_back_as_it_is_written_now(
    client: httpx.Client, own_database: str, words: WordList
) -> None:
    client.post(path(words), json=new_word(words, "custom")).raise_for_status()
    client.delete(remove_path(words, "custom")).raise_for_status()
    key = f"SELECT id FROM {words.table} WHERE lower({words.column}) = 'custom'"
    [before] = asyncio.run(databases.column(own_database, key))
    back = client.post(path(words), json=new_word(words, "CUSTOM")).json()
    assert back == [*words.defaults, "CUSTOM"]
    assert asyncio.run(databases.column(own_database, key)) == [before]


def test_a_rate_may_be_a_number_and_under_either_name(client: httpx.Client) -> None:
    for body in (
        {"rate": 119.88},
        {"name": "120"},
        {"rate": 48},
        {"rate": 47.952},
        {"rate": "vary"},
    ):
        assert client.post(path(FRAME_RATES), json=body).status_code == 200, body
    assert names(client, FRAME_RATES)[-5:] == ["119.88", "120", "48", "47.95", "vary"]


@pytest.mark.parametrize(
    ("words", "name", "twin"),
    [
        (FRAME_RATES, "23.976", "23.98"), (FRAME_RATES, "60.0", "60"),
        (FRAME_RATES, 59.9401, "59.94"), (RESOLUTIONS, "1920 × 1080", "1920x1080"),
        (RESOLUTIONS, "1920 X 1080", "1920x1080"), (CONNECTOR_TYPES, "hdmi", "HDMI"),
        (CONNECTOR_TYPES, "usb-c\u200b", "USB-C"),
    ],
)  # fmt: skip
def test_what_says_the_same_is_the_same(
    client: httpx.Client, words: WordList, name: Any, twin: str
) -> None:
    answer = client.post(path(words), json=new_word(words, name))
    assert answer.status_code == 409
    assert f"{twin!r} is in the list" in answer.json()["message"]
    if isinstance(name, str):
        assert twin not in client.delete(remove_path(words, name)).json()


@every
def test_the_named_come_first_and_the_others_follow(client: httpx.Client, words: WordList) -> None:
    one, two, three, *rest = words.defaults
    answer = client.put(path(words, "/reorder"), json=order(words, [three, one]))
    assert answer.status_code == 200, answer.text
    assert answer.json() == [three, one, two, *rest] == names(client, words)
    assert client.put(path(words, "/reorder"), json=order(words, [])).json() == answer.json()


@every
def test_an_order_of_what_is_not_in_the_list_is_a_422(
    client: httpx.Client, words: WordList
) -> None:
    first, second, *_ = words.defaults
    client.delete(remove_path(words, second)).raise_for_status()
    wrong = [first, "NOBODY", second, first]
    answer = client.put(path(words, "/reorder"), json=order(words, wrong))
    assert answer.status_code == 422
    member = next(iter(order(words, [])))
    faults = answer.json()["errors"]
    assert [fault["path"] for fault in faults] == [f"{member}.{n}" for n in (1, 2, 3)]
    assert "'NOBODY' is not in the list" in faults[0]["message"]
    assert "named twice" in faults[2]["message"]
    assert second not in names(client, words)


@every
def test_the_defaults_come_back(client: httpx.Client, own_database: str, words: WordList) -> None:
    first = words.defaults[0]
    client.post(path(words), json=new_word(words, "CUSTOM"))
    client.delete(remove_path(words, first))
    client.put(path(words, "/reorder"), json=order(words, ["CUSTOM"]))
    answer = client.post(path(words, "/restore-defaults"))
    assert answer.status_code == 200
    assert answer.json() == list(words.defaults) == names(client, words)
    stored = asyncio.run(rows(own_database, words))
    assert len(stored) == len(words.defaults) + 1, "nothing is lost"
    assert client.post(path(words, "/restore-defaults"), json={"userId": "u"}).status_code == 200


@every
def test_a_list_that_was_emptied_stays_empty(client: httpx.Client, words: WordList) -> None:
    for name in words.defaults:
        client.delete(remove_path(words, name)).raise_for_status()
    assert names(client, words) == []
    assert client.post(path(words, "/restore-defaults")).json() == list(words.defaults)


@every
async def test_older_rows_survive(client: httpx.Client, own_database: str, words: WordList) -> None:
    await older_rows(own_database, words)
    assert names(client, words) == ["OLD B", "OLD A"]
    client.post(path(words), json=new_word(words, "NEW"))
    client.post(path(words), json=new_word(words, "OLD GONE"))
    client.delete(remove_path(words, "OLD B"))
    assert names(client, words) == ["OLD A", "NEW", "OLD GONE"]
    assert await rows(own_database, words) == [
        ["OLD B", 10, False], ["OLD A", 20, True], ["NEW", 21, True], ["OLD GONE", 22, True],
    ]  # fmt: skip
    untouched = f"SELECT id FROM {words.table} WHERE updated_at = '2024-01-01'"
    assert await databases.column(own_database, untouched) == ["c2"]
    keys = f"SELECT id FROM {words.table} WHERE id LIKE 'c_' ORDER BY id"
    assert await databases.column(own_database, keys) == ["c1", "c2", "c3"]


@pytest.mark.parametrize(
    "name",
    ["", " ", "\u200b", "a\x00b", "a\nb", "x" * 65, "x" * 200_000, ".", "..", None, True, [], {},
     10**400],
    ids=repr,
)  # fmt: skip
@every
def test_what_is_no_word_is_a_422(unchanged: httpx.Client, words: WordList, name: Any) -> None:
    answer = unchanged.post(path(words), json=new_word(words, name))
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["path"] in {"name", "rate"}
    assert len(answer.text) < 2_000


@pytest.mark.parametrize(
    "names", [None, "HDMI", {}, 1, [1], [None], [[]], ["\x00"], [""], ["x" * 2_000], ["x"] * 501]
)
@every
def test_what_is_no_order_is_a_422(unchanged: httpx.Client, words: WordList, names: Any) -> None:
    answer = unchanged.put(path(words, "/reorder"), json=order(words, names))
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("name", ["%00", "%0A", "", "%FF", "%2F%2F", "x" * 5_000, "reorder"])
@every
def test_what_nobody_added_cannot_be_removed(
    unchanged: httpx.Client, words: WordList, name: str
) -> None:
    assert unchanged.delete(path(words, f"/{name}")).status_code == 404


@pytest.mark.parametrize("content", [b"[]", b"1", b'"x"', b"null", b"", b"{}"])
def test_json_of_another_shape_is_a_422(unchanged: httpx.Client, content: bytes) -> None:
    for words in LISTS:
        for method, end in (("POST", ""), ("PUT", "/reorder")):
            answer = unchanged.request(method, path(words, end), content=content, headers=JSON)
            assert answer.status_code == 422
    if content != b"{}":
        assert unchanged.put(ROOT, content=content, headers=JSON).status_code == 422
    assert unchanged.put(ROOT, content=b"{", headers=JSON).status_code == 400


def test_a_list_has_a_bound(client: httpx.Client, own_database: str) -> None:
    fill = (
        "INSERT INTO connector_types (id, name, sort_order, updated_at) SELECT n::text, 'W' || n, "
        f"2147483647, now() FROM generate_series(1, {list_edits.MOST - 1}) AS n"
    )
    asyncio.run(databases.execute(own_database, fill))
    last = client.post(path(CONNECTOR_TYPES), json={"name": "LAST"})
    assert last.json()[-1] == "LAST"
    answer = client.post(path(CONNECTOR_TYPES), json={"name": "ONE MORE"})
    assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")


def test_a_post_that_is_sent_again_adds_one(client: httpx.Client) -> None:
    key = {"idempotency-key": str(uuid4())}
    answers = [
        client.post(path(CONNECTOR_TYPES), json={"name": "NEW"}, headers=key) for _ in range(2)
    ]
    assert [answer.json()[-1] for answer in answers] == ["NEW", "NEW"]


def test_a_copy_that_is_the_newest_is_not_sent_again(client: httpx.Client) -> None:
    for each in (ROOT, path(CONNECTOR_TYPES)):
        etag = client.get(each).headers["etag"]
        assert client.get(each, headers={"if-none-match": etag}).status_code == 304
    client.post(path(CONNECTOR_TYPES), json={"name": "NEW"})
    assert client.get(each, headers={"if-none-match": etag}).status_code == 200


# Two at once: another process has written and not committed, when this one is asked.
def editing(words: WordList, edit: list_edits.ListEdit) -> Callable[[Held], Awaitable[Any]]:
    async def write(context: WriteContext) -> bytes:
        return await list_edits.edit_list(context.connection, words, edit)

    return lambda held: held.write("list", write)


@every
@pytest.mark.parametrize("stored", [True, False])
async def test_two_add_the_same_word_at_once(
    client: httpx.Client, own_database: str, words: WordList, stored: bool
) -> None:
    if stored:
        await older_rows(own_database, words)
    body = new_word(words, "NEW")
    _, answer = await after(
        own_database, editing(words, add("new")), lambda: client.post(path(words), json=body)
    )
    assert answer.status_code == 409
    assert [name for name in names(client, words) if name.lower() == "new"] == ["new"]


async def test_one_process_adds_the_same_word_once(client: httpx.Client) -> None:
    def post() -> int:
        return client.post(path(CONNECTOR_TYPES), json={"name": "NEW"}).status_code

    answers = await asyncio.gather(*(asyncio.to_thread(post) for _ in range(6)))
    assert sorted(answers) == [200, 409, 409, 409, 409, 409]
    assert names(client, CONNECTOR_TYPES) == [*CONNECTOR_TYPES.defaults, "NEW"]


@every
@pytest.mark.parametrize("turn", [1, -1])
async def test_of_two_orders_the_later_counts(
    client: httpx.Client, own_database: str, words: WordList, turn: int
) -> None:
    one, other = [[*words.defaults[:3]], [*reversed(words.defaults[:3])]][::turn]
    _, answer = await after(
        own_database, editing(words, reorder(one, "types")),
        lambda: client.put(path(words, "/reorder"), json=order(words, other)),
    )  # fmt: skip
    assert answer.json() == [*other, *words.defaults[3:]] == names(client, words)


@every
@pytest.mark.parametrize("first", ["add", "order"])
async def test_an_order_and_a_new_word_at_once_lose_nothing(
    client: httpx.Client, own_database: str, words: WordList, first: str
) -> None:
    turned = [*reversed(words.defaults)]
    edit = add("NEW") if first == "add" else reorder(turned, "types")
    _, answer = await after(
        own_database, editing(words, edit),
        lambda: client.put(path(words, "/reorder"), json=order(words, turned))
        if first == "add" else client.post(path(words), json=new_word(words, "NEW")),
    )  # fmt: skip
    assert answer.json() == [*turned, "NEW"] == names(client, words)


async def test_an_order_that_names_what_another_has_just_removed_is_a_422(
    client: httpx.Client, own_database: str
) -> None:
    _, answer = await after(
        own_database, editing(CONNECTOR_TYPES, remove("VGA")),
        lambda: client.put(path(CONNECTOR_TYPES, "/reorder"), json={"types": ["VGA"]}),
    )  # fmt: skip
    assert answer.status_code == 422


# Announcements.
@pytest.fixture
async def announced(own_database: str) -> Any:
    connection = await asyncpg.connect(**DatabaseUrl.parse(own_database).connect_args())
    queue: asyncio.Queue[str] = asyncio.Queue()
    await connection.add_listener(CHANNEL, lambda *sent: queue.put_nowait(str(sent[3])))
    yield queue
    await connection.close()


@every
async def test_a_change_is_announced_and_nothing_else(
    client: httpx.Client, own_database: str, words: WordList, announced: asyncio.Queue[str]
) -> None:
    def change(method: str, end: str, body: Any = None) -> None:
        client.request(method, path(words, end), json=body)

    change("POST", "", new_word(words, words.defaults[0]))  # refused
    change("PUT", "/reorder", order(words, []))  # the same order
    change("POST", "/restore-defaults")  # the same words
    change("POST", "", new_word(words, "NEW"))
    assert await asyncio.wait_for(announced.get(), 60) == f"{words.event} "
    change("PUT", "/reorder", order(words, ["NEW"]))
    change("DELETE", "/NEW")
    client.delete(remove_path(words, words.defaults[0]))
    change("POST", "/restore-defaults")
    for _ in range(4):
        assert await asyncio.wait_for(announced.get(), 60) == f"{words.event} "
    # What is announced next shows that nothing stands between.
    change("DELETE", f"/{quote(words.defaults[0], safe='')}")
    await asyncio.wait_for(announced.get(), 60)
    assert announced.empty()


@every
async def test_what_everybody_is_sent_is_the_list(
    client: httpx.Client, own_database: str, words: WordList
) -> None:
    connection = await asyncpg.connect(**DatabaseUrl.parse(own_database).connect_args())
    try:
        client.delete(remove_path(words, words.defaults[0]))
        sent = await RENDERERS[words.event](connection, "")
    finally:
        await connection.close()
    assert sent == list(words.defaults[1:]) == names(client, words)


def test_events_have_the_names_of_the_contract() -> None:
    assert [words.event for words in LISTS] == [
        "settings:connector-types-updated", "settings:source-types-updated",
        "settings:frame-rates-updated", "settings:resolution-presets-updated",
    ]  # fmt: skip


# All settings.
def stored(client: httpx.Client) -> dict[str, Any]:
    body: dict[str, Any] = client.get(ROOT).raise_for_status().json()
    return body


def test_the_settings_begin_with_the_lists(client: httpx.Client) -> None:
    assert stored(client) == {words.member: list(words.defaults) for words in LISTS}
    client.post(path(FRAME_RATES), json={"rate": "75"})
    assert stored(client)["frameRates"] == [*FRAME_RATES.defaults, "75"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_settings_are_stored_by_key(client: httpx.Client, method: str) -> None:
    one = {"key": "theme", "value": {"dark": True}, "userId": "u1"}
    answer = client.request(method, ROOT, json=one)
    assert answer.status_code == 200, answer.text
    assert answer.json()["theme"] == {"dark": True}
    many = {"units": "ft", "list": [1, None, 2.5], "key": "zero", "value": 0, "user_name": "Ann"}
    answer = client.request(method, ROOT, json=many)
    rest = {k: v for k, v in answer.json().items() if k not in {w.member for w in LISTS}}
    assert rest == {"theme": {"dark": True}, "units": "ft", "list": [1, None, 2.5], "zero": 0}
    assert stored(client) == answer.json()
    assert "x-ignored-fields" not in answer.headers


def test_null_removes_a_key(client: httpx.Client) -> None:
    client.put(ROOT, json={"theme": "dark", "units": "ft"})
    client.put(ROOT, json={"key": "theme", "value": None})
    after_it = client.put(ROOT, json={"nobody": None}).json()
    assert ("theme" in after_it, after_it["units"]) == (False, "ft")
    assert client.put(ROOT, json={"value": ""}).status_code == 422


async def test_older_settings_are_served_and_kept(client: httpx.Client, own_database: str) -> None:
    await databases.execute(
        own_database,
        """INSERT INTO settings (id, key, value, category, updated_at) VALUES
        ('s1', 'theme', '"light"', 'look', '2024-01-01'), ('s2', 'error', '1', NULL, '2024-01-01'),
        ('s3', 'frameRates', '[1]', NULL, '2024-01-01')""",
    )
    assert stored(client)["theme"] == "light"
    assert "error" not in stored(client), "no success has a member of that name"
    assert stored(client)["frameRates"] == list(FRAME_RATES.defaults)
    assert client.put(ROOT, json={"theme": "dark"}).json()["theme"] == "dark"
    kept = "SELECT concat_ws(' ', id, key, value, category) FROM settings ORDER BY id"
    assert await databases.column(own_database, kept) == [
        's1 theme "dark" look', "s2 error 1", "s3 frameRates [1]",
    ]  # fmt: skip


DEEP: Any = 1
for _ in range(150):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"frameRates": ["60"]}, "frameRates"), ({"key": "resolutions", "value": 1}, "resolutions"),
        ({"error": "x"}, "error"), ({"key": "userId", "value": "x"}, "userId"),
        ({"key": "value", "value": "x"}, "value"), ({"key": "theme"}, "value"),
        ({"value": 1}, "key"), ({"key": 7, "value": 1}, "key"), ({"": 1}, "body"),
        ({"a\x00": 1}, "a\x00"),
        ({"a\nb": 1}, "a\nb"), ({"x" * 201: 1}, "x" * 200), ({"a": "\x00"}, "a"),
        ({"a": {"\x00": 1}}, "a"), ({"a": DEEP}, "a"), ({"a": "x" * 100_001}, "a"),
        ({str(n): n for n in range(101)}, "body"), ({"theme": "dark", "error": 1}, "error"),
        ({"userId": "\x00"}, "userId"),
    ],
    ids=range(19),
)  # fmt: skip
def test_what_cannot_be_stored_is_a_422(
    unchanged: httpx.Client, body: dict[str, Any], where: str
) -> None:
    before = stored(unchanged)
    answer = unchanged.put(ROOT, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["path"] == where
    assert stored(unchanged) == before


def test_settings_have_a_bound(client: httpx.Client, own_database: str) -> None:
    fill = (
        "INSERT INTO settings (id, key, value, updated_at) SELECT n::text, 'k' || n, '1', now() "
        f"FROM generate_series(1, {settings.MOST_KEYS}) AS n"
    )
    asyncio.run(databases.execute(own_database, fill))
    answer = client.put(ROOT, json={"theme": "dark"})
    assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")
    assert client.put(ROOT, json={"k1": 2}).json()["k1"] == 2
    assert client.put(ROOT, json={"k2": None, "theme": "dark"}).json()["theme"] == "dark"


@pytest.mark.parametrize("turn", [1, -1])
async def test_two_settings_at_once_are_both_stored(
    client: httpx.Client, own_database: str, turn: int
) -> None:
    one, other = [{"a": 1, "b": 1}, {"b": 2, "a": 2}][::turn]

    async def write(context: WriteContext) -> bytes:
        return await settings.store_settings(context.connection, {**one, "c": 3})

    _, answer = await after(
        own_database, lambda held: held.write("settings", write),
        lambda: client.put(ROOT, json=other),
    )  # fmt: skip
    assert {**other, "c": 3}.items() <= answer.json().items()


# The edits themselves, on any list.
NAMES: Final = st.sampled_from(["HDMI", "hdmi", "SDI", "sdi ", "DP", "LC", "X", "Y"])
EDITS: Final = st.one_of(
    NAMES.map(add), NAMES.map(remove), st.just(restore_defaults),
    st.lists(NAMES, max_size=3).map(lambda names: reorder(names, "types")),
)  # fmt: skip


@given(st.lists(NAMES, max_size=6, unique_by=CONNECTOR_TYPES.same), st.lists(EDITS, max_size=12))
def test_no_row_is_lost_and_no_word_is_twice(first: list[str], edits: list[Any]) -> None:
    listed: list_edits.Words = tuple(
        Word(str(n), name, n, bool(n % 3)) for n, name in enumerate(first)
    )
    for edit in edits:
        before = listed
        try:
            listed = edit(CONNECTOR_TYPES, before)
        except SignalbookError as refusal:
            assert refusal.status in {404, 409, 422}  # noqa: PT017  # either is right, by the list
            continue
        assert {row.id for row in before} <= {row.id for row in listed}
        active = [CONNECTOR_TYPES.same(row.name) for row in listed if row.is_active]
        assert len(active) == len(set(active))
        assert len({row.name for row in listed}) == len(listed), "the table takes each name once"
