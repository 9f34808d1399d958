"""Where the service listens: one address, or every address of both families.

A test listens on loopback only, so what every address takes is seen in a namespace of its own.
"""

import errno
import shutil
import socket
import subprocess
import sys
from typing import Any, Final

import pytest

from app.server import listen
from app.settings import PROJECT, BadSettings
from tests.support.service import settings

# A network without other machines: its loopback is all there is.
ALONE: Final = ("unshare", "--net", "--map-root-user", "sh", "-c")
BOTH: Final = """
import socket, sys
from app.server import listen
from tests.support.service import settings
with listen(settings(host="::", port=0)) as listener:
    for host in sys.argv[1:]:
        with socket.create_connection((host, listener.getsockname()[1]), timeout=5):
            listener.accept()[0].close()
    print(listener.family.name)
"""


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_one_address_is_listened_on(host: str) -> None:
    with listen(settings(host=host, port=0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection((host, port), timeout=5):
            listener.accept()[0].close()


def alone(before: str, *hosts: str) -> str:
    """Listen on ``::`` in a network of its own, and connect to hosts; return the family or skip."""
    if not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("no unshare and ip here that would make a network namespace")
    told = f'ip link set lo up && {before} exec "$0" "$@"'
    done = subprocess.run(
        [*ALONE, told, sys.executable, "-c", BOTH, *hosts],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unshare" in done.stderr:
        pytest.skip(f"no network namespace may be made here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_address_takes_both_families() -> None:
    assert alone("", "127.0.0.1", "::1") == "AF_INET6"


def test_where_ipv6_is_switched_off_ipv4_is_served() -> None:
    assert alone("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6;", "127.0.0.1")


@pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EADDRINUSE])
def test_only_a_missing_ipv6_is_passed_over(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel without IPv6 cannot be had here: what it says stands in for it."""
    tried: list[tuple[str, int]] = []

    def refuse(address: tuple[str, int], **_: Any) -> socket.socket:
        tried.append(address)
        raise OSError(number, "refused")

    monkeypatch.setattr(socket, "create_server", refuse)
    with pytest.raises(BadSettings, match="set HOST or PORT"):
        listen(settings(host="::", port=0))
    again = [] if number == errno.EADDRINUSE else [("0.0.0.0", 0)]
    assert tried == [("::", 0), *again]
