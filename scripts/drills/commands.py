"""The operator's commands as they are typed: run, timed, printed, and killed on request."""

import asyncio
import re
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.database.embedded_home import pg_bin
from app.settings import PROJECT
from scripts.adoption_drill.gate import environment

# What a person would wait for between two of them is over at once here.
SITTING: Final = {"SOAK_HOURS": "0", "CONTRACT_QUIET_MINUTES": "0", "LOG_LEVEL": "WARNING"}
_SHORTEST_LIFE: Final = 0.5  # seconds until a command is killed that says nothing by which to tell


class DrillFailed(Exception):
    """A command ended otherwise than the path says; the text holds what it said."""


@dataclass(frozen=True)
class Command:
    """A command that was run to its end: how it ended, and how often it was killed before."""

    line: str
    code: int
    seconds: float
    output: str
    kills: int


@dataclass
class Operator:
    """Runs commands against one database. ``killing``: kills each of them once in the middle."""

    url: str
    say: Callable[[str], None]
    killing: bool = False
    count: int = 0
    commands: list[Command] = field(default_factory=list)

    async def release(self, *words: str, killed_at: str = "", code: int = 0) -> str:
        """Run a word of the gate and return what it said. Raises DrillFailed.

        ``killed_at`` is the line at which it is killed, and run again, where that is asked for.
        """
        return await self._run(("python", "-m", "app", "release", *words), killed_at, code)

    async def backup(self, file: str) -> None:
        """Dump the database, as a person should before a contract."""
        line = ("pg_dump", "--format=custom", f"--file={file}", self.url)
        await self._run(line, "", 0)

    def type(self, line: str) -> None:
        """Print a command with its number."""
        self.count += 1
        self.say(f"\n{self.count:2}  $ {line}")

    async def _run(self, line: Sequence[str], killed_at: str, code: int) -> str:
        shown = " ".join("$DATABASE_URL" if w == self.url else shlex.quote(w) for w in line)
        self.type(shown)
        kills = 0
        if self.killing and line[0] == "python":
            await self._kill(line, killed_at)
            kills = 1
        began = time.monotonic()
        process = await self._started(line)
        said, _ = await process.communicate()
        ended = Command(shown, process.returncode or 0, time.monotonic() - began,
                        said.decode(errors="replace"), kills)  # fmt: skip
        self.commands.append(ended)
        for text in ended.output.splitlines():
            self.say(f"    {text}".rstrip())
        self.say(f"    → exit {ended.code} after {ended.seconds:.1f} s")
        if ended.code != code:
            raise DrillFailed(f"{shown} ended with {ended.code}, not {code}: {ended.output}")
        return ended.output

    async def _kill(self, line: Sequence[str], at: str) -> None:
        process = await self._started(line)
        assert process.stdout is not None
        where = "at its start"
        if at:
            while text := (await process.stdout.readline()).decode(errors="replace"):
                if re.search(at, text):
                    where = f"at: {text.strip()}"
                    break
            else:
                raise DrillFailed(f"{shlex.join(line)} ended without saying {at}.")
        else:
            await asyncio.wait({asyncio.ensure_future(process.wait())}, timeout=_SHORTEST_LIFE)
        if process.returncode is None:
            process.kill()
        await process.communicate()
        self.say(f"    killed {where[:100]}; once more:")

    async def _started(self, line: Sequence[str]) -> asyncio.subprocess.Process:
        program = sys.executable if line[0] == "python" else str(pg_bin() / line[0])
        return await asyncio.create_subprocess_exec(
            program, *(_for_libpq(word) for word in line[1:]),
            cwd=PROJECT, env=environment(self.url, **SITTING),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip


def _for_libpq(word: str) -> str:
    """Return an address as PostgreSQL's own programs read it; any other word as it is."""
    return word.replace("postgresql+asyncpg://", "postgresql://")
