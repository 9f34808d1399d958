"""The signal flow of the shows that are asked about, built of their rows and remembered."""

import asyncio
from collections import OrderedDict
from functools import cache
from typing import Final

from pydantic_core import from_json

from app.database.database import Database
from app.model.entity import Entity
from app.signal.answers.show_signal import ShowSignal
from app.signal.graph.elements import ShowKind
from app.sql.show_reads import members
from app.store import read

_MOST_SHOWS: Final = 8
"""How many shows are remembered: the graph of a large one takes some 20 MB."""


@cache
def show_kinds() -> tuple[ShowKind, ...]:
    """Return the collections of a show that a signal flow is made of."""
    return tuple(
        ShowKind(name, kind.collection, kind.entity_type, kind.signal_role)
        for name, kind in members().items()
        if issubclass(kind, Entity) and (kind.is_device or kind.signal_role in {"PORT", "PATH"})
    )


class SignalReader:
    """Reads the signal flow of shows. Each is built once for each change number."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._building = asyncio.Lock()
        self._signals: OrderedDict[tuple[str, str], ShowSignal] = OrderedDict()

    async def state(self, production: str) -> str:
        """Return the token that every change of a show changes; "" where there is none."""
        return await read.show_state_token(self._database, production)

    async def read(self, production: str, state: str) -> ShowSignal:
        """Return the signal flow of a show in a state, or in a newer one. Raises NotFound.

        One is built at a time, in a thread: a large show takes a second of the processor.
        """
        key = production, state
        if key not in self._signals:
            async with self._building:
                if key not in self._signals:
                    signal = await self._build(production)
                    if not state:
                        return signal
                    self._remember(key, signal)
        self._signals.move_to_end(key)
        return self._signals[key]

    async def _build(self, production: str) -> ShowSignal:
        show = await read.show(self._database, production)
        return await asyncio.to_thread(_built, show)

    def _remember(self, key: tuple[str, str], signal: ShowSignal) -> None:
        for older in [other for other in self._signals if other[0] == key[0]]:
            del self._signals[older]
        self._signals[key] = signal
        while len(self._signals) > _MOST_SHOWS:
            self._signals.popitem(last=False)


def _built(show: read.Show) -> ShowSignal:
    rows = {kind.member: from_json(show.members[kind.member]) for kind in show_kinds()}
    number = show.state.partition("-")[0]
    return ShowSignal(rows, show_kinds(), int(number) if number else None)
