"""Finds which of two sets of named things are the same: by name, by shape, or not at all."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

from app.releases.schema.snapshot import Constraint, TableIndex

Thing = TypeVar("Thing", Constraint, TableIndex)


class Paired(NamedTuple):
    """Which of the expected is which of the live, by name; and what has no counterpart."""

    pairs: list[tuple[str, str]]
    missing: list[str]
    extra: list[str]


def pair_primary_keys(expected: Mapping[str, Constraint], live: Mapping[str, Constraint]) -> Paired:
    """Pair the primary keys of two tables, which have one at most."""
    pairs = list(zip(expected, live, strict=False))
    return Paired(pairs, list(expected)[len(pairs) :], list(live)[len(pairs) :])


def pair(
    expected: Mapping[str, Thing],
    live: Mapping[str, Thing],
    same: Callable[[Thing, Thing], bool],
    *,
    by_shape: bool = False,
) -> Paired:
    """Pair by name, then by shape; ``by_shape`` the other way round.

    An unusable one is nobody's counterpart by shape: it is the leftover of a build.
    """
    pairs: list[tuple[str, str]] = []

    def unpaired(side: int, names: Mapping[str, Thing]) -> list[str]:
        return [name for name in names if name not in {pair[side] for pair in pairs}]

    def named() -> None:
        there = unpaired(1, live)
        pairs.extend((name, name) for name in unpaired(0, expected) if name in there)

    def alike() -> None:
        for name in unpaired(0, expected):
            there = [n for n in unpaired(1, live) if same(expected[name], live[n])]
            usable = [n for n in there if by_shape or live[n].valid]
            # Its own name first, where several are alike.
            pairs.extend((name, n) for n in sorted(usable, key=name.__ne__)[:1])

    for way in (alike, named) if by_shape else (named, alike):
        way()
    return Paired(pairs, unpaired(0, expected), unpaired(1, live))
