"""What a build of the image does and what it then runs, in a bare Debian instead of a container.

No Docker engine is needed: the steps are read from the Dockerfile and run in a root that
``debootstrap`` makes. Both of its stages run in the same root. The image's Python is Debian's own
3.11, as the Dockerfile's base has it. After the steps come a release on an empty database and the
service, both as the image's account, a look at /health, and SIGTERM, on which it must exit with 0.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import httpx
import typer

from app.database import embedded
from app.database.embedded_home import EmbeddedPostgresError
from app.settings import PROJECT

PACKAGES: Final = "ca-certificates,python3,python3-venv,python3-pip"
# What the base image has and a bare Debian has not: Python under its short name.
PREPARE: Final = "ln -sf python3 /usr/bin/python"
# Where pip of this machine is told which index to ask.
PIP: Final = ("/etc/pip.conf", "~/.config/pip/pip.conf", "~/.pip/pip.conf")
PORT: Final = 3299
TOKEN: Final = "only-for-this-trial-0000"  # noqa: S105  # of a service that lives for a minute
WORDS: Final = {"ENV", "WORKDIR", "RUN", "COPY", "USER", "EXPOSE", "CMD"}


class Failed(Exception):
    """A step did not end as it should; the text says which and how."""


class Root:
    """A bare root, and what the steps so far have set in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": "/tmp",  # noqa: S108  # within the root
        }
        self.place, self.account, self.command = "/", "0:0", ""

    def words(self, *command: str, **more: str) -> list[str]:
        """Return the command line that runs a command in the root, as the image's account."""
        settings = [f"{name}={value}" for name, value in {**self.environment, **more}.items()]
        inside = f"cd {shlex.quote(self.place)} && exec {shlex.join(command)}"
        return [
            "chroot", f"--userspec={self.account}", "--groups=", str(self.folder),
            "env", "-i", *settings, "sh", "-c", inside,
        ]  # fmt: skip

    def step(self, word: str, rest: str) -> None:
        """Do what one instruction of the Dockerfile says."""
        if word == "ENV":
            for pair in shlex.split(rest):
                name, _, value = pair.partition("=")
                path = self.environment["PATH"]
                self.environment[name] = value.replace("$PATH", path)
        elif word == "WORKDIR":
            (self.folder / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            self.place = rest
        elif word == "RUN":
            _run(self.words("sh", "-c", rest))
        elif word == "COPY" and not rest.startswith("--from"):
            *sources, target = rest.split()
            _copy(sources, self.folder / self.place.lstrip("/"), target)
        elif word == "USER":
            self.account = rest
        elif word == "CMD":
            self.command = rest


def main(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Where the root is made and kept; else in /var/tmp, and removed."),
    ] = None,
) -> None:
    """Run the image's steps, its release and its start in a bare Debian; exit 1 where one fails."""
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        typer.echo("scripts/bare-root: run it as root, with debootstrap installed.", err=True)
        raise typer.Exit(2)
    began = time.monotonic()
    place = folder or Path(
        tempfile.mkdtemp(prefix="signalbook-root-", dir="/var/tmp")
    )  # /tmp may be in memory
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o755)
    try:
        root = _bare(place)
        with _proc(place):
            for word, rest in steps():
                typer.echo(f"{word} {rest[:90]}")
                root.step(word, rest)
            _try_image(root)
    except (Failed, EmbeddedPostgresError) as failed:
        typer.echo(f"scripts/bare-root: {failed}", err=True)
        raise typer.Exit(1) from None
    finally:
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)
    typer.echo(f"All of it went well, in {time.monotonic() - began:.0f} s.")


def steps() -> Iterator[tuple[str, str]]:
    """Yield the Dockerfile's instructions: the word, and the rest of it in one line."""
    text = (PROJECT / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, _, rest = line.partition(" ")
        if word != "FROM":
            if word not in WORDS:
                raise Failed(f"The Dockerfile has {word}, which this script cannot do: teach it.")
            yield word, " ".join(rest.split())


def _bare(place: Path) -> Root:
    if not (place / "usr" / "bin" / "python3").exists():
        typer.echo(f"Making a bare Debian 12 in {place} …")
        _run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(place)])
    for file in ("/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt", *PIP):
        if (source := Path(file).expanduser()).is_file():
            target = "/etc/pip.conf" if source.name == "pip.conf" else file
            shutil.copy(source, place / target.lstrip("/"))
    root = Root(place)
    root.environment |= {k: v for k, v in os.environ.items() if k.startswith("PIP_")}
    _run(root.words("sh", "-c", PREPARE))
    return root


@contextmanager
def _proc(place: Path) -> Iterator[None]:
    """Mount /proc, as containers have it: programs find their own libraries through it."""
    _run(["mount", "-t", "proc", "proc", str(place / "proc")])
    try:
        yield
    finally:
        _run(["umount", str(place / "proc")])


def _copy(sources: list[str], place: Path, target: str) -> None:
    for name in sources:
        source = PROJECT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, place / target, ignore=ignored, dirs_exist_ok=True)
        else:
            shutil.copy(source, place / target if target not in {".", "./"} else place)


def _try_image(root: Root) -> None:
    """Release on an empty database, serve it, and stop the service by SIGTERM."""
    database = root.folder / "srv" / "database"
    shutil.rmtree(database, ignore_errors=True)  # of an earlier trial in the same folder
    with embedded.start(database, fast=True) as server:
        url = server.url.replace(str(root.folder), "")
        sockets = database / "run"
        for private in (database, sockets, *sockets.iterdir()):
            private.chmod(0o777)  # the image's account is a stranger there
        settings = {
            "DATABASE_URL": url, "ACCESS_TOKEN": TOKEN, "NEW_DATABASE": "true",
            "CONNECT_PATIENCE": "5",
        }  # fmt: skip
        typer.echo("The release, as the image's account:")
        _run(root.words("python", "-m", "app", "release", **settings))
        serving = {**settings, "HOST": "127.0.0.1", "PORT": str(PORT)}
        typer.echo(f"The image's command {root.command}:")
        words = [word.strip('" ') for word in root.command.strip("[]").split(",")]
        with _served(root.words(*words, **serving)) as process:
            _look(f"http://127.0.0.1:{PORT}", process)
            process.send_signal(signal.SIGTERM)
            if (code := process.wait(60)) != 0:
                raise Failed(f"On SIGTERM the service ended with {code} instead of 0.")
        typer.echo("SIGTERM: it drained and ended with 0.")


@contextmanager
def _served(command: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(command) as process:
        try:
            yield process
        finally:
            process.kill()


def _look(origin: str, process: "subprocess.Popen[bytes]") -> None:
    give_up = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < give_up:
        try:
            health = httpx.get(f"{origin}/health")
        except httpx.TransportError:
            time.sleep(0.2)  # nobody tells when it listens
            continue
        if health.status_code != 200:
            raise Failed(f"/health says {health.status_code}: {health.text}")
        typer.echo(f"/health: {health.json()['status']}, at {health.json()['schema']['revision']}")
        return
    raise Failed("The service did not come up.")


def _run(command: list[str]) -> None:
    code = subprocess.run(command, stdout=sys.stderr, check=False).returncode
    if code:
        raise Failed(f"{shlex.join(command)[:200]} … ended with {code}.")


if __name__ == "__main__":
    typer.run(main)
