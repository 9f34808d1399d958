"""The Node server's packages: installed into a folder that git ignores, where there is npm."""

import os
import subprocess
import sys
from pathlib import Path
from shutil import copy, which
from typing import Final

from scripts.benchmarks.serving import Perform, served

_HERE: Final = Path(__file__).parent / "node"
# Not beside server.js: what walks through the project's files would walk through npm's as well.
_INSTALLED: Final = Path(".data/benchmarks/node")
_NPM: Final = ("npm", "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund")
_INSTALL_SECONDS: Final = 180


class NodeMissing(Exception):
    """The Node server cannot take part; the text says why."""


def prepared() -> tuple[Perform, str]:
    """Install the packages where they are missing; give what starts it and Node's version.

    Raises NodeMissing.
    """
    if not (node := which("node")):
        raise NodeMissing("node is not installed")
    if not _is_installed():
        _install()
    found = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    modules = str((_INSTALLED / "node_modules").resolve())
    server = str(_HERE / "server.js")
    perform = served(node, server, NODE_ENV="production", NODE_PATH=modules)
    return perform, found.stdout.strip()


def _is_installed() -> bool:
    ours, theirs = _HERE / "package.json", _INSTALLED / "package.json"
    done = _INSTALLED / "node_modules" / ".package-lock.json"  # what npm writes last
    return done.exists() and theirs.exists() and ours.read_bytes() == theirs.read_bytes()


def _install() -> None:
    if not which("npm"):
        raise NodeMissing("npm is not installed")
    print("Installing the Node server's packages …", file=sys.stderr)
    _INSTALLED.mkdir(parents=True, exist_ok=True)
    copy(_HERE / "package.json", _INSTALLED / "package.json")
    try:
        subprocess.run(
            _NPM, cwd=_INSTALLED, check=True, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=_INSTALL_SECONDS, env=dict(os.environ),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise NodeMissing(f"npm install did not end in {_INSTALL_SECONDS} s") from None
    except (OSError, subprocess.CalledProcessError) as failed:
        said = getattr(failed, "stderr", "") or str(failed)
        first = next((line for line in said.splitlines() if "error" in line), "no reason given")
        raise NodeMissing(f"npm install failed: {first}") from None
