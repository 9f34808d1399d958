"""The drill: few commands, each killed once, carry an older database over while it is written."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Final

import pytest

from app.settings import PROJECT
from scripts.drills.drill import FOR_THE_CONTRACTS, TO_THE_DEPLOY, drill
from tests.support.forks import ForkedProcess

PAGE: Final = PROJECT / "docs" / "carrying-over.md"


@pytest.mark.slow
async def test_killed_at_every_command_it_goes_on(empty_database: str) -> None:
    lines: list[str] = []
    outcome = await drill(empty_database, lines.append, killing=True, python=forked)
    assert outcome.faults == [], "\n".join(lines)
    assert outcome.to_the_deploy <= TO_THE_DEPLOY
    assert outcome.for_the_contracts <= FOR_THE_CONTRACTS
    assert outcome.older_operations > 100
    killed = [line for line in lines if line.startswith("    killed")]
    assert len(killed) == sum("  $ python" in line for line in lines) - 1, "every one but serving"
    assert commands(lines) <= documented(), "what the page says is what is typed"


async def forked(line: Sequence[str], environment: Mapping[str, str]) -> "Forked":
    return Forked(ForkedProcess(line[1], *line[2:], env=environment, joined=True))


class Forked:
    """A forked process, used as one of ``asyncio``."""

    def __init__(self, process: ForkedProcess) -> None:
        self._process, self.stdout = process, self

    @property
    def returncode(self) -> int | None:
        return self._process.poll()

    async def readline(self) -> bytes:
        assert self._process.stdout is not None
        return (await asyncio.to_thread(self._process.stdout.readline)).encode()

    def kill(self) -> None:
        self._process.kill()

    async def wait(self) -> int:
        return await asyncio.to_thread(self._process.wait)

    async def communicate(self) -> tuple[bytes, None]:
        written, _ = await asyncio.to_thread(self._process.communicate)
        return written.encode(), None


def commands(lines: list[str]) -> set[str]:
    """Return what was typed, without what differs from one sitting to another."""
    typed = (line.partition("  $ ")[2] for line in lines if "  $ " in line)
    return {plain(line) for line in typed}


def documented() -> set[str]:
    """Return what the page tells to type."""
    blocks = re.findall(r"(?s)```sh\n(.*?)```", PAGE.read_text())
    return {plain(line) for block in blocks for line in block.splitlines()}


def plain(line: str) -> str:
    line = re.sub(r"--who .*? --why (REASON|'[^']*')", "--who NAME --why REASON", line)
    line = re.sub(r"approve [0-9a-f]{12}", "approve DIGEST", line)
    line = re.sub(r"--destroys [\w,]+", "--destroys TABLES", line)
    line = re.sub(r"--file=\S+", "--file=before-contracts.dump", line)
    return line.replace('"$DATABASE_URL"', "$DATABASE_URL")
