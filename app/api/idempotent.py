"""POSTs with an Idempotency-Key: done once, and answered again with the first answer.

An endpoint takes an ``IdempotentWriterDep`` and hands it the write and the function that makes the
response. Its route documents ``openapi_extra={"parameters": [IDEMPOTENCY_KEY]}``.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from fastapi import Request, Response

from app.api.error_responses import answer_error
from app.api.openapi import parameter
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
        claim = idempotency.key_of(values), await self._fingerprint()

        async def write_once(context: WriteContext) -> KeptAnswer:
            async def write_first() -> KeptAnswer:
                response = await self._try(context, work, respond)
                headers = {n: v for n, v in response.headers.items() if n != "content-length"}
                return KeptAnswer(response.status_code, headers, bytes(response.body))

            return await idempotency.once(context.connection, *claim, write_first)

        answer = await self._writer.in_transaction(key, write_once)
        replayed = {REPLAYED: "true"} if answer.replayed else {}
        return Response(answer.body, answer.status, headers={**answer.headers, **replayed})

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
