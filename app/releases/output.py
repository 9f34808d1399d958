"""Where the gate's words go while it runs: a terminal, a log, or nowhere."""

import time


class GateOutput:
    """Receives what the gate does, and ignores what a subclass has no method for."""

    def say(self, line: str) -> None:
        """Receive a sentence."""

    def stage(self, name: str) -> None:
        """Receive that a stage begins."""

    def stage_over(self, name: str, outcome: str, words: str, seconds: float) -> None:
        """Receive how it ended: "done", "skipped" or "stopped"."""

    def progress(
        self, what: str, units_done: int, total: int, rate: float, seconds_left: float | None
    ) -> None:
        """Receive how far long work is: units done and in all, units per second, seconds left."""


def discard_line(_: str) -> None:
    """Ignore a sentence."""


class ProgressRate:
    """Computes the rate of progress and the seconds left, and passes both on."""

    def __init__(self, output: GateOutput) -> None:
        self._output = output
        self._began: dict[str, tuple[float, int]] = {}

    def __call__(self, what: str, units_done: int, total: int) -> None:
        """Pass on that ``units_done`` of ``total`` units are done."""
        began, at_first = self._began.setdefault(what, (time.monotonic(), units_done))
        seconds = time.monotonic() - began
        rate = (units_done - at_first) / seconds if seconds > 0 else 0.0
        seconds_left = (total - units_done) / rate if rate > 0 else None
        self._output.progress(what, units_done, total, rate, seconds_left)
