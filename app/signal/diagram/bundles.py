"""Which channels of a snake are drawn as one bundle: those that a signal passes at one time.

Snakes run both ways. Drawn as one box, one that carries cameras in and pictures out would stand
left of what it feeds and right of what feeds it at once.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from app.signal.graph.elements import CableRun, GraphDevice, GraphNode

_Followers = defaultdict[GraphDevice, dict[GraphDevice, None]]
_LAST: Final = 10**9


def bundles(runs: Iterable[CableRun]) -> dict[GraphNode, int]:
    """Return the number of the bundle that each channel is in, counted from 1 in each snake."""
    every = [run for run in runs if _nodes(run)]
    depths = _depths(every)
    spans: dict[GraphNode, tuple[float, float]] = {}
    for run in every:
        channels = [node for node in _nodes(run) if node.direction == "CHANNEL"]
        begin, end = _span(run, depths)
        step = (end - begin) / max(1, len(channels))
        for place, node in enumerate(channels):
            low, high = begin + step * place, begin + step * (place + 1)
            before = spans.get(node, (-1.0, float(_LAST)))
            spans[node] = max(low, before[0]), min(high, before[1])
    return _numbered(spans)


def _nodes(run: CableRun) -> list[GraphNode]:
    return [run.start, *run.channels, run.end]


def _span(run: CableRun, depths: dict[GraphDevice, int]) -> tuple[float, float]:
    start, end = depths.get(run.start.device), depths.get(run.end.device)
    begin = start if start is not None else (end or 1) - 1
    finish = end if end is not None else begin + 1
    return begin, max(finish, begin + 1)


def _numbered(spans: dict[GraphNode, tuple[float, float]]) -> dict[GraphNode, int]:
    """Return the bundles: the fewest whose channels all share a moment."""
    numbers: dict[GraphNode, int] = {}
    open_bundle: dict[GraphDevice, tuple[int, float]] = {}
    for node in sorted(spans, key=lambda each: spans[each][1]):
        low, high = spans[node]
        number, first_end = open_bundle.get(node.device, (0, -1.0))
        if low >= first_end:
            number, first_end = number + 1, high
            open_bundle[node.device] = number, first_end
        numbers[node] = number
    return numbers


def _depths(runs: list[CableRun]) -> dict[GraphDevice, int]:
    """Return how many devices a signal passes at most before it comes to each; loops left out."""
    followers: _Followers = defaultdict(dict)
    devices: dict[GraphDevice, None] = {}
    for run in runs:
        ends = [n.device for n in (run.start, run.end) if n.direction != "CHANNEL"]
        devices.update(dict.fromkeys(ends))
        if len(ends) == 2 and ends[0] is not ends[1]:
            followers[ends[0]][ends[1]] = None
    depths = dict.fromkeys(devices, 0)
    for device in _sorted(devices, followers):
        for other in followers[device]:
            depths[other] = max(depths[other], depths[device] + 1)
    return depths


def _sorted(devices: Iterable[GraphDevice], followers: _Followers) -> list[GraphDevice]:
    """Return devices before those that they feed; a step that closes a loop is cut from them."""
    state: dict[GraphDevice, bool] = {}
    ended: list[GraphDevice] = []
    for first in devices:
        if first in state:
            continue
        state[first] = True
        stack = [(first, iter(list(followers[first])))]
        while stack:
            device, others = stack[-1]
            other = next(others, None)
            if other is None:
                state[device] = False
                ended.append(device)
                stack.pop()
            elif other not in state:
                state[other] = True
                stack.append((other, iter(list(followers[other]))))
            elif state[other]:
                del followers[device][other]
    return ended[::-1]
