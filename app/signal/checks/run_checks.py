"""Rules about what a cable carries: link, format, family of signal, and length."""

import re
from collections.abc import Iterator
from typing import Final

from app.rules.links import LINKS, link_for
from app.signal.checks.rule_table import FlowProblem, RuleTable
from app.signal.graph.carried import CarriedFormats, StatedFormat, expected_by
from app.signal.graph.elements import CableRun, GraphNode, Ref
from app.signal.graph.flow_graph import FlowGraph
from app.signal.graph.show_devices import family_of
from app.signal.graph.snakes import is_optical, length_in_metres

_PASSIVE: Final = frozenset({("DP", "HDMI"), ("DP", "DVI"), ("HDMI", "DVI"), ("DVI", "HDMI")})
"""From and to: what a passive adapter joins."""
_OPEN_FAMILIES: Final = frozenset({"", "IP"})
_LINK: Final = re.compile(r"\b(270M|1\.5G|3G|6G|12G|24G)\b", re.IGNORECASE)
_QUAD: Final = re.compile(r"QUAD|4\s?[x\u00d7]\s?3G", re.IGNORECASE)


def run_problems(
    graph: FlowGraph, formats: CarriedFormats, table: RuleTable
) -> Iterator[FlowProblem]:
    """Yield what is wrong with what cables carry."""
    for run in graph.runs:
        yield from problems_of_run(run, formats.at(run.start), table)


def problems_of_run(
    run: CableRun, carried: StatedFormat | None, table: RuleTable
) -> Iterator[FlowProblem]:
    """Yield what is wrong with one cable that carries a format, also with one not there yet."""
    families = family_of(run.start), family_of(run.end)
    where = [run.start.ref, run.end.ref, *run.statements]
    yield from _families(run, families, where, table)
    yield from _length(run, families, carried, where, table)
    if carried is not None:
        yield from _links(run, carried, where, table)
        yield from _rates(run, carried, where, table)
        yield from _blanking(run, carried, families, where, table)


def _families(
    run: CableRun, families: tuple[str, str], where: list[Ref], table: RuleTable
) -> list[FlowProblem]:
    one, other = families
    is_open = one in _OPEN_FAMILIES or other in _OPEN_FAMILIES
    converts = any(is_optical(channel.device) for channel in run.channels)
    if one == other or is_open or converts:
        return []
    why = f"{run.start.words} is {one}, and {run.end.words} is {other}"
    if families in _PASSIVE:
        todo = f"Put a passive adapter from {one} to {other} on the pull list"
        return table.problems("CONNECTOR_MISMATCH", where, why, todo, [run], "warning")
    todo = f"Put a converter from {one} to {other} between them"
    return table.problems("CONNECTOR_MISMATCH", where, why, todo, [run])


def _links(
    run: CableRun, carried: StatedFormat, where: list[Ref], table: RuleTable
) -> Iterator[FlowProblem]:
    for port in (run.start, run.end):
        family, offered = family_of(port), link_of(port)
        needed = link_for(family, carried.format) if carried.format else None
        links = LINKS.get(family, ())
        if needed not in links or offered not in links or _QUAD.search(_type_of(port)):
            continue
        if links.index(offered) < links.index(needed):
            yield from table.problems(
                "LINK_TOO_SLOW", where,
                f"{carried.words} needs a link of {needed}, and {port.words} has {offered}",
                f"Use a port of {needed}, four links of 3G for 12G, or a smaller format",
                [run, port],
            )  # fmt: skip


def link_of(port: GraphNode) -> str:
    """Return the fastest link of a port; "" where nobody says."""
    stated = str(port.row.get("linkClass") or "")
    match = _LINK.search(_type_of(port))
    return stated or (match[1].upper() if match else "")


def _type_of(port: GraphNode) -> str:
    return f"{port.row.get('ioType') or ''} {port.row.get('type') or ''}"


def _rates(
    run: CableRun, carried: StatedFormat, where: list[Ref], table: RuleTable
) -> Iterator[FlowProblem]:
    device = run.end.device
    expected = expected_by(device)
    if expected is None:
        return
    names = carried.device.ref.label, device.ref.label
    places = [carried.device.ref, *where]
    if carried.family and expected.family and carried.family != expected.family:
        slips = "50" not in {carried.family, expected.family}
        wrong = f"{names[1]} may slip" if slips else f"{names[1]} cannot show {names[0]}"
        why = f"{wrong}: {names[0]} is {carried.family}, {names[1]} expects {expected.family}"
        todo = (
            "Set both to one rate, or put a frame synchroniser between them"
            if slips
            else "Put a standards converter between them, or set both to one rate"
        )
        yield from table.problems("FORMAT_MISMATCH", places, why, todo, [run])
    elif carried.scan == "i" and expected.scan == "p":
        why = f"{names[0]} is interlaced, and {names[1]} expects {expected.words}"
        todo = "Put a deinterlacer between them, or set the source to a progressive format"
        yield from table.problems("FORMAT_MISMATCH", places, why, todo, [run], "warning")


def _blanking(
    run: CableRun, carried: StatedFormat, families: tuple[str, str], where: list[Ref],
    table: RuleTable,
) -> list[FlowProblem]:  # fmt: skip
    is_reduced = carried.format is not None and carried.format.blanking != "NONE"
    if not is_reduced or "SDI" not in families:
        return []
    why = f"{carried.device.ref.label} has reduced blanking, which SDI does not carry"
    todo = f"Set {carried.device.ref.label} to standard timing, or scale on the way"
    return table.problems("FORMAT_MISMATCH", where, why, todo, [run], "warning")


def least_metres(run: CableRun) -> float | None:
    """Return how long a run is at least: what is known of it and of its trunks."""
    trunks = [length_in_metres(channel.device) for channel in run.channels]
    known_lengths = [length for length in trunks if length is not None]
    if run.metres is None and not known_lengths:
        return None
    # The length of a camera's cable is that of the whole run.
    return max(run.metres or 0, sum(known_lengths))


def _length(
    run: CableRun, families: tuple[str, str], carried: StatedFormat | None, where: list[Ref],
    table: RuleTable,
) -> list[FlowProblem]:  # fmt: skip
    metres = least_metres(run)
    family = next((one for one in families if one), "")
    if metres is None or not family:
        return []
    is_fibre = family != "CAMERA" and any(is_optical(each.device) for each in run.channels)
    name = "FIBRE" if is_fibre else _limit_name(family, carried)
    limit = table.limits.get(name)
    if limit is None or metres <= limit.metres:
        return []
    why = f"{run.words} is at least {metres:.0f} m, and {name} carries {limit.metres:.0f} m"
    todo = f"Use fibre or a repeater, or a better cable ({limit.source})"
    return table.problems("CABLE_TOO_LONG", where, why, todo, [run])


def _limit_name(family: str, carried: StatedFormat | None) -> str:
    """Return which length of the table holds; where the format is open, the longest."""
    whole = carried.format if carried else None
    if family == "SDI":
        return f"SDI {(link_for(family, whole) if whole else None) or '1.5G'}"
    if family == "HDMI":
        is_large = whole is not None and whole.lines > 1200
        return f"HDMI {('4K60' if whole and whole.rate > 30 else '4K30') if is_large else '1080p'}"
    return family
