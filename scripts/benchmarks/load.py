"""Sends requests and measures the answers: with ``wrk`` if it is installed, else by ``hammer``.

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
    """The load generator failed, or a server answered with errors."""


@dataclass(frozen=True)
class Measurement:
    """One turn of one server; ``p50`` and ``p99`` are in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    errors: int
    requests_each: int = 1
    """How many requests count as one, such as six lists for one show."""

    @property
    def rate(self) -> float:
        """How many were answered in a second."""
        return self.requests / self.requests_each / self.seconds


class Generator(Protocol):
    """A load generator; ``first`` is the first number that it writes in a body."""

    @property
    def title(self) -> str: ...
    def send(self, origin: str, traffic: Traffic, seconds: int, first: int) -> Measurement: ...


def choose(name: str) -> Generator:
    """Return the generator "wrk" or "builtin"; for "auto" wrk if it is installed."""
    if name == "builtin" or (name == "auto" and not which("wrk")):
        return Builtin()
    if not which("wrk"):
        raise LoadFailed("wrk is not installed: install it, or leave --generator out.")
    return Wrk()


class Wrk:
    """wrk with one thread; its script numbers the bodies and reports as JSON."""

    @property
    def title(self) -> str:
        """Its name in the report."""
        output = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout
        return f"{' '.join(output.split()[:2])}, 1 thread"

    def send(self, origin: str, traffic: Traffic, seconds: int, first: int) -> Measurement:
        """Run wrk. Raise LoadFailed."""
        with TemporaryDirectory() as folder:
            script = Path(folder) / "traffic.lua"
            script.write_text(_lua(traffic, first))
            options = [f"-d{seconds}s", f"--timeout={ANSWER_SECONDS}s", f"--script={script}"]
            return _run(["wrk", "-t1", f"-c{traffic.connections}", *options, origin], "", seconds)


class Builtin:
    """The load generator of ``scripts.benchmarks.hammer``."""

    title = "the built-in one (asyncio protocols on uvloop)"

    def send(self, origin: str, traffic: Traffic, seconds: int, first: int) -> Measurement:
        """Run it in a process of its own. Raise LoadFailed."""
        order = {"origin": origin, "seconds": seconds, "first": first}
        order |= {"answer_seconds": ANSWER_SECONDS, **asdict(traffic)}
        return _run([sys.executable, "-m", "scripts.benchmarks.hammer"], json.dumps(order), seconds)


def _run(command: list[str], typed: str, seconds: int) -> Measurement:
    """Run a generator; the last line of its output is a Measurement in JSON."""
    try:
        ended = subprocess.run(
            command, input=typed, text=True, capture_output=True, check=True,
            timeout=seconds + ANSWER_SECONDS + _GRACE_SECONDS, env=dict(os.environ),
        )  # fmt: skip
        measured = Measurement(**json.loads(ended.stdout.splitlines()[-1]))
    except subprocess.TimeoutExpired:
        raise LoadFailed(f"{command[0]} did not end in time.") from None
    except subprocess.CalledProcessError as failed:
        raise LoadFailed(f"{command[0]} failed: {failed.stderr[-1000:]}") from None
    if measured.errors:
        raise LoadFailed(f"{measured.errors} of {measured.requests} requests failed.")
    return measured


def _lua(traffic: Traffic, first: int) -> str:
    """Return wrk's script: the requests are made once, or each time if their body has a number."""
    paths = ", ".join(json.dumps(path) for path in traffic.paths)
    body = f"[==[{traffic.body}]==]" if traffic.body is not None else "nil"
    headers_sent = {
        **traffic.headers,
        **({"Content-Type": "application/json"} if traffic.body else {}),
    }
    headers = ", ".join(f"[{json.dumps(k)}] = {json.dumps(v)}" for k, v in headers_sent.items())
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
