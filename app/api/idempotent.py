"""POSTs that are done once: an Idempotency-Key gets the answer that it got the first time.

An endpoint hands ``written`` its work and what makes an answer of it. A route that does so says
``openapi_extra={"parameters": [IDEMPOTENCY_KEY]}``.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from fastapi import Request, Response

from app.api import errors as problems
from app.api.requests import maybe_parameter, writer
from app.errors import SignalbookError
from app.store import idempotency
from app.store.idempotency import HEADER, LONGEST, Claim, KeptAnswer
from app.store.write_context import WriteContext

T = TypeVar("T")
REPLAYED: Final = "idempotency-replayed"
IDEMPOTENCY_KEY: Final = maybe_parameter(
    HEADER,
    "header",
    "Makes a repeated request safe: for 24 hours the same key gets the first one's answer, marked "
    "`Idempotency-Replayed: true`. Choose a new one, such as a uuid, for each thing to be done.",
    minLength=1,
    maxLength=LONGEST,
    pattern="^[!-~]+$",
)
_NAME: Final = HEADER.lower().encode()


async def written(
    request: Request,
    key: str,
    work: Callable[[WriteContext], Awaitable[T]],
    shape: Callable[[T], Response],
) -> Response:
    """Run a write as ``Writer.write`` does, and shape what it gave; with a key only once.

    ``work`` must raise what it refuses, so that it is undone: with a key it runs in a savepoint of
    a transaction, and what it raised with a status below 500 is its outcome.
    """
    values = [value for name, value in request.scope["headers"] if name == _NAME]
    if not values:
        return shape(await writer(request).write(key, work))
    claim = await _claim(request, values)

    async def decided(context: WriteContext) -> KeptAnswer:
        async def first() -> KeptAnswer:
            return _outcome(await _tried(request, context, work, shape))

        return await idempotency.once(context.connection, claim, first)

    return _response(await writer(request).in_transaction(key, decided))


async def _claim(request: Request, values: list[bytes]) -> Claim:
    key, scope = idempotency.key_of(values), request.scope
    path = scope["path"].encode("utf-8", "surrogatepass")
    parts = (scope["method"].encode(), path, scope["query_string"], await request.body())
    return Claim(key, idempotency.fingerprint(*parts))


async def _tried(
    request: Request,
    context: WriteContext,
    work: Callable[[WriteContext], Awaitable[T]],
    shape: Callable[[T], Response],
) -> Response:
    try:
        async with idempotency.refusable(context.connection):
            return shape(await work(context))
    except SignalbookError as refused:
        if refused.status >= 500:
            raise
        return await problems.answer_ours(request, refused)


def _outcome(response: Response) -> KeptAnswer:
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return KeptAnswer(response.status_code, headers, bytes(response.body))


def _response(outcome: KeptAnswer) -> Response:
    replayed = {REPLAYED: "true"} if outcome.replayed else {}
    return Response(outcome.body, outcome.status, headers={**outcome.headers, **replayed})
