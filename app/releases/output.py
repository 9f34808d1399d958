"""Where the gate's words go while it runs: a terminal, a log, or nowhere."""

import time
from typing import Protocol


class GateOutput(Protocol):
    """Hears what the gate does."""

    def say(self, line: str) -> None:
        """Hear a sentence."""

    def stage(self, name: str) -> None:
        """Hear that a stage begins."""

    def stage_over(self, name: str, outcome: str, words: str, seconds: float) -> None:
        """Hear how it ended: "done", "skipped" or "stopped"."""

    def progress(self, what: str, done: int, total: int, rate: float, left: float | None) -> None:
        """Hear how far long work is: units done and in all, units per second, seconds left."""


def discard_line(_: str) -> None:
    """Drop a sentence that nobody waits for."""


class NoOutput:
    """Says nothing to nobody."""

    def say(self, line: str) -> None:
        """Drop it."""

    def stage(self, name: str) -> None:
        """Drop it."""

    def stage_over(self, name: str, outcome: str, words: str, seconds: float) -> None:
        """Drop it."""

    def progress(self, what: str, done: int, total: int, rate: float, left: float | None) -> None:
        """Drop it."""


class ProgressRate:
    """Tells progress with its rate, from how far it is alone."""

    def __init__(self, tell: GateOutput) -> None:
        self._tell = tell
        self._began: dict[str, tuple[float, int]] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        """Tell that ``done`` of ``total`` units are done."""
        began, at_first = self._began.setdefault(what, (time.monotonic(), done))
        seconds = time.monotonic() - began
        rate = (done - at_first) / seconds if seconds > 0 else 0.0
        left = (total - done) / rate if rate > 0 else None
        self._tell.progress(what, done, total, rate, left)
