"""One socket's place in the room of a production."""

import asyncio


class Member:
    """A socket's place: what it was sent last, and whether it is where the room is."""

    __slots__ = ("after", "live", "task")

    def __init__(self, after: int) -> None:
        self.after, self.live = after, True
        self.task: asyncio.Task[None] | None = None

    def rest(self) -> None:
        """Read nothing more to it."""
        if self.task is not None:
            self.task.cancel()
            self.task = None

    def begin_after(self, seq: int) -> None:
        """Go on after this number with all others, wherever it was."""
        self.rest()
        self.after, self.live = seq, True
