"""The bare server: Starlette and asyncpg, with nothing between PostgreSQL's bytes and the wire.

It runs the service's own SQL, so the database's work is the same and the difference is the
service's. Its writes are the service's two statements, and writers of one production wait in line
as there. It validates nothing, and writes only cameras.
"""

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final
from uuid import UUID

import asyncpg
from pydantic.alias_generators import to_snake
from pydantic_core import from_json, to_json
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uuid_utils.compat import uuid7

from app.database.url import DatabaseUrl
from app.entities import discovered
from app.sql.reads import Statements, statements
from app.sql.writes import write_statements
from scripts.benchmarks.workloads import SIX

_SQL: Final = {name: statements(discovered()[name]) for name in SIX}

_WRITE: Final = write_statements(discovered()["cameras"])
_WHO: Final = ("system", "System", None)
_turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)


async def _bytes(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "json", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary"
    )


async def _no_reset(_: asyncpg.Connection) -> None:
    """Do nothing: resetting an unchanged session would cost a round trip."""


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    url = DatabaseUrl.parse(os.environ["DATABASE_URL"])
    async with asyncpg.create_pool(
        **url.connect_args(),
        min_size=10,
        max_size=10,
        init=_bytes,
        reset=_no_reset,
        max_cached_statement_lifetime=0,
        max_cacheable_statement_size=0,
    ) as pool:
        app.state.pool = pool
        yield


async def _answer(request: Request, sql: str, key: str) -> Response:
    body = await request.app.state.pool.fetchval(sql, UUID(request.path_params[key]))
    return Response(body, media_type="application/json")


async def _list(sql: Statements, request: Request) -> Response:
    return await _answer(request, sql.list, "production")


async def _get(request: Request) -> Response:
    return await _answer(request, _SQL["cameras"].one, "uuid")


async def _create(request: Request) -> Response:
    body = from_json(await request.body())
    label, production = body["id"], body.pop("productionId")
    row = to_json({to_snake(name): value for name, value in body.items()})
    changes = to_json({name: [None, value] for name, value in body.items()}).decode()
    async with _turns[production], request.app.state.pool.acquire() as connection:
        target = await connection.fetchrow(_WRITE.target_by_label, production, label)
        if target is None or label in target["taken"]:
            return Response(status_code=409)
        place = (target["production"], target["seq"], uuid7())
        answer = await connection.fetchrow(
            _WRITE.create, *place, row, None, changes, *_WHO, uuid7(), False
        )
    return _answer_write(answer, 201)


async def _update(request: Request) -> Response:
    uuid, body = UUID(request.path_params["uuid"]), from_json(await request.body())
    row = to_json({to_snake(name): value for name, value in body.items()})
    async with request.app.state.pool.acquire() as connection:
        stored = await connection.fetchrow(_WRITE.live, uuid)
        if stored is None:
            return Response(status_code=404)
        before = from_json(stored["body"])
        changes = to_json({name: [before[name], value] for name, value in body.items()}).decode()
        place = (stored["production"], stored["seq"], uuid, before["version"])
        answer = await connection.fetchrow(
            _WRITE.update, *place, row, None, changes, *_WHO, uuid7(), True, list(body)
        )
    return _answer_write(answer, 200)


def _answer_write(row: asyncpg.Record | None, status: int) -> Response:
    """Answer a write. One that lost a race is refused, since only one process writes here."""
    if row is None:
        return Response(status_code=409)
    return Response(row["body"], status, media_type="application/json")


app = Starlette(
    routes=[
        *(
            Route(f"/api/{name}/production/{{production}}", partial(_list, sql))
            for name, sql in _SQL.items()
        ),
        Route("/api/cameras", _create, methods=["POST"]),
        Route("/api/cameras/{uuid}", _get),
        Route("/api/cameras/{uuid}", _update, methods=["PATCH"]),
    ],
    lifespan=_lifespan,
)
