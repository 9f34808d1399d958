"""Who calls: found by the credential of a request, once, before anything else is done."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NoReturn

from starlette.types import Scope

from app.access import tokens
from app.access.audit import REFUSED, Audit, AuditEntry
from app.access.caller import Caller, Role
from app.access.client_address import address_of
from app.access.peppers import Peppers
from app.access.shared_tokens import SharedTokens
from app.access.throttle import Throttle, ThrottleLimits
from app.access.token_cache import TokenCache
from app.access.token_lookups import TokenLookups
from app.background import Tasks
from app.database.database import Database
from app.errors import Unauthorized
from app.settings import Settings

_TICK: Final = 0.05
"""Seconds between two look-ups of what throttled addresses have sent."""
_TOUCHED: Final = 60.0
"""Seconds between two notes of a token's last use."""


class Credentials:
    """Finds the caller of each request, for one process."""

    def __init__(self, settings: Settings) -> None:
        self._shared, self._peppers = SharedTokens(settings), Peppers(settings)
        self._cache, self._lookups = TokenCache(), TokenLookups(self._find)
        self._touched: dict[str, float] = {}
        self._touching = Tasks()
        self._database: Database | None = None
        self.audit = Audit()
        self.throttle = Throttle(ThrottleLimits(refusals=settings.refusals_per_minute))
        self.trusts_local = settings.trusts_local
        """Whether requests of this machine may use the operators' routes without a token."""
        word = settings.anonymous_role
        self.anonymous = Caller.nobody(Role[word.upper()] if word else None)
        """Who calls without a credential."""

    @asynccontextmanager
    async def running(self, database: Database) -> AsyncIterator[None]:
        """Look tokens up while the block runs, write what is noted, and count refusals."""
        self._database = database
        self._cache.clear()
        async with self.audit.running(database), self.throttle.running(database):
            yield
            await self._lookups.close()
            await self._touching.wait()

    def forget(self, subject: str) -> None:
        """Look at a subject's credential anew, since it has changed."""
        self._cache.forget(subject.removeprefix(tokens.SUBJECT))

    async def forget_all(self, _: object = None) -> None:
        """Look at every credential anew, since changes may not have been announced here."""
        self._cache.clear()

    async def caller(self, scope: Scope) -> Caller:
        """Return who sends a request.

        Raises Unauthorized for a bearer token that is wrong, and what the database raises. Another
        scheme than Bearer is no credential of ours: a proxy may have asked for it.
        """
        for name, value in scope["headers"]:
            if name == b"authorization":
                scheme, _, token = value.partition(b" ")
                if scheme.lower() == b"bearer":
                    return await self.of_token(token.strip(), address_of(scope))
                break
        return self.anonymous

    async def of_token(self, token: bytes, address: str) -> Caller:
        """Return who calls with a token.

        Raises Unauthorized, TooManyRefusals where that was raised often for the address or the
        token, and what the database raises.
        """
        if shared := self._shared.find(token):
            return shared
        parts = tokens.read(token.decode("ascii", "replace"))
        if parts is None:
            error = Unauthorized("This is no valid access token: ask an operator for one.")
            self._refuse(error, address)
        return self._cache.find(*parts) or await self._look_up(*parts, address)

    def _refuse(self, error: Unauthorized, address: str, key: str | None = None) -> NoReturn:
        """Note and count a wrong credential; ``key`` is that of a token that exists."""
        subject = f"{tokens.SUBJECT}{key}" if key else None
        details = {"code": error.code, "reason": error.message}
        entry = AuditEntry("credential", REFUSED, subject, address=address, details=details)
        self.audit.note_refusal(entry)
        self.throttle.refuse(address, key)
        raise error

    async def _find(self, keys: Sequence[str]) -> dict[str, Any]:
        assert self._database is not None, "requests come while the service runs"
        return {row["key"]: row for row in await self._database.rows(tokens.FIND, keys)}

    async def _look_up(self, key: str, secret: str, address: str) -> Caller:
        if self.throttle.holds_up(address):
            # All of them wait for one moment, so that one statement looks them up.
            await asyncio.sleep(_TICK - time.monotonic() % _TICK)
        generation = self._cache.generation
        row = await self._lookups.row(key)
        try:
            caller = tokens.verified(row, key, secret, self._peppers)
        except Unauthorized as error:
            self._refuse(error, address, key if row else None)
        expires_at = row["expires_at"].timestamp() if row and row["expires_at"] else None
        self._cache.put(key, secret, caller, expires_at, generation)
        if self._touched.get(key, 0.0) + _TOUCHED <= time.monotonic():
            self._touched[key] = time.monotonic()
            self._touching.start(self._touch(key))
        return caller

    async def _touch(self, key: str) -> None:
        """Note that a token was used, beside the request."""
        assert self._database is not None, "it has just been asked"
        async with self._database.connection() as connection:
            await connection.execute(tokens.TOUCH, key)
