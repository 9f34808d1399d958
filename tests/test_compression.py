"""gzip: the same bytes after unpacking, for who asks for it, where it pays."""

import gzip
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api import responses
from tests.support.service import created

Make = Callable[..., dict[str, Any]]
TAKES = ["gzip", "GZIP", "x-gzip", "gzip, deflate, br", "br;q=1.0, gzip;q=0.8", "*", "gzip;q=1",
         "identity;q=0.5, *;q=0.1", "gzip ; q=0.001", "*;q=0, gzip"]  # fmt: skip
REFUSES = ["", "identity", "br", "gzip;q=0", "gzip;q=0.000", "*;q=0", "gzip;q=0, *", "gzipped",
           "gzip;q=2", "gzip;q=x", "gzip;level=9", ";", "q=1", "gzip;q=-1"]  # fmt: skip


@pytest.fixture
def long(client: httpx.Client, production: dict[str, Any], make: Make) -> str:
    for _ in range(4):
        make("cameras", name="A long name for a camera", note="words " * 20)
    return str(production["uuid"])


def raw(client: httpx.Client, path: str, accepted: str) -> tuple[httpx.Headers, bytes]:
    """Return an answer as it was on the wire."""
    with client.stream("GET", path, headers={"accept-encoding": accepted}) as answer:
        return answer.headers, b"".join(answer.iter_raw())


@pytest.mark.parametrize("path", ["/api/cameras/production/{}", "/api/productions/{}/show"])
@pytest.mark.parametrize("accepted", TAKES)
def test_who_takes_gzip_gets_the_same_bytes_in_fewer(
    client: httpx.Client, long: str, path: str, accepted: str
) -> None:
    plain_headers, plain = raw(client, path.format(long), "identity")
    headers, packed = raw(client, path.format(long), accepted)
    assert headers["content-encoding"] == "gzip"
    assert int(headers["content-length"]) == len(packed) < len(plain)
    assert gzip.decompress(packed) == plain
    assert headers["etag"] == plain_headers["etag"]
    assert headers["etag"].startswith("W/")


@pytest.mark.parametrize("path", ["/api/cameras/production/{}", "/api/productions/{}/show"])
@pytest.mark.parametrize("accepted", REFUSES)
def test_who_does_not_gets_them_as_they_are(
    client: httpx.Client, long: str, path: str, accepted: str
) -> None:
    headers, plain = raw(client, path.format(long), accepted)
    assert "content-encoding" not in headers
    assert plain[:1] in b"[{"


@pytest.mark.parametrize("accepted", ["gzip", "identity"])
def test_caches_are_told_that_there_are_two(client: httpx.Client, long: str, accepted: str) -> None:
    headers, _ = raw(client, f"/api/cameras/production/{long}", accepted)
    assert "accept-encoding" in headers["vary"].lower()


def test_what_a_packet_carries_is_left_as_it_is(
    client: httpx.Client, production: dict[str, Any]
) -> None:
    headers, body = raw(client, f"/api/cameras/production/{production['uuid']}", "gzip")
    assert (body, headers.get("content-encoding")) == (b"[]", None)


def test_one_row_is_never_compressed_its_tag_is_strong(client: httpx.Client, make: Make) -> None:
    row = make("cameras", name="x", note="words " * 2_000)
    headers, body = raw(client, f"/api/cameras/{row['uuid']}", "gzip")
    assert "content-encoding" not in headers
    assert not headers["etag"].startswith("W/")
    assert len(body) > 10_000


def test_a_confirmed_list_has_no_encoding(client: httpx.Client, long: str) -> None:
    path = f"/api/cameras/production/{long}"
    tag = client.get(path).headers["etag"]
    answer = client.get(path, headers={"if-none-match": tag, "accept-encoding": "gzip"})
    assert (answer.status_code, answer.content) == (304, b"")
    assert "content-encoding" not in answer.headers
    assert "accept-encoding" in answer.headers["vary"].lower()


def test_an_error_is_sent_as_it_is(client: httpx.Client) -> None:
    headers, body = raw(client, f"/api/productions/{'x' * 3_000}/show", "gzip")
    assert headers["content-type"] == "application/problem+json"
    assert b"NOT_FOUND" in body


def test_the_list_of_productions_is_compressed_too(client: httpx.Client) -> None:
    for _ in range(3):
        created(client, "productions", name="A long name of a show " * 5)
    headers, packed = raw(client, "/api/productions", "gzip")
    assert headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed).startswith(b"[{")


@given(st.lists(st.binary(max_size=2_000), max_size=6))
def test_pieces_become_one_stream(pieces: list[bytes]) -> None:
    packed = responses._gzipped(pieces)  # noqa: SLF001  # without the event loop
    assert gzip.decompress(packed) == b"".join(pieces)


@pytest.mark.parametrize(("size", "here"), [(100_000, True), (2_500_000, False)])
async def test_what_takes_long_does_not_hold_the_event_loop(
    monkeypatch: pytest.MonkeyPatch, size: int, here: bool
) -> None:
    where: list[threading.Thread] = []
    pack = responses._gzipped  # noqa: SLF001  # watched

    def watched(pieces: Any) -> bytes:
        where.append(threading.current_thread())
        return pack(pieces)

    monkeypatch.setattr(responses, "_gzipped", watched)
    assert gzip.decompress(await responses.gzipped([b"a" * size])) == b"a" * size
    assert (where == [threading.main_thread()]) is here


@given(st.binary(max_size=60))
def test_reading_accept_encoding_never_raises(value: bytes) -> None:
    responses.accepts_gzip(value)
