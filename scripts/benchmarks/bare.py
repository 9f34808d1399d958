"""The bare server: Starlette and asyncpg, with nothing between PostgreSQL's bytes and the wire.

It runs the service's own SQL, so the database's work is the same and the difference is ours.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

import asyncpg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.database_url import DatabaseUrl
from app.entities import discovered
from app.statements import statements

_SQL: Final = statements(discovered()["cameras"])


async def _bytes(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "json", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary"
    )


async def _as_it_is(_: asyncpg.Connection) -> None:
    """Save the round trip that resetting an untouched session costs."""


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    url = DatabaseUrl.parse(os.environ["DATABASE_URL"])
    async with asyncpg.create_pool(
        **url.connect_args(), min_size=10, max_size=10, init=_bytes, reset=_as_it_is
    ) as pool:
        app.state.pool = pool
        yield


async def _answer(request: Request, sql: str, key: str) -> Response:
    body = await request.app.state.pool.fetchval(sql, UUID(request.path_params[key]))
    return Response(body, media_type="application/json")


async def _list(request: Request) -> Response:
    return await _answer(request, _SQL.list, "production")


async def _get(request: Request) -> Response:
    return await _answer(request, _SQL.one, "uuid")


app = Starlette(
    routes=[
        Route("/api/cameras/production/{production}", _list),
        Route("/api/cameras/{uuid}", _get),
    ],
    lifespan=_lifespan,
)
