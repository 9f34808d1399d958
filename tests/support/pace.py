"""How much longer everything takes on this machine now than where nothing else runs."""

import os


def at_most(seconds: float) -> float:
    """Return how long may take now what takes up to ``seconds`` on an idle machine."""
    return seconds * (1 + os.getloadavg()[0] / (os.cpu_count() or 1))
