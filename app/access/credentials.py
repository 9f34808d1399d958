"""Who calls: found by the credential of a request, once, before anything else is done."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from typing import Any, Final, NoReturn
from urllib.parse import parse_qs
from uuid import UUID

from starlette.types import Scope

from app.access import tickets, tokens
from app.access.audit.audit_entries import REFUSED, AuditEntry
from app.access.audit.audit_writer import Audit
from app.access.caller import Caller, Role
from app.access.client_address import address_of
from app.access.memberships import Memberships
from app.access.oidc.authorization import Authorization
from app.access.oidc.issuer import Issuer
from app.access.page_sessions import SESSION, PageSessions
from app.access.peppers import Peppers
from app.access.refusals.throttle import Throttle, ThrottleLimits
from app.access.refusals.token_lookups import TokenLookups
from app.access.shared_tokens import SETTING, SharedTokens
from app.access.token_cache import TokenCache
from app.access.watches import SUBJECT, Watches
from app.background import Tasks
from app.database.database import Database
from app.errors import Forbidden, Unauthorized, Unavailable
from app.settings import BadSettings, Settings

_STREAMS: Final = "/changes/stream"
"""How the paths of event streams end."""
_TICKETS: Final = "tickets"
_TOUCHED: Final = 60.0
"""Seconds between two notes of a token's last use."""


class Credentials:
    """Finds the caller of each request, for one process."""

    def __init__(self, settings: Settings) -> None:
        self._shared, self._peppers = SharedTokens(settings), Peppers(settings)
        self._cache, self._lookups = TokenCache(), TokenLookups(self._find)
        self.pages = PageSessions(settings, self._shared, self._peppers)
        self._touched: dict[str, float] = {}
        self._touching = Tasks()
        self._memberships: Memberships | None = None
        self._issuer = Issuer(settings) if settings.oidc_issuer else None
        self.authorization: Authorization | None = None
        """Signs browsers in at the issuer, where the settings name a client of it."""
        if self._issuer and settings.oidc_client_id:
            self.authorization = Authorization(settings, self._issuer, self._peppers)
        self.watches = Watches()
        self._database: Database | None = None
        self.audit = Audit()
        self.throttle = Throttle(ThrottleLimits(refusals=settings.refusals_per_minute))
        self.trusts_local = settings.trusts_local
        """Whether requests of this machine may use the operators' routes without a token."""
        word = settings.anonymous_role
        self.anonymous = Caller.nobody(Role[word.upper()] if word else None)
        """Who calls without a credential."""

    def attach(self, database: Database) -> None:
        self._database = database
        self._memberships = Memberships(database)
        self._cache.clear()
        self.pages.attach(database)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look after those who stay connected while the block runs, then finish what is begun."""
        assert self._database is not None, "it was attached"
        try:
            database = self._database
            async with (
                self.audit.running(database), self.throttle.running(database),
                self.watches.running(database),
            ):  # fmt: skip
                yield
        finally:
            await self._lookups.close()
            await self._touching.wait()
            await self.pages.close()
            if self._issuer is not None:
                await self._issuer.close()

    def forget(self, subject: str) -> None:
        """Look at a subject's credential anew, since it has changed."""
        self.pages.forget()
        if subject.startswith(SESSION):
            self.watches.end_session(UUID(subject.removeprefix(SESSION)))
            return
        self._cache.forget(subject.removeprefix(SUBJECT))
        if self._memberships is not None:
            self._memberships.forget(subject)
        self.watches.look()

    async def forget_all(self, _: object = None) -> None:
        """Look at every credential anew, since changes may not have been announced here."""
        self._cache.clear()
        if self._memberships is not None:
            self._memberships.forget_all()
        self.pages.forget()
        self.watches.look()

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
        if b"ticket=" in scope["query_string"] and scope["path"].endswith(_STREAMS):
            return await self._of_ticket(scope["query_string"], address_of(scope))
        return await self.pages.caller(scope) or self.anonymous

    async def of_token(self, token: bytes, address: str) -> Caller:
        """Return who calls with a token.

        Raises Unauthorized, TooManyRefusals where that was raised often for the address or the
        token, and what the database raises.
        """
        if shared := self._shared.find(token):
            return shared
        text = token.decode("ascii", "replace")
        if self._issuer is not None and text.count(".") == 2:
            return await self._of_issuer(self._issuer, text, address)
        parts = tokens.read(text)
        if parts is None:
            error = Unauthorized("This is no valid access token: ask an operator for one.")
            self._refuse(error, address)
        return self._cache.find(*parts) or await self._look_up(*parts, address)

    async def renewed(self, caller: Caller) -> Caller:
        """Return a caller with the memberships that they have now.

        Whether the credential is still valid is not asked: ``watches`` ends who holds an old one.
        """
        if caller.is_shared:
            return caller
        assert self._memberships is not None, "it was attached"
        return replace(caller, memberships=await self._memberships.of(caller.subject))

    async def refuse_without_role(self, caller: Caller) -> None:
        """Raise Forbidden where somebody whom the issuer names may do nothing here."""
        if caller.role is None and not (await self.renewed(caller)).memberships:
            raise Forbidden(
                f"The issuer knows you as {caller.user_name}, but you have no role here: ask an "
                f"operator for one, and say that you are {caller.subject}."
            )

    def ticket(self, caller: Caller) -> str:
        """Return a ticket with which the caller can open an event stream."""
        try:
            return tickets.issue(caller, self._peppers.keys(_TICKETS)[0])
        except BadSettings as missing:
            raise Unavailable(str(missing)) from None

    async def _of_ticket(self, query: bytes, address: str) -> Caller:
        try:
            return await self._find_holder(query)
        except Unauthorized as error:
            self._refuse(error, address)

    async def _find_holder(self, query: bytes) -> Caller:
        """Return whose ticket a query holds, as that credential is now. Raises Unauthorized."""
        ticket = parse_qs(query.decode("latin-1")).get("ticket", [""])[0]
        try:
            caller = tickets.read(ticket, self._peppers.keys(_TICKETS))
        except BadSettings:
            raise Unauthorized("There are no tickets here: send an access token.") from None
        if caller.is_anonymous:
            return self.anonymous
        if caller.subject.startswith(SUBJECT):
            key = caller.subject.removeprefix(SUBJECT)
            row = await self._lookups.row(key)
            if row is None:
                raise Unauthorized("The token of this ticket is gone: ask an operator for another.")
            return tokens.holder(row, key)
        if caller.subject.startswith(SETTING):
            shared = self._shared.of_subject(caller.subject)
            if shared is None:
                raise Unauthorized("The token of this ticket is gone: ask an operator for another.")
            return shared
        return await self.renewed(caller)

    async def _of_issuer(self, issuer: Issuer, token: str, address: str) -> Caller:
        key = sha256(token.encode()).hexdigest()
        if caller := self._cache.find(key, token):
            return await self.renewed(caller)
        generation = self._cache.generation
        try:
            caller = await issuer.caller(token)
        except Unauthorized as error:
            self._refuse(error, address)
        until = caller.expires_at.timestamp() if caller.expires_at else None
        self._cache.put(key, token, caller, until, generation)
        return await self.renewed(caller)

    def _refuse(self, error: Unauthorized, address: str, key: str | None = None) -> NoReturn:
        """Note and count a wrong credential; ``key`` is that of a token that exists."""
        subject = f"{SUBJECT}{key}" if key else None
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
            await self._lookups.tick()
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
