"""How late the holder of a token is answered while strangers do what they can, beside quiet turns.

Quiet and attacked turns follow each other, so that what else the machine does is in both.
"""

import time
from dataclasses import dataclass
from statistics import median
from typing import Final

from scripts.benchmarks.aside import Aside, aside
from scripts.benchmarks.attackers import ATTACKS
from scripts.benchmarks.contenders import SERVE
from scripts.benchmarks.memory import Footprint, footprint_now
from scripts.benchmarks.rounds import Effort
from scripts.benchmarks.serving import HttpServer, Stage, spawned, until_answered
from scripts.benchmarks.sockets import open_files
from scripts.benchmarks.workloads import Traffic

PART: Final = "hostile"
BAR: Final = 3.0
"""How many times as late as in quiet the 99th of 100 answers may come."""
_TOKEN: Final = "benchmark-of-strangers"  # noqa: S105  # it opens what runs for a minute
_ENVIRONMENT: Final = {"LOG_LEVEL": "WARNING", "ACCESS_TOKEN": _TOKEN}
_CONNECTIONS: Final = 4
_LEAD: Final = 2.0  # seconds that an attack has before the holder asks
_REST: Final = 12.0  # longer than the service waits for a CONNECT, or a slow body
_WITHIN: Final = 60


@dataclass(frozen=True)
class Siege:
    """One attack: the p99 of quiet and attacked turns in milliseconds, and memory in MB."""

    title: str
    quiet: list[float]
    attacked: list[float]
    connections: int
    before: Footprint
    most: Footprint
    after: Footprint

    @property
    def ratio(self) -> float:
        """How many times as late as in the quiet turn before."""
        pairs = zip(self.quiet, self.attacked, strict=True)
        return median(attacked / quiet for quiet, attacked in pairs)


def measured(stage: Stage, effort: Effort) -> str:
    """Let every attack loose on one process, and return the table. Raise LoadFailed."""
    with (
        open_files(), spawned(stage, SERVE, _ENVIRONMENT) as (process, origin),
        aside("attackers") as attackers,
    ):  # fmt: skip
        until_answered(process, f"{origin}/livez")
        service = HttpServer(stage, origin, process.pid)
        _ask(service, 1)
        return _table([_siege(service, attackers, name, effort) for name in ATTACKS])


def _siege(service: HttpServer, attackers: Aside, name: str, effort: Effort) -> Siege:
    attack = ATTACKS[name]
    quiet, attacked, opened = list[float](), list[float](), 0
    before = footprint_now("before", service.pid)
    most = before
    for turn in range(effort.rounds):
        effort.say(f"hostile: {attack.title}, round {turn + 1} of {effort.rounds}")
        quiet.append(_ask(service, effort.seconds))
        order = {"origin": service.origin, "attack": name, "lead": _LEAD}
        attackers.ask(order, _WITHIN)
        attacked.append(_ask(service, effort.seconds))
        current = footprint_now("most", service.pid)
        most = max(most, current, key=lambda each: each.megabytes)
        opened += attackers.ask({}, _WITHIN)
        time.sleep(_REST)
    after = footprint_now("after", service.pid)
    return Siege(attack.title, quiet, attacked, opened, before, most, after)


def _ask(service: HttpServer, seconds: int) -> float:
    """Ask for a list as the holder of the token; return the p99 in milliseconds."""
    path = f"/api/cameras/production/{service.stage.show.small[0]}"
    headers = {"Authorization": f"Bearer {_TOKEN}"}
    traffic = Traffic("GET", (path,), headers=headers, connections=_CONNECTIONS)
    return service.stage.generator.send(service.origin, traffic, seconds, 0).p99


def _table(sieges: list[Siege]) -> str:
    lines = [
        "### Strangers",
        "",
        "| attack | opened | quiet p99 ms | attacked p99 ms | times | memory, MB | open files |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for siege in sieges:
        looks = (siege.before, siege.most, siege.after)
        memory = ", ".join(f"{each.megabytes:.0f}" for each in looks)
        files = ", ".join(str(each.files) for each in looks)
        lines.append(
            f"| {siege.title} | {siege.connections:,} | {median(siege.quiet):.1f} | "
            f"{median(siege.attacked):.1f} | {siege.ratio:.2f} | {memory} | {files} |"
        )
    worst = max(siege.ratio for siege in sieges)
    word = "met" if worst <= BAR else "missed"
    lines += ["", f"- The latest, at most {BAR:g} times as late: {worst:.2f}, {word}."]
    return "\n".join(lines)
