"""The database alone: pgbench runs the service's own SQL, without HTTP and Python."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from app.database.embedded_home import pg_bin
from app.database.url import DatabaseUrl
from app.entities import discovered
from app.sql.reads import statements
from app.sql.show_reads import SHOW_BY_UUID
from scripts.benchmarks.load import ANSWER_SECONDS, LoadFailed, Measurement
from scripts.benchmarks.serving import Stage
from scripts.benchmarks.show import Show
from scripts.benchmarks.workloads import SIX, Workload

_SQL: Final = {name: statements(discovered()[name]) for name in SIX}
_CAMERAS: Final = _SQL["cameras"]
_WHOLE: Final = SHOW_BY_UUID.replace("$2", "NULL::text[]")
Queries = list[tuple[str, str]]
"""Statements, each with the value of its one parameter."""
_QUERIES: Final[Mapping[str, Callable[[Show], Queries]]] = {
    "list-20": lambda show: [(_CAMERAS.list, production) for production in show.small],
    "304": lambda show: [(_CAMERAS.tag, production) for production in show.small],
    "list-500": lambda show: [(_CAMERAS.list, show.large)],
    "get": lambda show: [(_CAMERAS.one, camera) for camera in show.cameras],
    "six-lists": lambda show: [(sql.list, show.sample) for sql in _SQL.values()],
    "show": lambda show: [(_WHOLE, show.sample)],
}
WORKLOADS: Final = frozenset(_QUERIES)
_KEEP_SECONDS: Final = 30


@dataclass(frozen=True)
class Pgbench:
    """pgbench with as many clients as the load generator has connections, and one thread."""

    stage: Stage
    origin: None = None

    def measure(self, workload: Workload, seconds: int, first: int) -> Measurement:
        """Run the workload's statement. Raise LoadFailed. ``first`` is not used."""
        del first
        with TemporaryDirectory() as name:
            folder = Path(name)
            options = [f"-c{workload.connections}"]
            for number, (sql, value) in enumerate(_QUERIES[workload.name](self.stage.show)):
                script = _script(folder, sql, f"wanted{number}")
                options += [f"-f{script}", f"-Dwanted{number}={value}"]
            measured = run(self.stage.database_url, folder, options, seconds)
            return replace(measured, requests_each=workload.requests)


def run(database_url: str, folder: Path, options: list[str], seconds: int) -> Measurement:
    """Run pgbench for some seconds with the scripts that the options name. Raise LoadFailed."""
    steady = ["-n", "-Mprepared", "-j1", f"-T{seconds}", "-l", f"--log-prefix={folder / 'log'}"]
    try:
        subprocess.run(
            [str(pg_bin() / "pgbench"), *steady, *options], env=_environment(database_url),
            capture_output=True, text=True, check=True,
            timeout=seconds + ANSWER_SECONDS + _KEEP_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise LoadFailed("pgbench did not end in time.") from None
    except subprocess.CalledProcessError as failed:
        raise LoadFailed(f"pgbench failed: {failed.stderr[-1000:]}") from None
    return _measured(folder, seconds)


@contextmanager
def alone(stage: Stage) -> Iterator[Pgbench]:
    """Yield pgbench on the stage's database; there is nothing to start."""
    yield Pgbench(stage)


def _script(folder: Path, sql: str, variable: str) -> Path:
    """Write a script with a variable in place of the statement's parameter."""
    script = folder / f"{variable}.sql"
    script.write_text(f"{colons_quoted(sql).replace('$1', f':{variable}')};\n")
    return script


def colons_quoted(sql: str) -> str:
    """Return the statement with its colons quoted, so that pgbench finds no variables in it.

    It takes ``:MI`` in the format of a time for one. A quoted colon means the same in a format.
    """
    return re.sub(r"'[^']*'", lambda text: text[0].replace(":", '":"'), sql)


def _environment(url: str) -> dict[str, str]:
    """Return libpq's variables for the database; a password must not be an argument."""
    place = DatabaseUrl.parse(url)
    variables = {"PGHOST": place.host, "PGPORT": str(place.port), "PGUSER": place.user}
    variables |= {"PGDATABASE": place.database, "PGTZ": "UTC", "PATH": os.defpath}
    return variables | ({"PGPASSWORD": place.password} if place.password else {})


def _measured(folder: Path, seconds: int) -> Measurement:
    """Read pgbench's log: the third word of a line is a transaction's time in microseconds.

    Raise LoadFailed if none ended in time.
    """
    lines = [line for log in folder.glob("log*") for line in log.read_text().splitlines()]
    times = sorted(int(line.split()[2]) / 1_000 for line in lines)
    if not times:
        raise LoadFailed(f"pgbench ran no statement to its end in {seconds} s.")
    middle, late = times[len(times) // 2], times[len(times) * 99 // 100]
    return Measurement(len(times), seconds, middle, late, errors=0)
