"""Compares this database with another: the revisions of each, and how their schemas differ.

Neither is right or wrong: "here" is this database, "there" the other. Both are only read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

import asyncpg

from app.database.url import BadDatabaseUrl, DatabaseUrl
from app.releases.connection.server_faults import server_fault
from app.releases.migrations.revisions import has_revision, history
from app.releases.migrations.version_row import BadVersionRow, single_revision
from app.releases.schema.differences import Difference, differences
from app.releases.schema.introspection.introspect import read_snapshot
from app.releases.schema.snapshot import Snapshot
from app.releases.verdict import MigrationContended, Stopped, Verdict

_HERE, _THERE = "this database", "the other database"
_READABLE: Final = "to_regclass($1) IS NOT NULL AND has_table_privilege($1, 'SELECT')"


@dataclass(frozen=True, kw_only=True)
class RevisionHistory:
    """Which revision one database is at; ``hashes`` are those that the gate stored with each.

    ``revision`` is None where it was never migrated; ``server`` is PostgreSQL's major version.
    """

    revision: str | None
    hashes: Mapping[str, str]
    server: int

    @property
    def applied(self) -> set[str]:
        """Its revisions: those stored with a hash, and all of this image up to its own."""
        return {*self.hashes, *_up_to(self.revision)}


@dataclass(frozen=True)
class DatabaseComparison:
    """Two databases: their histories, this one's first, and what differs between their schemas."""

    histories: tuple[RevisionHistory, RevisionHistory]
    differences: tuple[Difference, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs, neither history nor schema."""
        return not (self.differences or self.unequal or self._only(0) or self._only(1)) and (
            self.histories[0].revision == self.histories[1].revision
        )

    @property
    def unequal(self) -> list[str]:
        """Revisions that were applied to both, and not with the same statements."""
        here, there = (history.hashes for history in self.histories)
        return sorted(name for name in here.keys() & there.keys() if here[name] != there[name])

    def lines(self) -> Iterator[str]:
        """Yield the lines of a report: the histories, then the differences table by table."""
        yield from self._place()
        for name in self.unequal:
            yield (
                f"Revision {name} is not the same in both: it was edited between the two releases, "
                "so the two schemas may differ for ever. Find out which text each was built from."
            )
        yield from self._caution()
        if not self.differences:
            yield "Their schemas are the same."
            return
        yield f"Their schemas differ in {_counted(len(self.differences), 'object')}:"
        for table, group in groupby(self.differences, attrgetter("table")):
            yield table or "(no table)"
            yield from (f"  {difference.words}" for difference in group)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        here, there = self.histories
        return {
            "same": self.same,
            "here": asdict(here) | {"only": self._only(0)},
            "there": asdict(there) | {"only": self._only(1)},
            "unequal": self.unequal,
            "differences": [asdict(difference) for difference in self.differences],
            "words": list(self.lines()),
        }

    def _only(self, side: int) -> list[str]:
        """Return the revisions that the other one lacks."""
        return sorted(self.histories[side].applied - self.histories[1 - side].applied)

    def _place(self) -> Iterator[str]:
        here, there = (history.revision for history in self.histories)
        if here == there:
            yield f"Both databases are at {_at(here)}."
        else:
            yield f"This database is at {_at(here)}, the other at {_at(there)}."
        for only, whose in ((self._only(0), "here"), (self._only(1), "there")):
            if only:
                yield f"Applied only {whose} ({_counted(len(only), 'revision')}): {_range(only)}."

    def _caution(self) -> Iterator[str]:
        here, there = self.histories
        if here.server != there.server:
            yield (
                f"PostgreSQL is {here.server} here and {there.server} there: the two may write the "
                "same definition in other words, and that shows below as a difference."
            )
        if self.differences and here.applied != there.applied:
            yield (
                "The databases are not at the same revision, so their schemas must differ; "
                "python -m app drift tells whether each is what its own revisions build."
            )


async def compare_databases(url: str, other: str) -> DatabaseComparison:
    """Compare this database with another. Reads both, writes neither.

    Raises Stopped, which names the one of the two that does not answer, refuses, or is busy.
    """
    here, schema = await _surveyed(url, _HERE)
    there, other_schema = await _surveyed(other, _THERE)
    return DatabaseComparison((here, there), tuple(differences(schema, other_schema)))


async def _surveyed(url: str, which: str) -> tuple[RevisionHistory, Snapshot]:
    connection = await _connected(url, which)
    try:
        await connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        return await _history(connection), await read_snapshot(connection)
    except MigrationContended as busy:
        raise Stopped(Verdict.CONTENDED, f"In {which}: {busy}") from busy
    except BadVersionRow as row:
        raise Stopped(Verdict.DRIFTED, f"In {which}: {row}") from row
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as failed:
        words = f"{which.capitalize()} cannot be read: {failed}."
        raise Stopped(Verdict.UNREACHABLE, words) from failed
    finally:
        await connection.close()


async def _connected(url: str, which: str) -> asyncpg.Connection:
    """Connect. No error shows the URL, which may hold a password."""
    try:
        return await asyncpg.connect(**DatabaseUrl.parse(url).connect_args())
    except BadDatabaseUrl as bad:
        words = str(bad).replace("DATABASE_URL", f"The URL of {which}", 1)
        raise Stopped(Verdict.UNREACHABLE, words) from None
    except (OSError, TimeoutError) as away:
        words = f"{which.capitalize()} does not answer ({type(away).__name__}): check its host and "
        raise Stopped(Verdict.UNREACHABLE, f"{words}port, and that it runs.") from None
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as refused:
        fault = server_fault(refused)
        verdict = fault.verdict if fault else Verdict.UNREACHABLE
        raise Stopped(verdict, f"{which.capitalize()} lets us not in: {refused}.") from None


async def _history(connection: asyncpg.Connection) -> RevisionHistory:
    async def column(table: str, columns: str) -> list[asyncpg.Record]:
        if not await connection.fetchval(f"SELECT {_READABLE}", table):
            return []
        return await connection.fetch(f"SELECT {columns} FROM {table}")

    revisions = await column("public.alembic_version", "version_num")
    hashes = await column("public.release_revisions", "revision, hash")
    return RevisionHistory(
        revision=single_revision([row[0] for row in revisions]),
        hashes=dict(sorted(map(tuple, hashes))),
        server=connection.get_server_version().major,
    )


def _up_to(revision: str | None) -> list[str]:
    names = [each.name for each in history()]
    return names[: names.index(revision) + 1] if revision and has_revision(revision) else []


def _at(revision: str | None) -> str:
    if revision is None:
        return "no revision (never migrated)"
    return revision if has_revision(revision) else f"{revision} (not known to this version)"


def _range(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count != 1 else ''}"
