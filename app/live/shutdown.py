"""Tells who keeps connections open for long that the service stops, before it waits for them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Shutdown:
    """The moment at which a process begins to stop: it takes no new requests, but still runs."""

    def __init__(self) -> None:
        self.begun = False
        self._do: list[Callable[[], None]] = []

    @contextmanager
    def told(self, do: Callable[[], None]) -> Iterator[None]:
        """Call ``do`` when the service begins to stop while the block runs; at once if it has."""
        self._do.append(do)
        try:
            if self.begun:
                do()
            yield
        finally:
            self._do.remove(do)

    def begin(self) -> None:
        """Tell everybody, once."""
        if not self.begun:
            self.begun = True
            for do in tuple(self._do):
                do()
