"""The operator at the release gate: runs its commands, reads the answers, and approves."""

import asyncio
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from app.releases.verdict import Verdict
from app.settings import PROJECT

_GOES_ON: Final = {Verdict.DONE, Verdict.STEP_DONE}
_CONTENDED_AT_MOST: Final = 10
_WHO: Final = ("--who", "the adoption drill", "--why", "carrying the older database over")


class GateStopped(Exception):
    """The gate ended with a verdict that stops the drill."""


@dataclass
class Gate:
    """Runs ``python -m app release`` on one database, each command in a process of its own."""

    url: str
    say: Callable[[str], None]
    now: str = "nothing yet"
    """What the operator is doing; the writers record it with their slowest operations."""
    contended: list[str] = field(default_factory=list)
    seconds: float = 0.0
    stages: Counter[str] = field(default_factory=Counter)
    """Seconds spent in each stage, over all runs. The rest is the start of Python."""

    async def adopt(self) -> None:
        """Take over the older database."""
        self.now = "adopt"
        await self._answer({Verdict.DONE}, "adopt", *_WHO)

    async def step(self) -> str:
        """Take the next release, with its approval, and return the revision it led to."""
        answer = await self._answer({Verdict.AWAITING_APPROVAL, *_GOES_ON}, "--contract")
        if answer["exitCode"] == Verdict.AWAITING_APPROVAL:
            await self._approve(answer)
            answer = await self._answer(_GOES_ON, "--contract")
        return str(answer["revision"])

    async def _approve(self, answer: dict[str, Any]) -> None:
        """Approve with the command that the gate's answer names."""
        destroyed = re.search(r"--destroys (\w+)", answer["words"])
        destroys = ("--destroys", destroyed[1]) if destroyed else ()
        code, reply = await self._timed("approve", answer["digest"], *_WHO, *destroys)
        if code:
            raise GateStopped(f"The approval of {answer['digest'][:12]} ended with {code}: {reply}")

    async def _answer(self, expected: set[Verdict], *words: str) -> dict[str, Any]:
        """Run the gate until it is no longer contended. Raise GateStopped for another verdict."""
        while True:
            code, answer = await self._timed(*words)
            if code in expected:
                self.say(f"  {answer['verdict']}: {_first_line(answer['words'])}")
                return answer
            if code != Verdict.CONTENDED or len(self.contended) >= _CONTENDED_AT_MOST:
                raise GateStopped(f"release {' '.join(words)} ended with {code}: {answer}")
            self.contended.append(answer["words"])
            self.say(f"  contended, again: {_first_line(answer['words'])}")

    async def _timed(self, *words: str) -> tuple[int, dict[str, Any]]:
        began = time.monotonic()
        code, answer = await self.word(*words)
        self.seconds += time.monotonic() - began
        for stage in answer.get("stages", ()):
            self.stages[stage["stage"]] += stage["seconds"]
        return code, answer

    async def word(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Run one command of the gate; return its exit code and its answer."""
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app", "release", *words, "--json",
            cwd=PROJECT, env=environment(self.url, SOAK_HOURS="0", LOG_LEVEL="WARNING"),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            out, err = await running.communicate()
        except BaseException:
            running.terminate()
            await running.wait()
            raise
        return running.returncode or 0, _read(out, err, f"release {' '.join(words)}")


def _read(out: bytes, err: bytes, what: str) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(out)
    except ValueError:
        errors = err.decode(errors="replace")[-2_000:]
        raise GateStopped(f"{what} ended with no JSON: {errors}") from None
    return answer


def environment(url: str, **settings: str) -> dict[str, str]:
    """Return our environment with these settings, and with no address of another database."""
    ours = {"DATABASE_URL": url, "DATABASE_UNPOOLED_URL": "", "ACCESS_TOKEN": "",
            "CONTRACT_QUIET_MINUTES": "0"}  # fmt: skip
    return os.environ | ours | settings


def _first_line(words: str) -> str:
    return words.partition("\n")[0][:160]
