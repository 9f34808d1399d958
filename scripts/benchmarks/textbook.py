"""The textbook server: FastAPI, SQLModel and ``response_model``, as their tutorials teach it.

It has everything that a tutorial does for speed: relations come with the same SELECT, objects stay
loaded after the commit, and FastAPI writes the JSON with Pydantic's Rust serialiser. On create it
takes the label as it is sent. It keeps no log and merges nothing. Its tables are in
``textbook_models``.

The `type: ignore`s are those of any SQLModel query: the attributes are typed as values. The
`noqa: E712` is there because SQLAlchemy makes SQL of `== False`, and nothing of `not`.
"""

import os
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import contains_eager, joinedload, selectinload
from sqlmodel import SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.database.url import DatabaseUrl
from scripts.benchmarks.textbook_models import (
    CAMEL,
    CableSnake,
    CableSnakeRead,
    Camera,
    CameraColumns,
    CameraRead,
    Ccu,
    CcuRead,
    Connection,
    ConnectionRead,
    Production,
    Send,
    SendRead,
    Source,
    SourceRead,
    now,
)


class CameraCreate(CameraColumns):
    """The body of a create."""

    model_config = CAMEL  # type: ignore[assignment]  # SQLModel's own

    production_id: str


class CameraUpdate(SQLModel):
    """The body of an update: the fields the benchmark changes."""

    id: str | None = None
    name: str | None = None
    note: str | None = None


_URL = DatabaseUrl.parse(os.environ["DATABASE_URL"])
_ENGINE = create_async_engine(
    _URL.sqlalchemy_url(), connect_args=_URL.sqlalchemy_connect_args(), pool_size=10
)


async def _session() -> AsyncIterator[AsyncSession]:
    async with AsyncSession(_ENGINE, expire_on_commit=False) as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(_session)]
app = FastAPI()


def _live(model: Any, *relations: Any) -> Any:
    """Select the live rows of a table, with their production and other relations."""
    return (
        select(model)
        .join(Production)
        .where(model.is_deleted == False, Production.is_deleted == False)  # noqa: E712  # it is SQL
        .options(contains_eager(model.production), *relations)
    )


async def _rows(session: AsyncSession, model: Any, rows: Any, production: UUID) -> Sequence[Any]:
    """Return the rows of a production, oldest first."""
    own = rows.where(model.production_uuid == production).order_by(model.created_at, model.uuid)
    result: Sequence[Any] = (await session.exec(own)).all()
    return result


_cameras = _live(Camera, joinedload(Camera.ccu))  # type: ignore[arg-type]  # a value to mypy
_ccus = _live(Ccu)
_sources = _live(Source, selectinload(Source.outputs))  # type: ignore[arg-type]  # a value to mypy
_sends = _live(Send)
_snakes = _live(CableSnake)
_connections = _live(
    Connection,
    joinedload(Connection.source),  # type: ignore[arg-type]  # a value to mypy
)


@app.get("/api/cameras/production/{production}", response_model=list[CameraRead])
async def list_cameras(production: UUID, session: SessionDep) -> Sequence[Camera]:
    """Return the live cameras of a production."""
    return await _rows(session, Camera, _cameras, production)


@app.get("/api/ccus/production/{production}", response_model=list[CcuRead])
async def list_ccus(production: UUID, session: SessionDep) -> Sequence[Ccu]:
    """Return the live CCUs of a production."""
    return await _rows(session, Ccu, _ccus, production)


@app.get("/api/sources/production/{production}", response_model=list[SourceRead])
async def list_sources(production: UUID, session: SessionDep) -> Sequence[Source]:
    """Return the live sources of a production."""
    return await _rows(session, Source, _sources, production)


@app.get("/api/sends/production/{production}", response_model=list[SendRead])
async def list_sends(production: UUID, session: SessionDep) -> Sequence[Send]:
    """Return the live sends of a production."""
    return await _rows(session, Send, _sends, production)


@app.get("/api/cable-snakes/production/{production}", response_model=list[CableSnakeRead])
async def list_snakes(production: UUID, session: SessionDep) -> Sequence[CableSnake]:
    """Return the live cable snakes of a production."""
    return await _rows(session, CableSnake, _snakes, production)


@app.get("/api/connections/production/{production}", response_model=list[ConnectionRead])
async def list_connections(production: UUID, session: SessionDep) -> Sequence[Connection]:
    """Return the live connections of a production."""
    return await _rows(session, Connection, _connections, production)


@app.get("/api/cameras/{uuid}", response_model=CameraRead)
async def get_camera(uuid: UUID, session: SessionDep) -> Camera:
    """Return one live camera."""
    camera: Camera | None = (await session.exec(_cameras.where(Camera.uuid == uuid))).one_or_none()
    if camera is None:
        raise HTTPException(404)
    return camera


@app.post("/api/cameras", response_model=CameraRead, status_code=201)
async def create_camera(body: CameraCreate, session: SessionDep) -> Camera:
    """Insert a camera."""
    result = await session.exec(select(Production).where(Production.id == body.production_id))
    production = result.one_or_none()
    if production is None:
        raise HTTPException(404)
    camera = Camera.model_validate(body, update={"production_uuid": production.uuid})
    camera.production = production
    session.add(camera)
    await session.commit()
    return camera


@app.patch("/api/cameras/{uuid}", response_model=CameraRead)
async def update_camera(uuid: UUID, body: CameraUpdate, session: SessionDep) -> Camera:
    """Change what the body names; the last write wins."""
    camera = await get_camera(uuid, session)
    camera.sqlmodel_update(body.model_dump(exclude_unset=True))
    camera.version += 1
    camera.updated_at = now()
    await session.commit()
    return camera
