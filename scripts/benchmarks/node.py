"""The Node server: npm installs its packages into a folder that git ignores."""

import os
import subprocess
import sys
from pathlib import Path
from shutil import copy, which
from typing import Final

from scripts.benchmarks.serving import Perform, served

_HERE: Final = Path(__file__).parent / "node"
# Not beside server.js, so that tools that read the project's files do not read npm's.
_INSTALLED: Final = Path(".data/benchmarks/node")
_NPM: Final = ("npm", "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund")
_INSTALL_SECONDS: Final = 180


class NodeMissing(Exception):
    """The Node server cannot take part; the text says why."""


def prepared() -> tuple[Perform, str]:
    """Install missing packages; return what starts the server, and Node's version.

    Raise NodeMissing.
    """
    if not (node := which("node")):
        raise NodeMissing("node is not installed")
    if not _is_installed():
        _install()
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    modules = str((_INSTALLED / "node_modules").resolve())
    server = str(_HERE / "server.js")
    perform = served(node, server, NODE_ENV="production", NODE_PATH=modules)
    return perform, version.stdout.strip()


def _is_installed() -> bool:
    ours, theirs = _HERE / "package.json", _INSTALLED / "package.json"
    marker = _INSTALLED / "node_modules" / ".package-lock.json"  # what npm writes last
    return marker.exists() and theirs.exists() and ours.read_bytes() == theirs.read_bytes()


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
        output = getattr(failed, "stderr", "") or str(failed)
        first = next((line for line in output.splitlines() if "error" in line), "no reason given")
        raise NodeMissing(f"npm install failed: {first}") from None
