"""Checks that the servers give the same answers, and that they write what they say."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import httpx

from scripts.benchmarks import show
from scripts.benchmarks.contenders import OURS, Contender
from scripts.benchmarks.load import Measurement
from scripts.benchmarks.serving import Running, ask
from scripts.benchmarks.workloads import Workload

Entered = Sequence[tuple[Contender, Running]]
"""The contenders, each with its running server."""


class Disagreement(Exception):
    """Two servers answer the same request differently, or a write is not in the change log."""


def check(entered: Entered, workloads: Sequence[Workload]) -> None:
    """Ask every server each read once. Raise Disagreement."""
    ours = next((running for contender, running in entered if contender.name == OURS.name), None)
    for workload in workloads:
        if ours is not None and not workload.writes and not workload.conditional:
            for contender, running in entered:
                if workload.name in contender.workloads and running.origin is not None:
                    _check(workload, contender, ours, running)


def _check(workload: Workload, contender: Contender, ours: Running, theirs: Running) -> None:
    for path in workload.traffic(ours.stage.show).paths:
        mine, other = (_ask(server, path) for server in (ours, theirs))
        if not _agree(contender, mine, other):
            raise Disagreement(f"{contender.title} answers differently: {workload.title}, {path}.")


def _ask(server: Running, path: str) -> httpx.Response:
    try:
        return ask(f"{server.origin}{path}").raise_for_status()
    except httpx.HTTPStatusError as refused:
        status = refused.response.status_code
        raise Disagreement(
            f"{path} is answered with {status}: there is nothing to measure."
        ) from None


def _agree(contender: Contender, ours: httpx.Response, theirs: httpx.Response) -> bool:
    if contender.agrees == "bytes":
        return ours.content == theirs.content
    return bool(_normal(ours.json()) == _normal(theirs.json()))


def _normal(value: Any) -> Any:
    """Return the value with times as instants, so that ``.120Z`` equals ``.120000Z``."""
    if isinstance(value, list):
        return [_normal(element) for element in value]
    if isinstance(value, dict):
        return {name: _normal(member) for name, member in value.items()}
    if isinstance(value, str) and value.endswith("Z"):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return value
    return value


def check_written(
    contender: Contender, running: Running, workload: Workload, measured: Sequence[Measurement]
) -> None:
    """Check that the change log has every write that was answered. Raise Disagreement."""
    if not (workload.writes and contender.logs):
        return
    answered = sum(one.requests for one in measured)
    logged = asyncio.run(show.logged(running.stage.database_url))
    if logged < answered:
        raise Disagreement(
            f"{contender.title} answered {answered} requests ({workload.title}) and logged "
            f"{logged}: what it measures is not the same work."
        )
