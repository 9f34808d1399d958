"""Sessions of pages: browsers that signed in, and are known by a cookie.

The cookie names a row, and is signed. Who calls is read from the token that they signed in with, so
that a session ends with its token, and may what the token may now. What an issuer said of somebody
counts until the session ends, so that such a session never lasts longer than it was to.
"""

import hmac
import time
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID, uuid4

from itsdangerous import BadSignature, URLSafeSerializer
from pydantic_core import from_json

from app.access.audit.audit_entries import note_in, of_caller
from app.access.caller import ISSUER, Caller, Role
from app.access.cookies import cookie_header, cookie_value
from app.access.memberships import CHANNEL
from app.access.origins import is_own_page
from app.access.peppers import Peppers
from app.access.shared_tokens import SharedTokens
from app.access.token_cache import TokenCache
from app.background import Tasks
from app.database.database import Database
from app.errors import Unavailable
from app.settings import BadSettings, Settings
from app.sql.registry import statement

SESSION: Final = "session:"
"""What is announced of a session that has ended; its uuid follows."""
_PAUSE: Final = 60
"""Seconds between two notes that a session is used."""
_PURPOSE: Final = "page sessions"
_COOKIE: Final = "signalbook"
_BATCH: Final = 1_000
_OF_ISSUER: Final = f"s.subject LIKE '{ISSUER}%'"
_VALID: Final = "ended_at IS NULL AND s.expires_at > CURRENT_TIMESTAMP"

# Begin a session $1 of a caller $2 that lasts $3 seconds. $6 is what an issuer says of the role.
START: Final = statement(
    "INSERT INTO page_sessions (uuid, subject, expires_at, user_id, user_name, role)"
    " VALUES ($1, $2, CURRENT_TIMESTAMP + make_interval(secs => $3), $4, $5, $6)"
)
# The session $1 with what its token may now; no row where either has ended.
FIND: Final = statement(
    "SELECT s.subject, s.user_id, s.user_name,"
    f" CASE WHEN {_OF_ISSUER} THEN s.role WHEN t.every_production THEN t.role END AS role,"
    " least(s.expires_at, t.expires_at) AS expires_at,"
    " (SELECT json_object_agg(production_uuid, m.role) FROM access_memberships m"
    "  WHERE m.subject = s.subject) AS memberships"
    " FROM page_sessions s LEFT JOIN access_tokens t"
    "  ON s.subject LIKE 'token:%' AND t.key = substr(s.subject, 7)"
    f" WHERE s.uuid = $1 AND {_VALID}"
    f"  AND (s.subject LIKE 'setting:%' OR {_OF_ISSUER} OR t.revoked_at IS NULL"
    "  AND t.key IS NOT NULL AND (t.expires_at IS NULL OR t.expires_at > CURRENT_TIMESTAMP))"
)
# Let the session $1 last $2 seconds from now.
EXTEND: Final = statement(
    "UPDATE page_sessions s SET expires_at = CURRENT_TIMESTAMP + make_interval(secs => $2)"
    f" WHERE uuid = $1 AND {_VALID}"
)
END: Final = statement(
    "WITH ended AS (UPDATE page_sessions SET ended_at = CURRENT_TIMESTAMP"
    "  WHERE uuid = $1 AND ended_at IS NULL RETURNING uuid, subject, user_id, user_name)"
    f" SELECT subject, user_id, user_name, pg_notify('{CHANNEL}', '{SESSION}' || uuid) FROM ended"
)
# Remove a batch of sessions that are over since a day: nobody wonders about them any more.
PRUNE: Final = statement(
    "WITH gone AS (DELETE FROM page_sessions WHERE uuid = ANY (ARRAY("
    "SELECT uuid FROM page_sessions WHERE expires_at < CURRENT_TIMESTAMP - interval '1 day'"
    f" ORDER BY expires_at LIMIT {_BATCH} FOR UPDATE SKIP LOCKED)) RETURNING 1)"
    " SELECT count(*) AS removed FROM gone"
)


