"""A database's schema in pg_dump's words: a referee over drift that is not ours."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import reduce
from typing import Final

from app.database.embedded_home import pg_bin
from app.database.url import DatabaseUrl
from tests.support.exclusions import EXCLUSIONS

_HEAD: Final = re.compile(r"^-- Name: (.*); Type: (.*); Schema: (.*); Owner: ?(.*)$")
_NOISE: Final = re.compile(
    r"--|\\|$|SET |SELECT pg_catalog\.set_config|ALTER DATABASE \S+ REFRESH COLLATION"
)


def dumped(url: str) -> Counter[str]:
    """Return each line as type|name|schema|line, with how often it is there; order means nothing.

    The database's settings are among them, and its name is the same for all.
    """
    address = DatabaseUrl.parse(url)
    program = [
        str(pg_bin() / "pg_dump"), "--schema-only", "--create", "--no-password",
        "--host", address.host, "--port", str(address.port), "--username", address.user,
        address.database,
    ]  # fmt: skip
    done = subprocess.run(program, check=True, capture_output=True, text=True)
    return Counter(_lines(done.stdout.replace(address.database, "this_database")))


def _lines(script: str) -> Iterator[str]:
    place = ""
    for line in script.splitlines():
        if head := _HEAD.match(line):
            place = f"{head[2]}|{head[1]}|{head[3]}|"
        elif not _NOISE.match(line):
            yield place + line.strip().rstrip(",;")


def counted(lines: Counter[str], role: str) -> Counter[str]:
    """Return the lines without what is left out on purpose."""
    left = [
        re.compile(each.lines.replace("{role}", role), re.IGNORECASE)
        for each in EXCLUSIONS
        if each.lines
    ]
    parts = [re.compile(each.part) for each in EXCLUSIONS if each.part]
    found: Counter[str] = Counter()
    for line, times in lines.items():
        if not any(each.match(line) for each in left):
            found[reduce(lambda text, part: part.sub("", text), parts, line)] += times
    return found
