"""Lets those that hold connections open for long end them when the service begins to stop."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Shutdown:
    """The moment at which a process begins to stop: it takes no new requests, but still runs."""

    def __init__(self) -> None:
        self.has_begun = False
        self._callbacks: list[Callable[[], None]] = []

    @contextmanager
    def on_begin(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call ``callback`` if the service begins to stop while the block runs, or has begun."""
        self._callbacks.append(callback)
        try:
            if self.has_begun:
                callback()
            yield
        finally:
            self._callbacks.remove(callback)

    def begin(self) -> None:
        """Call every callback, once."""
        if not self.has_begun:
            self.has_begun = True
            for callback in tuple(self._callbacks):
                callback()
