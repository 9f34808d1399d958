"""Responses made of the bytes that PostgreSQL made, with gzip for the long ones.

docs/decisions/0010-compression.md has the measurements behind the numbers of gzip.
"""

import asyncio
import re
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

from fastapi import Response
from isal import isal_zlib
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from app.api.error_responses import problem_json
from app.api.json_requests import JSON_TYPE
from app.masking import masked
from app.model.schemas import unknown_members
from app.rules.etags import entity_tag
from app.store.many_writes import Outcome

IGNORED: Final = "x-ignored-fields"
# Proxies accept a header of this many names and characters.
_IGNORED_NAMES: Final = 50
_IGNORED_LENGTH: Final = 2_000
_JSON: Final = (b"content-type", JSON_TYPE.encode())
_GZIPPED: Final = (b"content-encoding", b"gzip")
_PRIVATE: Final = (b"cache-control", b"private, no-cache")
_VARY: Final = (b"vary", b"Accept-Encoding")
# A shorter answer fits into a packet or two as it is.
_WORTH_IT: Final = 1_400
# A longer answer would block the event loop, and with it every other request, for some 5 ms.
_IN_A_THREAD: Final = 2_000_000
_LEVEL: Final = 1
_GZIP: Final = 16 + 15  # zlib's window bits: gzip's header, the largest window
_NAME: Final = r"\s*([\w!#$%&'*+.^`|~-]+)\s*"
_WEIGHT: Final = r"(?:;\s*[qQ]\s*=\s*([01](?:\.\d{0,3})?)\s*)?"
_CODING: Final = re.compile(_NAME + _WEIGHT, re.ASCII)


class ReadResponse(Response):
    """JSON in pieces, which are sent without being joined; or a 304 where there are none.

    ``headers`` are those of a body, its type above all, where that is not JSON.

    ``etag`` is "" where the state of the answer is not known. A ``compressible`` answer is sent as
    gzip to clients that take it, so its tag must be weak.
    """

    def __init__(
        self, pieces: Sequence[bytes] | None, etag: str = "", *, compressible: bool = False,
        headers: Sequence[tuple[bytes, bytes]] = (_JSON,),
    ) -> None:  # fmt: skip
        self.status_code = 304 if pieces is None else 200
        self.background = None
        self.raw_headers = []
        if etag:
            self.raw_headers += [(b"etag", etag.encode()), _PRIVATE]
        if compressible:
            self.raw_headers.append(_VARY)
        self._pieces, self._compressible, self._of_body = pieces, compressible, headers

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send,  # noqa: ARG002  # ASGI's signature
    ) -> None:  # fmt: skip
        """Send the answer."""
        headers, pieces = self.raw_headers, self._pieces
        if pieces is None:
            pieces = [b""]
        else:
            would_pay = self._compressible and is_worth_it(pieces)
            if would_pay and accepts_gzip(header(scope, b"accept-encoding")):
                pieces = [await gzipped(pieces)]
                headers.append(_GZIPPED)
            length = sum(map(len, pieces))
            headers += [(b"content-length", str(length).encode()), *self._of_body]
        start = {"type": "http.response.start", "status": self.status_code, "headers": headers}
        await send(start)
        last = len(pieces) - 1
        for index, piece in enumerate(pieces):
            await send({"type": "http.response.body", "body": piece, "more_body": index < last})


def header(scope: Scope, name: bytes) -> bytes:
    """Return a header of the request, several of one name as one list; empty if absent."""
    return b", ".join([value for key, value in scope["headers"] if key == name])


def json_response(
    body: bytes, *, status: int = 200, etag: str = "", request_body: BaseModel | None = None,
    aliases: Collection[str] = (), ignored: Iterable[str] = (),
) -> Response:  # fmt: skip
    """Return JSON bytes as a response that names the ignored members of the request, each once.

    ``aliases`` are members that the body's schema does not have but that were used all the same,
    ``ignored`` are further ones that were not used.
    """
    response = Response(body, status, media_type=JSON_TYPE)
    if etag:
        response.headers["etag"] = etag
    if request_body is not None:
        unknown = [name for name in unknown_members(request_body) if name not in aliases]
        if names := [*unknown, *ignored]:
            response.headers[IGNORED] = ignored_names(names)
    return response


def ignored_names(names: Iterable[str], more: str = "") -> str:
    """Return what the header says of ignored names, each once; ``more`` is what it said before."""
    listed = [part for part in more.split(", ") if part]
    quoted = dict.fromkeys([*listed, *(quote(masked(name)[:100], safe="") for name in names)])
    short = ", ".join(list(quoted)[:_IGNORED_NAMES])
    return short if len(short) <= _IGNORED_LENGTH else short[:_IGNORED_LENGTH] + "..."


def created_response(request_body: BaseModel, row: bytes) -> Response:
    """Return the response to the request that created a row."""
    return json_response(row, status=201, etag=entity_tag(row), request_body=request_body)


def outcome_json(name: bytes, outcome: Outcome[Any], path: str) -> bytes:
    """Return an outcome as JSON: the members that ``name`` it, and the row, served at ``path``."""
    members = [name, b'"status":"%b"' % outcome.status.encode()]
    if outcome.entity is not None:
        members.append(b'"entity":' + outcome.entity)
    if outcome.error is not None:
        members.append(b'"error":' + problem_json(outcome.error, path))
    return b"{%b}" % b",".join(members)


def is_worth_it(pieces: Sequence[bytes]) -> bool:
    """Whether an answer is long enough to be compressed."""
    return sum(map(len, pieces)) >= _WORTH_IT


@lru_cache(maxsize=64)
def accepts_gzip(accept_encoding: bytes) -> bool:
    """Whether a well-formed part of ``Accept-Encoding`` gives gzip, or ``*``, a weight above 0."""
    weights: dict[str, float] = {}
    for part in accept_encoding.decode("latin-1").split(","):
        if coding := _CODING.fullmatch(part):
            weights[coding[1].lower()] = float(coding[2] or 1)
    for name in ("gzip", "x-gzip", "*"):
        if name in weights:
            return weights[name] > 0
    return False


async def gzipped(pieces: Sequence[bytes]) -> bytes:
    """Compress pieces into one stream."""
    if sum(map(len, pieces)) < _IN_A_THREAD:
        return _gzipped(pieces)
    return await asyncio.to_thread(_gzipped, pieces)


def _gzipped(pieces: Sequence[bytes]) -> bytes:
    compressor = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP)
    return b"".join([*map(compressor.compress, pieces), compressor.flush()])
