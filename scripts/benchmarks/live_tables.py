"""The tables of the live push, and whether its bars are met."""

from collections.abc import Sequence
from dataclasses import astuple
from statistics import median
from typing import Final

from scripts.benchmarks.announcing import Cost
from scripts.benchmarks.hearing import Account
from scripts.benchmarks.push import PROCESSES, RATE, PushResult
from scripts.benchmarks.sockets import SOCKETS, CrowdResult
from scripts.benchmarks.targets import ratio

LATE_MILLISECONDS: Final = 150.0
_HEAD: Final = (
    "| p50 ms | p99 ms | longest ms | after its answer: p50 | p99 | events | lost | "
    "repeated | out of order |"
)
_LINE: Final = "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"


def pushed(result: PushResult) -> str:
    """Return the push's table in Markdown, and whether its bars are met."""
    last = result.accounts[_sockets_of_last(result)]
    faults = sum(account.faults for account in result.accounts.values())
    expected = sum(account.expected for account in result.accounts.values())
    lines = [
        "### Live push", "",
        (
            f"{PROCESSES} processes. {RATE} writes a second go to process 1, whether or not "
            f"earlier ones were answered, for {result.seconds} s. Times run from just before a "
            "write's request is sent until a client has read its event."
        ), "",
        f"| heard by {_HEAD}", _LINE,
        *(_account(who, account) for who, account in result.accounts.items()), "",
        (
            f"- A write on process 1 is heard on process {PROCESSES}, p99 below "
            f"{LATE_MILLISECONDS:.0f} ms: {last.since_sent.p99:.1f} ms, "
            f"{_met(last.since_sent.p99 < LATE_MILLISECONDS)}."
        ),
        (
            f"- No event is lost, repeated or out of order: {faults} of {expected:,}, "
            f"{_met(not faults)}."
        ), "",
        f"Of one core: {_shares(result)}. The writer was at most {result.late:.1f} ms late (p99).",
    ]  # fmt: skip
    return "\n".join(lines)


def crowded(result: CrowdResult | None) -> str:
    """Return the idle sockets' table in Markdown."""
    if result is None:
        return "Idle sockets are not measured here: this system has no `/proc`."
    before = result.footprints[0]
    lines = [
        "### Idle sockets", "",
        (
            f"One process, {SOCKETS:,} WebSockets that watch {result.productions} productions. "
            f"They joined in {result.joining:.1f} s. Idle, they take {result.idle:.1%} of one core."
        ), "",
        "| one process of Signalbook | MB | more, kB a socket | open files |",
        "|---|--:|--:|--:|",
    ]  # fmt: skip
    for at in result.footprints:
        each = (at.megabytes - before.megabytes) * 1024 / SOCKETS
        more = "" if at is before else f"{each:.1f}"
        lines.append(f"| {at.when} | {at.megabytes:.1f} | {more} | {at.files} |")
    account = result.account
    lines += [
        "", f"| one write to each production, heard by {_HEAD}", _LINE,
        _account(f"{SOCKETS:,} sockets", account), "",
        f"- Memory of an idle socket: {result.each:.1f} kB.",
        (
            f"- All had heard {result.until_all:.2f} s after the first of the {result.productions} "
            "writes was sent."
        ),
        (
            f"- No event is lost, repeated or out of order: {account.faults} of "
            f"{account.expected:,}, {_met(not account.faults)}."
        ),
    ]  # fmt: skip
    return "\n".join(lines)


def announced(costs: Sequence[Cost]) -> str:
    """Return the table of what announcing costs in Markdown."""
    lines = [
        "### What announcing costs", "",
        (
            "The same writes with `pg_notify` in their transaction and without it, in turn in the "
            "same rounds."
        ), "",
        (
            "| workload | listeners | announced, a second | silent, a second | announced is … "
            "times as fast | announced, p99 ms | silent, p99 ms |"
        ),
        "|---|--:|--:|--:|--:|--:|--:|",
    ]  # fmt: skip
    for cost in costs:
        both = (cost.announced, cost.silent)
        with_it, without = (f"{median(one.rate for one in turns):,.0f}" for turns in both)
        late, silent_late = (f"{median(one.p99 for one in turns):.2f}" for turns in both)
        lines.append(
            f"| {cost.title} | {cost.listeners} | {with_it} | {without} | {ratio(*both)} | "
            f"{late} | {silent_late} |"
        )
    return "\n".join(lines)


def _sockets_of_last(result: PushResult) -> str:
    return next(who for who in result.accounts if who.endswith(f"sockets on process {PROCESSES}"))


def _account(who: str, account: Account) -> str:
    since_sent, since_answered = account.since_sent, account.since_answered
    times = (*astuple(since_sent), since_answered.p50, since_answered.p99)
    counts = (account.expected, account.lost, account.repeated, account.disordered)
    cells = [*(f"{one:.1f}" for one in times), *(f"{one:,}" for one in counts)]
    return f"| {who} | {' | '.join(cells)} |"


def _shares(result: PushResult) -> str:
    return ", ".join(f"{who} {share:.0%}" for who, share in result.shares.items())


def _met(met: bool) -> str:  # noqa: FBT001  # what it returns follows from it
    return "met" if met else "**MISSED**"
