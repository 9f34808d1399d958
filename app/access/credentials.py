"""Who calls: found by the credential of a request, once, before anything else is done."""

import time
from typing import Final

from starlette.types import Scope

from app.access import tokens
from app.access.caller import Caller, Role
from app.access.peppers import Peppers
from app.access.shared_tokens import SharedTokens
from app.access.token_cache import TokenCache
from app.background import Tasks
from app.database.database import Database
from app.errors import Unauthorized
from app.settings import Settings

_TOUCHED: Final = 60.0
"""Seconds between two notes of a token's last use."""


class Credentials:
    """Finds the caller of each request, for one process."""

    def __init__(self, settings: Settings) -> None:
        self._shared, self._peppers = SharedTokens(settings), Peppers(settings)
        self._cache = TokenCache()
        self._touched: dict[str, float] = {}
        self._touching = Tasks()
        self._database: Database | None = None
        self.trusts_local = settings.trusts_local
        """Whether requests of this machine may use the operators' routes without a token."""
        word = settings.anonymous_role
        self.anonymous = Caller.nobody(Role[word.upper()] if word else None)
        """Who calls without a credential."""

    def attach(self, database: Database) -> None:
        self._database = database
        self._cache.clear()

    async def close(self) -> None:
        """Wait for what is still written of the last uses."""
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
                    return await self.of_token(token.strip())
                break
        return self.anonymous

    async def of_token(self, token: bytes) -> Caller:
        """Return who calls with a token. Raises Unauthorized, and what the database raises."""
        if shared := self._shared.find(token):
            return shared
        parts = tokens.read(token.decode("ascii", "replace"))
        if parts is None:
            raise Unauthorized("This is no valid access token: ask an operator for one.")
        return self._cache.find(*parts) or await self._look_up(*parts)

    async def _look_up(self, key: str, secret: str) -> Caller:
        assert self._database is not None, "requests come while the service runs"
        generation = self._cache.generation
        row = await self._database.row(tokens.FIND, key)
        caller = tokens.verified(row, key, secret, self._peppers)
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
