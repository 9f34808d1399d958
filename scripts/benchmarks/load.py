"""Sends requests and measures the answers: with ``wrk`` where it is installed, else by ourselves.

Either runs in a process of its own, keeps its connections open and sends the next request when
the answer to the last has arrived.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import Final, Protocol

from scripts.benchmarks.workloads import Traffic

ANSWER_SECONDS: Final = 10
_GRACE_SECONDS: Final = 30


class LoadFailed(Exception):
    """The load generator did not end well, or a server answered with errors."""


@dataclass(frozen=True)
class Measurement:
    """One turn of one server; times of answers are in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    errors: int
    requests_each: int = 1
    """How many requests make one of what is counted."""

    @property
    def rate(self) -> float:
        """How many were done in a second."""
        return self.requests / self.requests_each / self.seconds


class Generator(Protocol):
    """Something that sends traffic for some seconds; ``first`` is its first number in a body."""

    @property
    def title(self) -> str: ...
    def send(self, origin: str, traffic: Traffic, seconds: int, first: int) -> Measurement: ...


def choose(wanted: str) -> Generator:
    """Give the generator named "wrk" or "builtin"; for "auto" wrk where it is installed."""
    if wanted == "builtin" or (wanted == "auto" and not which("wrk")):
        return Builtin()
    if not which("wrk"):
        raise LoadFailed("wrk is not installed: install it, or leave --generator out.")
    return Wrk()


class Wrk:
    """wrk with one thread; its script numbers the bodies and reports as JSON."""

    @property
    def title(self) -> str:
        """Name it for the report."""
        said = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout
        return f"{' '.join(said.split()[:2])}, 1 thread"

    def send(self, origin: str, traffic: Traffic, seconds: int, first: int) -> Measurement:
        """Run wrk. Raises LoadFailed."""
        with TemporaryDirectory() as folder:
            script = Path(folder) / "traffic.lua"
            script.write_text(_lua(traffic, first))
            options = [f"-d{seconds}s", f"--timeout={ANSWER_SECONDS}s", f"--script={script}"]
            return _run(["wrk", "-t1", f"-c{traffic.connections}", *options, origin], "", seconds)


class Builtin:
    """The load generator of ``scripts.benchmarks.hammer``."""

    title = "the built-in one (asyncio protocols on uvloop)"

    def send(self, origin: str, traffic: Traffic, seconds: int, first: int) -> Measurement:
        """Run it in a process of its own. Raises LoadFailed."""
        order = {"origin": origin, "seconds": seconds, "first": first}
        order |= {"answer_seconds": ANSWER_SECONDS, **asdict(traffic)}
        return _run([sys.executable, "-m", "scripts.benchmarks.hammer"], json.dumps(order), seconds)


def _run(command: list[str], typed: str, seconds: int) -> Measurement:
    """Run a generator whose last line is a Measurement in JSON."""
    try:
        done = subprocess.run(
            command, input=typed, text=True, capture_output=True, check=True,
            timeout=seconds + ANSWER_SECONDS + _GRACE_SECONDS, env=dict(os.environ),
        )  # fmt: skip
        measured = Measurement(**json.loads(done.stdout.splitlines()[-1]))
    except subprocess.TimeoutExpired:
        raise LoadFailed(f"{command[0]} did not end in time.") from None
    except subprocess.CalledProcessError as failed:
        raise LoadFailed(f"{command[0]} failed: {failed.stderr[-1000:]}") from None
    if measured.errors:
        raise LoadFailed(f"{measured.errors} of {measured.requests} requests went wrong.")
    return measured


def _lua(traffic: Traffic, first: int) -> str:
    """Write the script: ready-made requests where they do not change, else one made each time."""
    paths = ", ".join(json.dumps(path) for path in traffic.paths)
    body = f"[==[{traffic.body}]==]" if traffic.body is not None else "nil"
    told = {**traffic.headers, **({"Content-Type": "application/json"} if traffic.body else {})}
    headers = ", ".join(f"[{json.dumps(k)}] = {json.dumps(v)}" for k, v in told.items())
    head = (
        f'local method, paths, body, n = "{traffic.method}", {{{paths}}}, {body}, {first}\n'
        f"local headers = {{{headers}}}\n"
    )
    return head + (_LUA_FIXED if traffic.body is None else _LUA_NUMBERED) + _LUA_REPORT


_LUA_FIXED: Final = """
local ready, turn = {}, 0
function init() for i, path in ipairs(paths) do ready[i] = wrk.format(method, path, headers) end end
function request() turn = turn % #ready + 1; return ready[turn] end
"""
_LUA_NUMBERED: Final = """
function request()
  n = n + 1
  local numbered = body:gsub("{n}", string.format("%d", n))
  return wrk.format(method, paths[n % #paths + 1], headers, numbered)
end
"""
_LUA_REPORT: Final = """
function done(summary, latency)
  local e = summary.errors
  print(string.format(
    '\\n{"requests": %d, "seconds": %.6f, "p50": %.4f, "p99": %.4f, "errors": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, e.connect + e.read + e.write + e.status + e.timeout))
end
"""
