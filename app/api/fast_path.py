"""The hot reads: found by a look into a dictionary, answered before the framework has begun.

Matching a path against every route in turn, and solving its parameters, costs more than the
statement that answers it. The routes stay registered for the OpenAPI document and for the answers
to other methods; this layer stands before them and takes their GETs.
"""

from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Final, NamedTuple

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api import errors as problems
from app.api.compression import accepts_gzip, gzipped, is_worth_it
from app.api.requests import Endpoint
from app.errors import SignalbookError
from app.rules.etags import matches


class Answer(NamedTuple):
    """What a hot read gives: JSON in pieces, sent as they are. None: the client has it already.

    Without an ``etag`` nothing may be asked again by it. One answer in ``several`` encodings may
    be compressed; its tag is weak.
    """

    pieces: Sequence[bytes] | None
    etag: str = ""
    several: bool = False


HotRead = Callable[[Request], Coroutine[Any, Any, Answer]]
_JSON: Final = (b"content-type", b"application/json")
_GZIP: Final = (b"content-encoding", b"gzip")
_PRIVATE: Final = (b"cache-control", b"private, no-cache")
_VARY: Final = (b"vary", b"Accept-Encoding")


class FastReadRoute(APIRoute):
    """Documents a read that ``HotReads`` answers; its endpoint is a ``HotRead``.

    What only looks like its path (it ends in a line break) gets here, and is not there.
    """

    def get_route_handler(self) -> Endpoint:
        """Answer nothing."""

        async def not_there(_: Request) -> Response:
            raise HTTPException(404)

        return not_there


class FastReads:
    """Answers GETs of paths that are fixed, or fixed but for one segment."""

    def __init__(self, app: ASGIApp, prefix: str, routes: Iterable[BaseRoute]) -> None:
        self.app = app
        self._exact: dict[str, HotRead] = {}
        self._keyed: dict[tuple[str, str], tuple[str, HotRead]] = {}
        for route in routes:
            if isinstance(route, FastReadRoute):
                self._add(f"{prefix}{route.path}", route.endpoint)
        self._ends = {end for _, end in self._keyed if end}

    def _add(self, path: str, read: HotRead) -> None:
        before, opened, rest = path.partition("/{")
        if not opened:
            self._exact[path] = read
            return
        name, _, end = rest.partition("}")
        self._keyed[before, end.removeprefix("/")] = name, read

    def _find(self, path: str) -> tuple[HotRead, dict[str, str]] | None:
        if read := self._exact.get(path):
            return read, {}
        fixed, _, last = path.rpartition("/")
        end = ""
        if last in self._ends and (fixed, "") not in self._keyed:
            end = last
            fixed, _, last = fixed.rpartition("/")
        if last and (keyed := self._keyed.get((fixed, end))):
            return keyed[1], {keyed[0]: last}
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on."""
        found = None
        if scope["type"] == "http" and scope["method"] == "GET":
            found = self._find(scope["path"])
        if found is None:
            await self.app(scope, receive, send)
            return
        read, scope["path_params"] = found
        request = Request(scope, receive, send)
        try:
            answer = await read(request)
        except SignalbookError as error:
            response = await problems.answer_ours(request, error)
            await response(scope, receive, send)
            return
        await _send(answer, request, send)


def has_newest(request: Request, etag: str) -> bool:
    """Tell whether the client's copy has this tag."""
    return bool(etag) and matches(header(request, b"if-none-match"), etag)


def header(request: Request, name: bytes) -> bytes:
    """Give a header of the request, several of one name as one list; empty where there is none."""
    return b", ".join([value for key, value in request.scope["headers"] if key == name])


async def _send(answer: Answer, request: Request, send: Send) -> None:
    headers = []
    if answer.etag:
        headers += [(b"etag", answer.etag.encode()), _PRIVATE]
    if answer.several:
        headers.append(_VARY)
    if answer.pieces is None:
        await send({"type": "http.response.start", "status": 304, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return
    pieces = answer.pieces
    if answer.several and is_worth_it(pieces) and accepts_gzip(header(request, b"accept-encoding")):
        pieces = [await gzipped(pieces)]
        headers.append(_GZIP)
    length = sum(map(len, pieces))
    headers += [(b"content-length", str(length).encode()), _JSON]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    last = len(pieces) - 1
    for index, piece in enumerate(pieces):
        await send({"type": "http.response.body", "body": piece, "more_body": index < last})
