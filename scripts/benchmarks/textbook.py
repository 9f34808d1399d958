"""The textbook server: FastAPI, SQLModel and ``response_model``, as their tutorials teach it.

Nothing is left out that a tutorial would put in to be fast: the relations come with the same
SELECT, objects stay loaded after the commit, and FastAPI writes the JSON with Pydantic's Rust
serialiser. On create it believes the label it is given; it keeps no log and merges nothing.

Its `type: ignore`s are those of any SQLModel query: the attributes are typed as values.
The `noqa: E712` is there because SQLAlchemy makes SQL of `== False`, and nothing of `not`.
"""

import os
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import Depends, FastAPI, HTTPException
from pydantic import ConfigDict
from pydantic.alias_generators import to_camel
from sqlalchemy import DateTime
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import contains_eager, joinedload
from sqlmodel import Field, Relationship, SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.database_url import DatabaseUrl

_URL = DatabaseUrl.parse(os.environ["DATABASE_URL"])
_ENGINE = create_async_engine(
    _URL.sqlalchemy_url(), connect_args=_URL.sqlalchemy_connect_args(), pool_size=10
)
_MOMENT: Any = DateTime(timezone=True)


def _now() -> datetime:
    return datetime.now(UTC)


class Production(SQLModel, table=True):
    """A show, as far as its cameras' answers need it."""

    __tablename__ = "productions"

    uuid: UUID = Field(primary_key=True)
    id: str
    is_deleted: bool


class Ccu(SQLModel, table=True):
    """A CCU, as far as its cameras' answers need it."""

    __tablename__ = "ccus"

    uuid: UUID = Field(primary_key=True)
    id: str


class CameraBase(SQLModel):
    """What a client may write."""

    id: str
    name: str
    note: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    format_mode: str | None = None
    lens_type: str | None = None
    max_zoom: float | None = None
    shooting_distance: float | None = None
    calculated_zoom: float | None = None
    focal_length: float | None = None
    smpte_cable_length: float | None = None
    has_heavy_tripod: bool | None = None
    has_medium_tripod: bool | None = None
    has_tripod: bool | None = None
    has_short_tripod: bool | None = None
    has_dolly: bool | None = None
    has_jib: bool | None = None
    has_steadicam: bool | None = None
    has_magic_arm: bool | None = None
    equipment_uuid: UUID | None = None
    last_modified_by: str | None = None


class Camera(CameraBase, table=True):
    """The table."""

    __tablename__ = "cameras"

    uuid: UUID = Field(default_factory=uuid4, primary_key=True)
    production_uuid: UUID = Field(foreign_key="productions.uuid")
    ccu_uuid: UUID | None = Field(default=None, foreign_key="ccus.uuid")
    created_at: datetime = Field(default_factory=_now, sa_type=_MOMENT)
    updated_at: datetime = Field(default_factory=_now, sa_type=_MOMENT)
    synced_at: datetime | None = Field(default=None, sa_type=_MOMENT)
    version: int = 1
    field_versions: dict[str, Any] = Field(default_factory=dict, sa_type=JSONB)
    is_deleted: bool = False

    production: Production = Relationship()
    ccu: Ccu | None = Relationship()

    @property
    def production_id(self) -> str:
        """Give the label of the production."""
        return self.production.id

    @property
    def ccu_id(self) -> str | None:
        """Give the label of the CCU."""
        return self.ccu.id if self.ccu else None


class CameraRead(CameraBase):
    """The answer."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)  # type: ignore[assignment]  # SQLModel's own

    uuid: UUID
    production_uuid: UUID
    ccu_uuid: UUID | None
    created_at: datetime
    updated_at: datetime
    synced_at: datetime | None
    version: int
    field_versions: dict[str, Any]
    is_deleted: bool
    production_id: str
    ccu_id: str | None


class CameraCreate(CameraBase):
    """The body of a create."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)  # type: ignore[assignment]  # SQLModel's own

    production_id: str


class CameraUpdate(SQLModel):
    """The body of an update: the fields the benchmark changes."""

    id: str | None = None
    name: str | None = None
    note: str | None = None


async def _session() -> AsyncIterator[AsyncSession]:
    async with AsyncSession(_ENGINE, expire_on_commit=False) as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(_session)]
app = FastAPI()
_cameras = (
    select(Camera)
    .join(Production)
    .where(Camera.is_deleted == False, Production.is_deleted == False)  # noqa: E712  # SQL, not Python
    .options(contains_eager(Camera.production), joinedload(Camera.ccu))  # type: ignore[arg-type]  # a value to mypy
)


@app.get("/api/cameras/production/{production}", response_model=list[CameraRead])
async def list_cameras(production: UUID, session: SessionDep) -> Sequence[Camera]:
    """Give the live cameras of a production, oldest first."""
    rows = await session.exec(
        _cameras.where(Camera.production_uuid == production).order_by(
            Camera.created_at,  # type: ignore[arg-type]  # a value to mypy
            Camera.uuid,  # type: ignore[arg-type]  # a value to mypy
        )
    )
    return rows.all()


@app.get("/api/cameras/{uuid}", response_model=CameraRead)
async def get_camera(uuid: UUID, session: SessionDep) -> Camera:
    """Give one live camera."""
    camera = (await session.exec(_cameras.where(Camera.uuid == uuid))).one_or_none()
    if camera is None:
        raise HTTPException(404)
    return camera


@app.post("/api/cameras", response_model=CameraRead, status_code=201)
async def create_camera(body: CameraCreate, session: SessionDep) -> Camera:
    """Insert a camera."""
    found = await session.exec(select(Production).where(Production.id == body.production_id))
    production = found.one_or_none()
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
    camera.updated_at = _now()
    await session.commit()
    return camera
