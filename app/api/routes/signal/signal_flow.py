"""The routes of the signal flow: trace, impact, and the checks of a show. They only read."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Final, NamedTuple

from fastapi import HTTPException, Path, Query, Response
from pydantic_core import from_json, to_json

from app.api import openapi
from app.api.dependencies import (
    DatabaseDep,
    IfNoneMatchDep,
    KeyDep,
    ProductionDep,
    SignalsDep,
)
from app.api.responses import ReadResponse
from app.api.routes.routers import api_router
from app.api.signal_schemas import SignalChecks, SignalImpact, SignalTrace
from app.database.database import Database
from app.entities import by_path, root
from app.errors import AmbiguousId, Invalid, NotFound
from app.model.fields import NO_NUL
from app.releases.migrations import revisions
from app.rules.etags import fingerprint, list_tag, matches
from app.shows.signal_reading import SignalReader, show_kinds
from app.signal.answers.impact import impact
from app.signal.answers.show_signal import ShowSignal
from app.signal.answers.things import SignalThing, find_thing
from app.signal.answers.trace import TraceDirection, trace
from app.signal.checks.report import report
from app.signal.checks.rule_table import RULES, Severity
from app.store import read

router: Final = api_router("", "Signal flow")
_KEY: Final = openapi.path_parameter(
    "key", "The row's uuid, or its label where exactly one live row holds it."
)
_PARAMETERS: Final = [_KEY, openapi.IN_SHOW, openapi.IF_NONE_MATCH]
_REFUSALS: Final = openapi.documented(NotFound, AmbiguousId, Invalid)
_MOST_THINGS: Final = 100
_BEGINNING: Final = frozenset({"ORIGIN", "CAMERA"})
Collection = Annotated[
    str,
    Path(pattern=NO_NUL, description="The collection: of devices, device ports or connections."),
]
AskedDirection = Annotated[
    TraceDirection | None,
    Query(description="To the sources, or to the sends. Without it, to the sends for what a signal "
          "begins at, and to the sources for all else."),
]  # fmt: skip
FurtherThings = Annotated[
    list[str] | None,
    Query(alias="with", max_length=_MOST_THINGS,
          description="The uuids of further things of the show that are unplugged as well."),
]  # fmt: skip
Codes = Annotated[
    list[str] | None, Query(max_length=len(RULES), description="Only problems of these rules.")
]
Severities = Annotated[list[Severity] | None, Query(description="Only problems as grave as these.")]


class _AskedRow(NamedTuple):
    """The row that a request is about, by uuid, with its show."""

    uuid: str
    production: str


@router.get("/{collection}/{key}/trace", operation_id="trace_signal",
            summary="Trace a signal",
            description="Every hop of each way of the signal from a device, a port, a connection, "
            "a snake or a channel, and why in two sentences.",
            responses={**openapi.conditional(SignalTrace), **_REFUSALS},
            openapi_extra={"parameters": _PARAMETERS})  # fmt: skip
async def trace_signal(
    database: DatabaseDep, signals: SignalsDep, collection: Collection, key: KeyDep,
    if_none_match: IfNoneMatchDep, direction: AskedDirection = None,
) -> Response:  # fmt: skip
    """Answer with the ways of a signal."""
    row = await _find(database, collection, key)

    def answer(signal: ShowSignal) -> Any:
        thing = _thing(signal, row.uuid)
        begins = thing.device is not None and thing.device.role in _BEGINNING
        return trace(signal, thing, direction or ("downstream" if begins else "upstream"))

    version = f"trace {row.uuid} {direction}"
    return await _respond(signals, row.production, version, if_none_match, answer)


@router.get("/{collection}/{key}/impact", operation_id="get_impact",
            summary="Ask what goes dark",
            description="Which sends lose their signal when this is unplugged, alone or with "
            "other things, and which have a second path.",
            responses={**openapi.conditional(SignalImpact), **_REFUSALS},
            openapi_extra={"parameters": _PARAMETERS})  # fmt: skip
async def get_impact(
    database: DatabaseDep, signals: SignalsDep, collection: Collection, key: KeyDep,
    if_none_match: IfNoneMatchDep, others: FurtherThings = None,
) -> Response:  # fmt: skip
    """Answer with the sends that go dark."""
    row = await _find(database, collection, key)

    def answer(signal: ShowSignal) -> Any:
        things = [_thing(signal, row.uuid)]
        for uuid in dict.fromkeys(others or ()):
            other = find_thing(signal.graph, uuid)
            if other is None:
                raise Invalid.at("with", f"{uuid[:64]!r} is no uuid of a thing of this show")
            things.append(other)
        return impact(signal, things)

    version = f"impact {row.uuid} {others}"
    return await _respond(signals, row.production, version, if_none_match, answer)


@router.get(f"/{root().collection}/{{production}}/checks", operation_id="check_signals",
            summary="Check the signal flow of a show",
            description="Every rule over the whole show: what breaks it, where, and what to do.",
            responses={**openapi.conditional(SignalChecks), **_REFUSALS},
            openapi_extra={"parameters": [
                openapi.path_parameter("production", "The production's uuid or label."),
                openapi.IF_NONE_MATCH,
            ]})  # fmt: skip
async def check_signals(
    signals: SignalsDep, production: ProductionDep, if_none_match: IfNoneMatchDep,
    severity: Severities = None, code: Codes = None,
) -> Response:  # fmt: skip
    """Answer with the rules that a show breaks."""
    if unknown := sorted({*(code or ())} - RULES.keys()):
        raise Invalid.at("code", f"{unknown[0][:64]!r} is none of {', '.join(RULES)}")

    def answer(signal: ShowSignal) -> Any:
        whole = report(signal.problems, signal.seq)
        matching = [
            problem for problem in whole["problems"]
            if (not severity or problem["severity"] in severity)
            and (not code or problem["code"] in code)
        ]  # fmt: skip
        return {**whole, "problems": matching}

    version = f"checks {severity} {code}"
    return await _respond(signals, production, version, if_none_match, answer)


async def _find(database: Database, collection: str, key: str) -> _AskedRow:
    """Return the row under a key, of a collection that takes part. Raises NotFound."""
    entity = by_path().get(collection)
    if entity is None or entity.collection not in {kind.collection for kind in show_kinds()}:
        raise HTTPException(404)
    members = from_json(await read.get(database, entity, key))
    return _AskedRow(members["uuid"], members["productionUuid"])


def _thing(signal: ShowSignal, uuid: str) -> SignalThing:
    thing = find_thing(signal.graph, uuid)
    if thing is None:
        raise NotFound(f"{uuid!r} takes no part in the signal flow: it is a port of no device.")
    return thing


async def _respond(
    signals: SignalReader, production: str, version: str, if_none_match: bytes,
    answer: Callable[[ShowSignal], Any],
) -> Response:  # fmt: skip
    """Return an answer about a show, or 304 where the client has that of its newest state."""
    state = await signals.state(production)
    etag = list_tag(state, fingerprint(version, revisions.head()))
    if if_none_match and matches(if_none_match, etag):
        return ReadResponse(None, etag, compressible=True)
    signal = await signals.read(production, state)
    # A large show is checked for a second: other requests go on meanwhile.
    body = await asyncio.to_thread(lambda: to_json(answer(signal)))
    return ReadResponse([body], etag, compressible=True)
