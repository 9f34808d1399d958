"""Turns the live push into its tables, and judges its bars."""

from collections.abc import Sequence
from statistics import median
from typing import Final

from scripts.benchmarks.announcing import Cost
from scripts.benchmarks.hearing import Account
from scripts.benchmarks.push import PROCESSES, RATE, Pushed
from scripts.benchmarks.sockets import SOCKETS, Crowded
from scripts.benchmarks.targets import ratio

LATE_MILLISECONDS: Final = 150.0
_HEAD: Final = (
    "| p50 ms | p99 ms | longest ms | after its answer: p50 | p99 | events | lost | "
    "repeated | out of order |"
)
_LINE: Final = "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"


def pushed(found: Pushed) -> str:
    """Give the push's table in Markdown, and whether its bars are met."""
    last = found.accounts[_sockets_of_last(found)]
    faults = sum(account.faults for account in found.accounts.values())
    expected = sum(account.expected for account in found.accounts.values())
    lines = [
        "### Live push", "",
        (
            f"{PROCESSES} processes, {RATE} writes a second to process 1 whether or not earlier "
            f"ones were answered, {found.seconds} s: from just before a write's request is sent to "
            "its event in the hands of a client."
        ), "",
        f"| heard by {_HEAD}", _LINE,
        *(_account(who, account) for who, account in found.accounts.items()), "",
        (
            f"- A write on process 1 is heard on process {PROCESSES}, p99 below "
            f"{LATE_MILLISECONDS:.0f} ms: {last.since_sent.p99:.1f} ms, "
            f"{_met(last.since_sent.p99 < LATE_MILLISECONDS)}."
        ),
        (
            f"- No event is lost, repeated or out of order: {faults} of {expected:,}, "
            f"{_met(not faults)}."
        ), "",
        f"Of one core: {_shares(found)}. The writer was at most {found.late:.1f} ms late (p99).",
    ]  # fmt: skip
    return "\n".join(lines)


def crowded(found: Crowded | None) -> str:
    """Give the idle sockets' table in Markdown."""
    if found is None:
        return "Idle sockets are not measured here: this system has no `/proc`."
    before = found.held[0]
    lines = [
        "### Idle sockets", "",
        (
            f"One process, {SOCKETS:,} WebSockets that watch {found.productions} productions. They "
            f"joined in {found.joining:.1f} s; idle, they take {found.idle:.1%} of one core."
        ), "",
        "| one process of Signalbook | MB | more, kB a socket | open files |",
        "|---|--:|--:|--:|",
    ]  # fmt: skip
    for at in found.held:
        each = (at.megabytes - before.megabytes) * 1024 / SOCKETS
        more = "" if at is before else f"{each:.1f}"
        lines.append(f"| {at.when} | {at.megabytes:.1f} | {more} | {at.files} |")
    told = found.account
    lines += [
        "", f"| one write to each production, heard by {_HEAD}", _LINE,
        _account(f"{SOCKETS:,} sockets", told), "",
        f"- Memory of an idle socket: {found.each:.1f} kB.",
        (
            f"- All had heard {found.until_all:.2f} s after the first of the {found.productions} "
            "writes was sent."
        ),
        (
            f"- No event is lost, repeated or out of order: {told.faults} of {told.expected:,}, "
            f"{_met(not told.faults)}."
        ),
    ]  # fmt: skip
    return "\n".join(lines)


def announced(costs: Sequence[Cost]) -> str:
    """Give the table of what announcing costs in Markdown."""
    lines = [
        "### What announcing costs", "",
        (
            "The same writes with `pg_notify` in their transaction, and without it; the turns in "
            "the same rounds."
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


def _sockets_of_last(found: Pushed) -> str:
    return next(who for who in found.accounts if who.endswith(f"sockets on process {PROCESSES}"))


def _account(who: str, account: Account) -> str:
    sent, answered = account.since_sent, account.since_answered
    times = (sent.p50, sent.p99, sent.longest, answered.p50, answered.p99)
    counts = (account.expected, account.lost, account.repeated, account.disordered)
    cells = [*(f"{one:.1f}" for one in times), *(f"{one:,}" for one in counts)]
    return f"| {who} | {' | '.join(cells)} |"


def _shares(found: Pushed) -> str:
    return ", ".join(f"{who} {share:.0%}" for who, share in found.shares.items())


def _met(met: bool) -> str:  # noqa: FBT001  # it is judged
    return "met" if met else "**MISSED**"