class PageSessions:
    """The sessions of one installation, and their cookies."""

    def __init__(self, settings: Settings, shared: SharedTokens, peppers: Peppers) -> None:
        self._shared, self._peppers = shared, peppers
        self._seconds = settings.page_session_hours * 3_600
        self._slides = settings.page_session_slides
        self._issuer = f"{settings.oidc_issuer} {settings.oidc_client_id}".encode()
        self._cache, self._extending = TokenCache(), Tasks()
        self._database: Database | None = None

    def attach(self, database: Database) -> None:
        self._database = database
        self._cache.clear()

    async def close(self) -> None:
        await self._extending.wait()

    def forget(self) -> None:
        """Look at every session anew: one has ended, or a token has changed."""
        self._cache.clear()

    async def start(self, caller: Caller, scope: Any) -> str:
        """Begin a session of who has proven to be ``caller``, and note it.

        Return the ``Set-Cookie`` header.

        Raises Unavailable where no pepper is set that could sign it.
        """
        uuid = uuid4()
        try:
            cookie = self._signer().dumps([uuid.hex, self._proofs(caller.subject)[0]])
        except BadSettings as missing:
            raise Unavailable(str(missing)) from None
        who = (caller.user_id or "", caller.user_name or "", caller.role and caller.role.word)
        async with self._connected.transaction() as connection:
            await connection.execute(START, uuid, caller.subject, float(self._seconds), *who)
            await note_in(connection, of_caller(caller, scope, "session.started"))
        return cookie_header(_COOKIE, cookie, scope)

    async def end(self, scope: Any) -> str:
        """End the session of a request, if it has one. Return the ``Set-Cookie`` header."""
        if (cookie := cookie_value(_COOKIE, scope)) and (read := self._read(cookie)):
            async with self._connected.transaction() as connection:
                if ended := await connection.fetchrow(END, read[0]):
                    person = (ended["user_id"] or None, ended["user_name"] or None)
                    holder = Caller(ended["subject"], *person, None, {})
                    await note_in(connection, of_caller(holder, scope, "session.ended"))
            self.forget()
        return cookie_header(_COOKIE, "", scope, "; Max-Age=0")

    async def caller(self, scope: Any) -> Caller | None:
        """Return whose page sends a request; None without a valid session.

        The cookie of a page that is not our own counts for nothing, except to open our page.
        """
        cookie = cookie_value(_COOKIE, scope)
        if not cookie or not is_own_page(scope):
            return None
        return self._cache.find(_payload(cookie), cookie) or await self._look_up(cookie)

    async def _look_up(self, cookie: str) -> Caller | None:
        generation, read = self._cache.generation, self._read(cookie)
        row = await self._connected.row(FIND, read[0]) if read else None
        if read is None or row is None:
            return None
        uuid, proof = read
        if not any(hmac.compare_digest(proof, own) for own in self._proofs(row["subject"])):
            return None  # the token or the issuer that they signed in with is another now
        expires_at: datetime = row["expires_at"]
        caller = self._shared.of_subject(row["subject"]) or _caller(row)
        caller = replace(caller, session=uuid, expires_at=expires_at)
        self._cache.put(_payload(cookie), cookie, caller, expires_at.timestamp(), generation)
        slides = self._slides and not caller.subject.startswith(ISSUER)
        if slides and expires_at.timestamp() < time.time() + self._seconds - _PAUSE:
            self._extending.start(self._extend(uuid))
        return caller

    async def _extend(self, uuid: UUID) -> None:
        async with self._connected.connection() as connection:
            await connection.execute(EXTEND, uuid, float(self._seconds))

    @property
    def _connected(self) -> Database:
        assert self._database is not None, "requests come while the service runs"
        return self._database

    def _read(self, cookie: str) -> tuple[UUID, str] | None:
        """Return the session that a cookie names, and its proof; None where it is none of ours."""
        try:
            name, proof = self._signer().loads(cookie)
        except (BadSignature, BadSettings):
            return None
        return UUID(hex=name), proof

    def _proofs(self, subject: str) -> list[str]:
        """Return what changes when a token or the issuer of settings does, by each key."""
        proven = self._issuer if subject.startswith(ISSUER) else self._shared.token_of(subject)
        keys = self._peppers.keys(_PURPOSE)
        return [hmac.new(key, proven, sha256).hexdigest()[:32] for key in keys]

    def _signer(self) -> URLSafeSerializer:
        """Return what signs cookies. Raises BadSettings where there is no key for it."""
        keys = self._peppers.keys(_PURPOSE)[::-1]
        return URLSafeSerializer(keys, salt=_PURPOSE, signer_kwargs={"digest_method": sha256})


def _payload(cookie: str) -> str:
    """Return a cookie without its signature."""
    return cookie.rpartition(".")[0]


def _caller(row: Any) -> Caller:
    role = Role[row["role"].upper()] if row["role"] else None
    of_members = from_json(row["memberships"] or b"{}")
    memberships = {UUID(uuid): Role[word.upper()] for uuid, word in of_members.items()}
    return Caller(row["subject"], row["user_id"], row["user_name"], role, memberships)
