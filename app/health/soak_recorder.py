"""Signals of the serving app for the release gate: its schema errors, and drift.

``note`` is called where an error is answered; it only counts, in bounded memory. A task writes the
counts on a connection of its own, and tries again until it succeeds. Another task looks for drift
while a soak runs. Neither delays a request or the start of the app.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Final

import asyncpg
import structlog

from app.background import running
from app.database.dial import dial
from app.database.url import DatabaseUrl
from app.releases.ledger import signals
from app.releases.ledger.signals import SCHEMA_ERROR
from app.releases.ledger.soak import Clock, Signal, utc_now
from app.releases.status import recheck

_log: Final = structlog.get_logger()
_KEPT_APART: Final = 100
_OVERFLOW: Final = ("OTHER", "more kinds of schema errors than were kept apart", "several routes")
_WITHIN: Final = 5.0  # seconds for any one statement
_BATCH: Final = 1.0  # seconds of errors that are written together
_LONGEST_WAIT: Final = 60.0  # seconds between two tries
_AT_THE_END: Final = 2.0  # seconds for a last try when the app stops

Key = tuple[str, str, str]


class SoakRecorder:
    """Counts schema errors and writes them. Times are in seconds.

    ``clock`` returns UTC, by default the database's time, by which a soak is judged.
    """

    def __init__(
        self, url: DatabaseUrl, check_every: float, clock: Clock | None = None,
        together: float = _BATCH,
    ) -> None:  # fmt: skip
        self._url, self._every, self._clock, self._together = url, check_every, clock, together
        self._tally: dict[Key, Signal] = {}
        self._something = asyncio.Event()

    def note(self, error: BaseException | None, source: str) -> None:
        """Count an error if it means that code and schema disagree; ``source`` is the route."""
        if code_and_words := signals.schema_error(error):
            code, words = code_and_words
            now = (self._clock or utc_now)()
            self._add(Signal(kind=SCHEMA_ERROR, code=code, words=words, source=source,
                             count=1, at=now, last_at=now))  # fmt: skip
            self._something.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write and look for drift while the block runs; at its end, try once more to write."""
        try:
            async with running(self._keep_writing(), self._look()):
                yield
        finally:
            with suppress(Exception):
                async with asyncio.timeout(_AT_THE_END):
                    await self.flush()

    async def flush(self) -> None:
        """Write the counts. If the database raises, keep them and raise."""
        if not self._tally:
            return
        tally, self._tally = self._tally, {}
        try:
            async with self._connected() as connection:
                await signals.write(connection, await self._timed(connection, tally.values()))
        except BaseException:
            for signal in tally.values():
                self._add(signal)
            raise

    async def check(self) -> None:
        """Look for drift if a soak runs. Raise what the database raises."""
        async with self._connected() as connection:
            for finding in await recheck.recheck(connection, self._every, self._clock) or ():
                _log.warning("drift", words=finding.words)

    def _add(self, signal: Signal) -> None:
        if _key(signal) not in self._tally and len(self._tally) >= _KEPT_APART:
            code, words, source = _OVERFLOW
            signal = replace(signal, code=code, words=words, source=source)
        earlier = self._tally.get(_key(signal))
        self._tally[_key(signal)] = signal if earlier is None else _together(earlier, signal)

    async def _timed(
        self, connection: asyncpg.Connection, recorded: Iterable[Signal]
    ) -> list[Signal]:
        """Return the signals in the database's time; this machine's may be wrong."""
        if self._clock is not None:
            return list(recorded)
        ahead = await connection.fetchval("SELECT clock_timestamp()") - utc_now()
        return [replace(s, at=s.at + ahead, last_at=s.last_at + ahead) for s in recorded]

    async def _keep_writing(self) -> None:
        wait = self._together
        while True:
            await self._something.wait()
            self._something.clear()
            try:
                await self.flush()
                wait = self._together
            except Exception as error:  # noqa: BLE001  # one that fails must not be the last
                _log.warning("recorder", reason=f"cannot write yet: {type(error).__name__}")
                self._something.set()
                wait = min(wait * 2, _LONGEST_WAIT)
            await asyncio.sleep(wait)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                await self.check()
            except Exception as error:  # noqa: BLE001  # one that fails must not be the last
                _log.warning("recorder", reason=f"cannot look for drift: {type(error).__name__}")

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncpg.Connection]:
        limits = dict.fromkeys(("statement_timeout", "lock_timeout"), str(int(_WITHIN * 1_000)))
        arguments = self._url.connect_args(application_name="signalbook-recorder", **limits)
        connection = await dial({**arguments, "timeout": _WITHIN, "command_timeout": _WITHIN + 1})
        try:
            yield connection
        finally:
            connection.terminate()


def _key(signal: Signal) -> Key:
    return signal.code, signal.words, signal.source


def _together(one: Signal, other: Signal) -> Signal:
    count, at = one.count + other.count, min(one.at, other.at)
    return replace(one, count=count, at=at, last_at=max(one.last_at, other.last_at))
