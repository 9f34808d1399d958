"""The operator's commands as a person types them: run, timed, printed, and killed on request."""

import asyncio
import re
import shlex
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from app.database.embedded_home import pg_bin
from app.settings import PROJECT
from scripts.adoption_drill.gate import environment

# No waiting between two commands.
SITTING: Final = {"SOAK_HOURS": "0", "CONTRACT_QUIET_MINUTES": "0", "LOG_LEVEL": "WARNING"}
_SHORTEST_LIFE: Final = 0.5  # seconds until a command without a line to be killed at is killed


class Output(Protocol):
    """What a command prints, line by line."""

    async def readline(self) -> bytes: ...


class Started(Protocol):
    """A command that runs, as ``asyncio`` has its processes."""

    @property
    def stdout(self) -> Output | None: ...
    @property
    def returncode(self) -> int | None: ...
    def kill(self) -> None: ...
    async def wait(self) -> int: ...
    async def communicate(self) -> tuple[bytes, bytes | None]: ...


Start = Callable[[Sequence[str], Mapping[str, str]], Awaitable[Started]]


class DrillFailed(Exception):
    """A command ended with another exit code than expected; the text holds its output."""


@dataclass(frozen=True)
class Command:
    """A command that ran to its end: its exit code, and how often it was killed before."""

    line: str
    code: int
    seconds: float
    output: str
    kills: int


@dataclass
class Operator:
    """Runs commands against one database; with ``killing``, each is killed once and run again."""

    url: str
    say: Callable[[str], None]
    killing: bool = False
    python: Start | None = None
    """Starts Python with these words and this environment, if it is not to be a process anew."""
    count: int = 0
    commands: list[Command] = field(default_factory=list)

    async def release(self, *words: str, killed_at: str = "", code: int = 0) -> str:
        """Run a command of the gate and return its output. Raise DrillFailed.

        ``killed_at`` is the line of its output at which it is killed, if ``killing`` is set.
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
        typed = " ".join("$DATABASE_URL" if w == self.url else shlex.quote(w) for w in line)
        self.type(typed)
        kills = 0
        if self.killing and line[0] == "python":
            await self._kill(line, killed_at)
            kills = 1
        began = time.monotonic()
        process = await self._start(line)
        output, _ = await process.communicate()
        ended = Command(typed, process.returncode or 0, time.monotonic() - began,
                        output.decode(errors="replace"), kills)  # fmt: skip
        self.commands.append(ended)
        for text in ended.output.splitlines():
            self.say(f"    {text}".rstrip())
        self.say(f"    → exit {ended.code} after {ended.seconds:.1f} s")
        if ended.code != code:
            raise DrillFailed(f"{typed} ended with {ended.code}, not {code}: {ended.output}")
        return ended.output

    async def _kill(self, line: Sequence[str], at: str) -> None:
        process = await self._start(line)
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

    async def _start(self, line: Sequence[str]) -> Started:
        if self.python and line[0] == "python":
            return await self.python(line[1:], environment(self.url, **SITTING))
        program = sys.executable if line[0] == "python" else str(pg_bin() / line[0])
        return await asyncio.create_subprocess_exec(
            program, *(_for_libpq(word) for word in line[1:]),
            cwd=PROJECT, env=environment(self.url, **SITTING),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip


def _for_libpq(word: str) -> str:
    """Return an address as PostgreSQL's own programs read it; any other word as it is."""
    return word.replace("postgresql+asyncpg://", "postgresql://")
