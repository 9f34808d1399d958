"""Processes of the command line that begin with everything imported: forks of one that waits.

They have an environment, outputs and signals of their own, as if Python had started anew; only the
second that importing takes is saved, and what the code's own revisions build, which is remembered.
``test_command_line``'s services, ``test_start_up``, ``scripts/drill`` and all images start Python
itself.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing.reduction import DupFd
from pathlib import Path
from signal import SIGKILL
from typing import IO, Any, Final

from app.settings import PROJECT
from tests.support.remembered import remembered

_FOLDERS: Final = ("app/cli", "app/cli/commands", "app/releases/gate/stages")
_CONTEXT: Final = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [f"{folder.replace('/', '.')}.{path.stem}"
     for folder in _FOLDERS for path in sorted((PROJECT / folder).glob("[!_]*.py"))]
    + ["app.main", "app.server", "alembic.config", "tests.support.halting"]
)  # fmt: skip


class ForkedProcess:
    """``python -m MODULE WORDS``, started; it is used as a ``subprocess.Popen`` is."""

    def __init__(
        self, module: str, *words: str, env: Mapping[str, str], cwd: Path | str = PROJECT,
        output: IO[Any] | None = None, joined: bool = False,
    ) -> None:  # fmt: skip
        """Start it. Its errors go into the output as well if that is given, or if ``joined``."""
        self.stdout: IO[str] | None = None
        self._errors = output or tempfile.TemporaryFile("w+")  # noqa: SIM115  # see communicate
        written = self._errors.fileno()
        if output is None:
            read, written = os.pipe()
            self.stdout = os.fdopen(read)
        ends = _Descriptor(written), _Descriptor(written if joined else self._errors.fileno())
        arguments = (module, words, dict(env), str(cwd), *ends)
        self._process = _CONTEXT.Process(target=_run, args=arguments)
        self._process.start()
        if output is None:
            os.close(written)

    @property
    def returncode(self) -> int | None:
        """How it exited: the negative number of a signal that ended it, None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return how it exited, None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self._process), timeout or 0)
        return self._process.exitcode

    def send_signal(self, sent: int) -> None:
        """Send it a signal, unless it has ended."""
        if self._process.exitcode is None:
            os.kill(self._process.pid or 0, sent)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait until it has ended; return the rest of what it wrote to its outputs."""
        assert self.stdout is not None, "its output went elsewhere"
        with self.stdout, self._errors:
            written = self.stdout.read()
            self.wait(timeout)
            self._errors.seek(0)
            return written, str(self._errors.read())


def run(
    module: str, *words: str, env: Mapping[str, str], cwd: Path | str = PROJECT
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m MODULE WORDS`` to its end."""
    process = ForkedProcess(module, *words, env=env, cwd=cwd)
    written, errors = process.communicate()
    return subprocess.CompletedProcess([module, *words], process.wait(), written, errors)


class _Descriptor:
    """A file descriptor that goes along to the process that is started."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (DupFd(self.number),)


def _received(descriptor: Any) -> int:
    return int(descriptor.detach())


def _run(
    module: str, words: tuple[str, ...], env: dict[str, str], cwd: str, out: int, err: int
) -> None:
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.close(out)
    os.close(err)
    sys.argv = [module, *words]
    for name in (module, f"{module}.__main__"):
        sys.modules.pop(name, None)  # it is imported, and yet to be run
    with remembered():
        runpy.run_module(module, run_name="__main__", alter_sys=True)
