"""Throttles guessing: counts refused credentials by address and by token, over all processes.

A refusal is counted in the process first, and costs nothing. A bucket with several is written about
once a second, with all others in one statement, which answers with the count of all processes. So
a flood costs each process one statement a second, and one mistyped token none.

Nobody with a valid credential is ever held up: it is verified before anything is counted. So one
guesser does not shut a network for all who share its address.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from app.access.client_address import network_of
from app.background import running
from app.database.database import Database
from app.errors import SignalbookError, TooManyRefusals
from app.sql.registry import statement

_log: Final = structlog.get_logger()
_BATCH: Final = 1_000

# Add $2 refusals to each bucket $1, which lasts $3 seconds where it is new. Returns the counts of
# all processes, and how long each bucket still lasts. They are locked in one order.
COUNT_REFUSALS: Final = statement(
    "INSERT INTO access_counts AS known (bucket, refusals, expires_at) "
    "SELECT bucket, refusals, CURRENT_TIMESTAMP + make_interval(secs => seconds) "
    "FROM unnest($1::text[], $2::int[], $3::float8[]) AS sent(bucket, refusals, seconds) "
    "ORDER BY bucket ON CONFLICT (bucket) DO UPDATE SET "
    "refusals = CASE WHEN known.expires_at <= CURRENT_TIMESTAMP THEN excluded.refusals "
    "ELSE least(known.refusals::bigint + excluded.refusals, 2000000000)::int END, "
    "expires_at = CASE WHEN known.expires_at <= CURRENT_TIMESTAMP THEN excluded.expires_at "
    "ELSE known.expires_at END RETURNING bucket, refusals, "
    "extract(epoch FROM expires_at - CURRENT_TIMESTAMP)::float8 AS seconds"
)
# Removes a batch of buckets that have expired.
FORGET_COUNTS: Final = statement(
    "WITH gone AS (DELETE FROM access_counts WHERE bucket = ANY (ARRAY("
    f"SELECT bucket FROM access_counts WHERE expires_at <= CURRENT_TIMESTAMP LIMIT {_BATCH} "
    "FOR UPDATE SKIP LOCKED)) RETURNING 1) SELECT count(*) AS removed FROM gone"
)


@dataclass(frozen=True)
class ThrottleLimits:
    """``refusals`` that a bucket may have in ``window`` seconds before it is throttled.

    From ``shared`` on a process tells the others, every ``pause`` seconds. ``most`` buckets are
    held; of more the oldest are forgotten.
    """

    refusals: int = 60
    window: float = 60.0
    shared: int = 6
    pause: float = 1.0
    most: int = 10_000


@dataclass(slots=True)
class _Bucket:
    """Refusals of all processes as far as is known, and those here that no other knows of."""

    until: float
    count: int = 0
    fresh: int = 0


class Throttle:
    """Counts refusals for one process."""

    def __init__(self, limits: ThrottleLimits) -> None:
        self._limits = limits
        self._buckets: dict[str, _Bucket] = {}
        self._unwritten: dict[str, _Bucket] = {}
        self._is_due = asyncio.Event()

    def refuse(self, address: str, key: str | None = None) -> None:
        """Count a wrong credential of an address, and of the token with that key.

        Raises TooManyRefusals where either has had too many. Count only keys that exist: a guesser
        can think of any number of others.
        """
        names = [f"address {network_of(address)}", *([f"token {key}"] if key else [])]
        buckets = [self._count(name) for name in names]
        worst = max(buckets, key=lambda bucket: bucket.until if self._is_full(bucket) else 0.0)
        if self._is_full(worst):
            seconds = math.ceil(max(worst.until - time.monotonic(), 1.0))
            error = TooManyRefusals(
                "This credential is wrong, as many were that came from your address, or for this "
                f"token. Try again in {seconds} seconds; a valid one is let in at any time."
            )
            error.headers = {"retry-after": str(seconds)}
            raise error

    def holds_up(self, address: str) -> bool:
        """Whether an address has had too many refusals lately."""
        bucket = self._buckets.get(f"address {network_of(address)}")
        return bucket is not None and self._is_full(bucket) and bucket.until > time.monotonic()

    def _is_full(self, bucket: _Bucket) -> bool:
        return bucket.count > self._limits.refusals

    def _count(self, name: str) -> _Bucket:
        now, bucket = time.monotonic(), self._buckets.pop(name, None)
        if bucket is None or bucket.until <= now:
            bucket = _Bucket(now + self._limits.window)
        if len(self._buckets) >= self._limits.most:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[name] = bucket
        bucket.count += 1
        bucket.fresh += 1
        if bucket.fresh >= self._limits.shared or bucket.count > bucket.fresh:
            self._unwritten[name] = bucket
            self._is_due.set()
        return bucket

    @asynccontextmanager
    async def running(self, database: Database) -> AsyncIterator[None]:
        """Count together with the other processes while the block runs."""
        async with running(self._keep_sharing(database)):
            yield

    async def _keep_sharing(self, database: Database) -> None:
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            try:
                await self._share(database)
            except SignalbookError as error:
                _log.warning("throttle", reason=f"counts for itself: {error.code}")
            except Exception as error:  # noqa: BLE001  # one that fails must not be the last
                _log.warning("throttle", reason=f"counts for itself: {type(error).__name__}")
            await asyncio.sleep(self._limits.pause)

    async def _share(self, database: Database) -> None:
        """Write what is fresh, and learn what other processes have counted."""
        names = list(self._unwritten)[:_BATCH]
        buckets = {name: self._unwritten.pop(name) for name in names}
        if self._unwritten:
            self._is_due.set()
        now, counts = time.monotonic(), [bucket.fresh for bucket in buckets.values()]
        seconds = [max(bucket.until - now, 1.0) for bucket in buckets.values()]
        for bucket in buckets.values():
            bucket.fresh = 0
        async with database.connection() as connection:
            rows = await connection.fetch(COUNT_REFUSALS, names, counts, seconds)
        for row in rows:
            bucket = buckets[row["bucket"]]
            bucket.count = row["refusals"] + bucket.fresh
            bucket.until = time.monotonic() + row["seconds"]
