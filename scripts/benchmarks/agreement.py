"""Refuses to compare servers that do not give the same answer."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx

from scripts.benchmarks.contenders import CONTENDERS, OURS, Contender, Running
from scripts.benchmarks.show import Show
from scripts.benchmarks.workloads import WORKLOADS, Workload


class Disagreement(Exception):
    """Two servers answer the same request differently."""


def check(running: Mapping[str, Running], show: Show) -> None:
    """Ask every server each read once. Raises Disagreement."""
    for workload in WORKLOADS:
        if not workload.writes:
            _check(workload, running, show)


def _check(workload: Workload, running: Mapping[str, Running], show: Show) -> None:
    ours = _asked(running[OURS.name], workload, show)
    for contender in CONTENDERS:
        if contender.name not in running or workload.name not in contender.workloads:
            continue
        theirs = _asked(running[contender.name], workload, show)
        if ours is not None and theirs is not None and not _agree(contender, ours, theirs):
            raise Disagreement(f"{contender.title} answers differently: {workload.title}.")


def _asked(server: Running, workload: Workload, show: Show) -> httpx.Response | None:
    if server.origin is None:
        return None
    path = workload.traffic(show).paths[0]
    return httpx.get(server.origin + path, timeout=10, trust_env=False).raise_for_status()


def _agree(contender: Contender, ours: httpx.Response, theirs: httpx.Response) -> bool:
    if contender.agrees == "bytes":
        return ours.content == theirs.content
    return bool(_normal(ours.json()) == _normal(theirs.json()))


def _normal(value: Any) -> Any:
    """Read times as instants, so that ``.120Z`` and ``.120000Z`` are the same."""
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
