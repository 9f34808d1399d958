"""A real PgBouncer before a test's server, on a port of the loopback, ended with the test."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest

from app.database.url import DatabaseUrl

PROGRAM: Final = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
REASON: Final = "PgBouncer is not installed (apt-get install pgbouncer)"
needed: Final = pytest.mark.skipif(PROGRAM is None, reason=REASON)
# What every session of the service sets, and PgBouncer does not know.
IGNORED: Final = (
    "statement_timeout,lock_timeout,idle_in_transaction_session_timeout,plan_cache_mode"
)


@contextmanager
def pgbouncer(
    url: str, *, mode: str = "transaction", user: str = "", **options: str
) -> Iterator[str]:
    """Run PgBouncer before the server of ``url``; give the same database's URL through it.

    ``options`` are lines of its configuration; ``user`` may come in as well as the URL's.
    """
    assert PROGRAM is not None, REASON
    address = DatabaseUrl.parse(url)
    folder = Path(tempfile.mkdtemp(prefix="sb-pooler-"))
    try:
        port = _free_port()
        _configure(folder, address, {"pool_mode": mode, "listen_port": str(port), **options}, user)
        with _started(folder, address, port):
            who = quote(user or address.user, safe="")
            yield f"postgresql://{who}@127.0.0.1:{port}/{quote(address.database, safe='')}"
    finally:
        shutil.rmtree(folder)


def _configure(folder: Path, address: DatabaseUrl, options: dict[str, str], user: str) -> None:
    password = f" password={address.password}" if address.password else ""
    lines = {
        "listen_addr": "127.0.0.1", "auth_type": "trust", "auth_file": folder / "users",
        "unix_socket_dir": "", "logfile": folder / "log", "ignore_startup_parameters": IGNORED,
        "default_pool_size": "20", "max_client_conn": "500", **options,
    }  # fmt: skip
    lines = {name: value for name, value in lines.items() if value is not None}
    told = "\n".join(f"{name} = {value}" for name, value in lines.items())
    (folder / "ini").write_text(
        f"[databases]\n* = host={address.host} port={address.port}{password}\n[pgbouncer]\n{told}\n"
    )
    names = {"postgres", address.user, user} - {""}
    (folder / "users").write_text("".join(f'"{name}" ""\n' for name in sorted(names)))


@contextmanager
def _started(folder: Path, address: DatabaseUrl, port: int) -> Iterator[None]:
    """Run it as the account that may enter the server's socket; it refuses to run as root."""
    assert PROGRAM is not None
    account: dict[str, Any] = {}
    if os.geteuid() == 0:
        owner = Path(address.host).stat() if address.host.startswith("/") else None
        uid = owner.st_uid if owner and owner.st_uid else 65_534
        for path in (folder, *folder.iterdir()):
            os.chown(path, uid, uid)
        account = {"user": uid, "group": uid, "extra_groups": []}
    process = subprocess.Popen(
        [PROGRAM, str(folder / "ini")], cwd="/", stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **account,
    )  # fmt: skip
    try:
        _until_open(process, folder, port)
        yield
    finally:
        process.kill()
        process.wait(10)


def _until_open(process: "subprocess.Popen[bytes]", folder: Path, port: int) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), 1)):
            return
        time.sleep(0.01)
    log = folder / "log"
    words = log.read_text() if log.exists() else "it wrote no log"
    raise RuntimeError(f"PgBouncer did not start: {words}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port: int = held.getsockname()[1]
        return port
