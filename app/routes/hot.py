"""The hot reads, found by one look into a dictionary.

Matching a path against every route in turn costs more than the statement that answers it. The
routes stay registered for the OpenAPI document, and for the answers to other methods; this one
stands before them and takes their GETs.
"""

from collections.abc import Iterable

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from app.routes.plumbing import Endpoint


class HotRoute(APIRoute):
    """Documents a read whose endpoint takes the request and gives the response: ``HotReads``
    answers it, since solving parameters would cost more than the read."""


class HotReads(BaseRoute):
    """Answers GETs of paths that are fixed, or fixed up to a last segment."""

    def __init__(self, prefix: str, routes: Iterable[BaseRoute]) -> None:
        hot = [route for route in routes if isinstance(route, HotRoute)]
        self._exact: dict[str, Endpoint] = {}
        self._keyed: dict[str, tuple[str, Endpoint]] = {}
        for route in hot:
            fixed, _, last = f"{prefix}{route.path}".rpartition("/")
            if last.startswith("{"):
                self._keyed[fixed] = (last.strip("{}"), route.endpoint)
            else:
                self._exact[f"{fixed}/{last}"] = route.endpoint

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Take a GET of a hot path; leave everything else to the other routes."""
        if scope["type"] != "http" or scope["method"] != "GET":
            return Match.NONE, {}
        path: str = scope["path"]
        if endpoint := self._exact.get(path):
            return Match.FULL, {"endpoint": endpoint, "path_params": {}}
        fixed, _, last = path.rpartition("/")
        if last and (keyed := self._keyed.get(fixed)):
            return Match.FULL, {"endpoint": keyed[1], "path_params": {keyed[0]: last}}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; what the endpoint raises is the error handlers' to answer."""
        response = await scope["endpoint"](Request(scope, receive, send))
        await response(scope, receive, send)
