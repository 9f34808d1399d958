"""Writes by the database alone: pgbench runs the service's own two statements of a change.

The second statement has the announcement or not. The difference is the most that it can cost.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from app.entities import discovered
from app.sql.writes import write_statements
from scripts.benchmarks import pgbench
from scripts.benchmarks.load import LoadFailed, Measurement
from scripts.benchmarks.serving import Stage
from scripts.benchmarks.show import EDITED
from scripts.benchmarks.workloads import CONNECTIONS, Workload

WORKLOAD: Final = Workload(
    "commits", f"the same by the database alone, {CONNECTIONS} clients on {EDITED} shows",
    "commits", "", lambda show: (), method="PATCH",
)  # fmt: skip
_SQL: Final = write_statements(discovered()["cameras"])
_ANNOUNCED: Final = re.compile(r"pg_notify\('[^']*', .*? cameras'\)")
# Each client has shows of its own, so that no write loses a race.
_TURN: Final = f"\\set turn 1 + :client_id + {CONNECTIONS} * random(0, {EDITED // CONNECTIONS - 1})"
# Values for the parameters of the second statement; the first takes the camera.
_VALUES: Final = (
    ":production::uuid", ":seq::bigint", ":camera::uuid", ":version::int",
    """'{"note": "Moved."}'""", "NULL", """'{"note": ["", "Moved."]}'""", "'system'", "'System'",
    "NULL", "gen_random_uuid()", "false", "'{note}'",
)  # fmt: skip


@dataclass(frozen=True)
class Commits:
    """pgbench clients that change a field of cameras, each in shows of its own."""

    stage: Stage
    announces: bool
    origin: None = None

    def measure(self, workload: Workload, seconds: int, first: int) -> Measurement:
        """Run the two statements. Raise LoadFailed. ``first`` is not used."""
        del first
        with TemporaryDirectory() as name:
            script = Path(name) / "change.sql"
            script.write_text(_script(self.stage.show.edited, announces=self.announces))
            options = [f"-c{workload.connections}", f"-f{script}"]
            return pgbench.run(self.stage.database_url, Path(name), options, seconds)


@contextmanager
def alone(stage: Stage, announces: bool) -> Iterator[Commits]:  # noqa: FBT001  # one of two kinds
    """Yield pgbench on the stage's database; there is nothing to start."""
    yield Commits(stage, announces)


def _script(cameras: tuple[str, ...], *, announces: bool) -> str:
    change, replaced = (_SQL.update, 1) if announces else _ANNOUNCED.subn("NULL", _SQL.update)
    if replaced != 1:
        raise LoadFailed("The announcement is not in the statement: mend scripts/benchmarks.")
    camera = f"('{{{','.join(cameras)}}}'::uuid[])[:turn]"
    live = pgbench.colons_quoted(_SQL.live).replace("$1", camera)
    read = "SELECT production, seq, body->>'version' AS version, body->>'uuid' AS camera"
    return f"{_TURN}\n{read} FROM ({live}) AS live \\gset\n{_filled(change)};\n"


def _filled(sql: str) -> str:
    return re.sub(r"\$(\d+)", lambda n: _VALUES[int(n[1]) - 1], pgbench.colons_quoted(sql))
