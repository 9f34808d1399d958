"""POSTs with an Idempotency-Key: done once, and answered again with the first answer.

An endpoint takes an ``IdempotentWriterDep`` and hands it the write and the function that makes the
response. Its route documents ``openapi_extra={"parameters": [IDEMPOTENCY_KEY]}``.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar
from uuid import UUID

from fastapi import Request, Response
from pydantic_core import from_json

from app.access import memberships
from app.access.caller import Role
from app.api.error_responses import answer_error
from app.api.openapi import parameter
from app.api.permissions import caller_of
from app.errors import SignalbookError
from app.store import idempotency
from app.store.idempotency import HEADER, LONGEST, KeptAnswer
from app.store.write_context import WriteContext
from app.store.writer import Writer

T = TypeVar("T")
Work = Callable[[WriteContext], Awaitable[T]]
REPLAYED: Final = "idempotency-replayed"
IDEMPOTENCY_KEY: Final = parameter(
    HEADER, "header",
    "Makes a repeated request safe: for 24 hours the same key gets the first one's answer, marked "
    "`Idempotency-Replayed: true`. Choose a new one, such as a uuid, for each thing to be done.",
    minLength=1, maxLength=LONGEST, pattern="^[!-~]+$",
)  # fmt: skip
_NAME: Final = HEADER.lower().encode()


class IdempotentWriter:
    """Runs the write of one request; with an Idempotency-Key only once in 24 hours."""

    def __init__(self, request: Request, writer: Writer) -> None:
        self._request, self._writer = request, writer

    async def write(self, key: str, work: Work[T], respond: Callable[[T], Response]) -> Response:
        """Run ``work`` as ``Writer.write`` does, and make the response of its result.

        With an Idempotency-Key ``work`` runs in a savepoint of a transaction. An error below 500
        that it raises rolls the savepoint back, and is stored as the answer.
        """
        headers = self._request.scope["headers"]
        values = [value for name, value in headers if name == _NAME]
        if not values:
            return respond(await self._writer.write(key, work))
        own_key, caller = idempotency.key_of(values), caller_of(self._request)
        if not caller.is_anonymous:
            # Each has keys of their own: nobody is sent the answer to another. No key has blanks.
            own_key = f"{caller.subject} {own_key}"
        claim = own_key, await self._fingerprint()

        async def write_once(context: WriteContext) -> KeptAnswer:
            async def write_first() -> KeptAnswer:
                response = await self._try(context, work, respond)
                headers = {n: v for n, v in response.headers.items() if n != "content-length"}
                return KeptAnswer(response.status_code, headers, bytes(response.body))

            return await idempotency.once(context.connection, *claim, write_first)

        answer = await self._writer.in_transaction(key, write_once)
        replayed = {REPLAYED: "true"} if answer.replayed else {}
        return Response(answer.body, answer.status, headers={**answer.headers, **replayed})

    async def make_show(
        self, key: str, work: Work[T], respond: Callable[[T], Response], row: Callable[[T], bytes]
    ) -> Response:
        """Write as ``write`` does what makes a production; ``row`` returns it as JSON.

        Who sees only some productions becomes its editor in the same transaction.
        """
        caller = caller_of(self._request)
        if caller.sees_all:
            return await self.write(key, work, respond)

        async def make_own(context: WriteContext) -> T:
            result = await work(context)
            uuid, by = UUID(from_json(row(result))["uuid"]), caller.subject
            await memberships.give(context.connection, by, uuid, Role.EDITOR, by)
            return result

        try:
            return await self.write(key, make_own, respond)
        finally:  # the announcement may come later than the next request
            self._request.app.state.credentials.forget(caller.subject)

    async def _fingerprint(self) -> str:
        scope = self._request.scope
        path = scope["path"].encode("utf-8", "surrogatepass")
        method, query = scope["method"].encode(), scope["query_string"]
        body = await self._request.body()
        return idempotency.fingerprint(method, path, query, body)

    async def _try(
        self, context: WriteContext, work: Work[T], respond: Callable[[T], Response]
    ) -> Response:
        try:
            async with idempotency.refusable(context.connection):
                return respond(await work(context))
        except SignalbookError as error:
            if error.status >= 500:
                raise
            return await answer_error(self._request, error)
