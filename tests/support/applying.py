"""The apply engine as tests run it: on a database with a ledger, with steps of the test's own."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Self

import asyncpg
import pytest
from sqlalchemy import Connection

from app.releases.apply import migration as engine
from app.releases.apply.migration import MigrationLimits, MigrationReport
from app.releases.ledger.ledger import Ledger
from app.releases.migrations import alembic_runner
from app.releases.migrations.migration_session import GATE_LOCK
from app.releases.migrations.observer import Observer
from app.releases.migrations.steps import LiveSteps
from app.releases.plan.plan import Plan
from tests.legacy import connected

Body = Callable[[LiveSteps], None]


def a_plan(*revisions: str) -> Plan:
    """Return a plan of these revisions."""
    return Plan(
        before=None, revisions=revisions, phase="expand", table=None, statements=(), fingerprint=""
    )


class Applying:
    """Applies to one database, and keeps what was said."""

    def __init__(self, url: str, ledger: Ledger) -> None:
        self.url, self.ledger = url, ledger
        self.said: list[str] = []
        self.walked: list[tuple[int, int]] = []
        self.done: list[str] = []

    async def revisions(
        self,
        *revisions: str,
        limits: MigrationLimits | None = None,
        approved: Callable[[str], bool] = lambda _: True,
        predicted: Mapping[str, float] | None = None,
    ) -> MigrationReport:
        """Apply these revisions."""
        return await engine.apply(
            self.url,
            a_plan(*revisions),
            self.ledger,
            limits or MigrationLimits(wall_clock=120.0),
            predicted=predicted or {},
            approved=approved,
            applied=self._applied,
            say=self.said.append,
            progress=lambda _name, done, total, _rate, _left: self.walked.append((done, total)),
        )

    async def steps(
        self, monkeypatch: pytest.MonkeyPatch, body: Body, **how: Any
    ) -> MigrationReport:
        """Apply a revision that consists of these steps."""

        async def upgraded(url: str, _revision: str, say: Any, observer: Observer) -> None:
            made = alembic_runner.make_engine(url)
            async with made.connect() as connection:
                await connection.run_sync(partial(_taken, body, say, observer))

        async def nowhere(_: str) -> None:
            """Return nothing: the revision of a test is none of the image's."""

        with monkeypatch.context() as replaced:
            replaced.setattr(alembic_runner, "upgrade", upgraded)
            replaced.setattr(alembic_runner, "current", nowhere)
            return await self.revisions("9999_of_the_test", **how)

    @asynccontextmanager
    async def elsewhere(self) -> AsyncIterator[None]:
        """Let another process be the gate meanwhile; it must be gone in the end."""
        await self.ledger.execute("SELECT pg_advisory_unlock($1)", GATE_LOCK)
        yield
        async with asyncio.timeout(60):
            while not await self.ledger.try_lock():  # noqa: ASYNC110  # it tells no event
                await asyncio.sleep(0.05)

    async def pages(self) -> list[dict[str, Any]]:
        """Return what the ledger holds of the statements."""
        return await self.ledger.fetch_rows(
            "SELECT * FROM release_statements WHERE run = $1 ORDER BY position", self.ledger.run
        )

    async def _applied(self, revision: str) -> None:
        self.done.append(revision)


def _taken(body: Body, say: Any, observer: Observer, connection: Connection) -> None:
    raw = connection.engine.raw_connection()
    try:
        body(LiveSteps(raw, say, observer))
    finally:
        raw.close()


@asynccontextmanager
async def applying(url: str) -> AsyncIterator[Applying]:
    """Open a run on a database."""
    async with connected(url) as connection:
        ledger = Ledger(connection)
        assert await ledger.try_lock()
        await ledger.prepare()
        await ledger.begin("release", "test", None, None)
        yield Applying(url, ledger)


async def timed(work: Awaitable[Any]) -> float:
    """Return the seconds that it took."""
    began = time.monotonic()
    await work
    return time.monotonic() - began


class Service:
    """Runs one statement again and again, as a service does, and notes how long each one took."""

    def __init__(self, url: str, statement: str) -> None:
        self._url, self._statement = url, statement
        self.waits: list[float] = []

    async def __aenter__(self) -> Self:
        self._serving = asyncio.create_task(self._serve())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._serving.cancel()
        ended = await asyncio.gather(self._serving, return_exceptions=True)
        assert isinstance(ended[0], asyncio.CancelledError), ended

    async def _serve(self) -> None:
        async with connected(self._url) as connection:
            while True:
                self.waits.append(await timed(connection.execute(self._statement)))
                await asyncio.sleep(0.005)


@asynccontextmanager
async def holding(url: str, *statements: str) -> AsyncIterator[asyncpg.Connection]:
    """Hold the locks of these statements in an open transaction."""
    async with connected(url) as connection:
        transaction = connection.transaction()
        await transaction.start()
        for statement in statements:
            await connection.execute(statement)
        try:
            yield connection
        finally:
            await transaction.rollback()


async def until(url: str, query: str) -> None:
    """Wait until a query gives true. Raises TimeoutError after 60 s."""
    async with connected(url) as connection, asyncio.timeout(60):
        while not await connection.fetchval(query):  # noqa: ASYNC110  # a server tells no event
            await asyncio.sleep(0.01)
