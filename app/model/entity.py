"""The columns that every entity has, and what a declaration may say.

A declaration is one class in one file of ``app/entities``. From it follow routes, request and
answer schemas, SQL, change log, health check and tests. It may say:

- ``collection``: the plural in the URL and the log (``cable-snakes``);
- ``noun``: what people call one of them ("Cable snake");
- ``entity_type``: the singular on the wire (``cableSnake``);
- ``event_type``: the log's name for it (``CABLE_SNAKE``);
- ``prefix``: of the labels the server assigns (``SNAKE`` gives "SNAKE 4");
- ``conflict_error``: the exact text of ``error`` in a version conflict, which the frontend reads;
- ``path_aliases``: further paths that serve the same rows;
- ``synonyms``: ``{wire name: field}`` for members that answers have twice, and requests either way;
- ``wire_names``: ``{field: wire name}`` where the wire name is not the field's in camel case;
- ``allow_duplicate_labels``, ``delete_is_idempotent``: a label in use, a second delete are fine;
- ``deleted_by_label``: a push about a deleted row has its label instead of its uuid;
- ``version_required``: an update must say what it started from;
- ``parts``: lists stored in a table of their own (see ``PartList``);
- ``part_references``: fields that point at a part (see ``PartReference``);
- ``is_device``, ``signal_role``: whether a path may name it, and what it is to a signal;
- ``is_rare``: most shows have no row of it, so that reading a whole show first asks for any;
- ``device_references``, ``port_names``: fields that name a device of any type, or a port of one;
- ``same_by``: by which fields a row in a whole list of its device is one that is there;
- ``list_order``: fields that lists are ordered by; ``unique``: whose value one live row may have;
- ``hidden``: columns that no client reads or writes;
- ``secrets``: texts that who may edit sees, and nobody else (see ``app.model.secret_fields``);
- ``ticks``: fields that say that something was done; a copied show begins without them;
- ``before_write``, ``after_merge``: rules between fields, before and after others' edits are in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, ClassVar, Final, Literal, NamedTuple, cast
from uuid import UUID

import sqlalchemy as sa
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import declared_attr
from sqlmodel import Field, SQLModel

from app.model.fields import Label, MaybeLine, MaybeText
from app.rules.signal_roles import SignalRole

# The names that PostgreSQL itself would choose, so that a drift check finds no difference.
metadata: Final = SQLModel.metadata
metadata.naming_convention = {
    "pk": "%(table_name)s_pkey",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
}

_NOW: Final = {"server_default": sa.text("CURRENT_TIMESTAMP")}
_MOMENT: Final = sa.DateTime(timezone=True)
OnDelete = Literal["clear", "keep"]


@dataclass(frozen=True)
class Reference:
    """A field that points at another entity: ``ccu_uuid`` with its label ``ccu_id``.

    ``on_delete`` says what a delete of the row that it names does: "clear" this field, or "keep"
    it, so that the show's checks can report it.
    """

    collection: str
    on_delete: OnDelete


@dataclass(frozen=True)
class PartList:
    """A list that belongs to an entity and lives in a table of its own (a source's outputs).

    ``model`` holds the rows, ``owner`` is its column that names the entity, ``label`` the word
    in the ids the server assigns ("SRC 1-OUT2"), ``order`` the column the list is sorted by.
    The elements of one that ``is_path`` are cables from port to port (``app.store.legs``).
    """

    model: type[SQLModel]
    owner: str
    label: str
    order: str
    is_path: bool = False

    def columns(self) -> dict[str, FieldInfo]:
        """Return the columns that go over the wire, with their declarations."""
        hidden = {self.owner, "created_at", "version"}
        return {n: field for n, field in self.model.model_fields.items() if n not in hidden}


@dataclass(frozen=True)
class PartReference:
    """A field that points at a part of the row that a reference points at.

    ``source_output_uuid`` goes with ``source_output_id``, which is the part's id today. In a
    request either may hold the id or the uuid.
    """

    reference: str
    parts: str


@dataclass(frozen=True)
class DeviceReference:
    """Fields that name a device of any type: ``kind`` is its type, beside its label and uuid.

    A device whose type is an entity type must be in the same production, and is kept by uuid. Any
    other type (a patch panel) is the client's own text. ``likely`` is the collection that most rows
    name: it is looked at first. The row of a device that ``is_owner`` lives and dies with it.
    """

    kind: str
    label: str
    uuid: str
    likely: str = ""
    is_owner: bool = False


class PortName(NamedTuple):
    """A field that names a port by its label, its id or its uuid: of which device, which way."""

    device: str
    direction: Literal["INPUT", "OUTPUT"]


def label_field(reference: str) -> str:
    """Return the member that names a reference by label: ``ccu_uuid`` goes with ``ccu_id``."""
    return f"{reference.removesuffix('_uuid')}_id"


def defaulted(value: object, column_type: Any) -> Any:
    """Declare a field with a default that the database knows too."""
    default = str(value).lower() if isinstance(value, bool) else str(value)
    return Field(default=value, sa_type=column_type, sa_column_kwargs={"server_default": default})


# A label's prefix and the number that ends it (NULL where there is none), as ``app.rules.labels``
# parses it, and as PostgreSQL writes the expressions in its catalogue.
LABEL_PREFIX: Final = "rtrim(rtrim(id, '0123456789'))"
LABEL_NUMBER: Final = "nullif(substr(id, length(rtrim(id, '0123456789')) + 1), '')::numeric"


def live_index(*columns: str) -> sa.Index:
    """Declare an index that holds only rows that are not deleted, as every read asks for."""
    return sa.Index(None, *columns, postgresql_where=sa.text("NOT is_deleted"))


def unique_index(table: str, field: str) -> sa.Index:
    """Declare that one live row of a production has a value at most."""
    return sa.Index(
        f"{table}_production_uuid_{field}_key", "production_uuid", field, unique=True,
        postgresql_where=sa.text("NOT is_deleted"),
    )  # fmt: skip


class Row(SQLModel):
    """What every entity has, the production included."""

    collection: ClassVar[str]
    noun: ClassVar[str]
    entity_type: ClassVar[str]
    event_type: ClassVar[str]
    prefix: ClassVar[str]
    conflict_error: ClassVar[str] = "Version conflict"
    path_aliases: ClassVar[tuple[str, ...]] = ()
    synonyms: ClassVar[Mapping[str, str]] = {}
    wire_names: ClassVar[Mapping[str, str]] = {}
    allow_duplicate_labels: ClassVar[bool] = False
    version_required: ClassVar[bool] = False
    delete_is_idempotent: ClassVar[bool] = False
    deleted_by_label: ClassVar[bool] = False
    parts: ClassVar[Mapping[str, PartList]] = {}
    part_references: ClassVar[Mapping[str, PartReference]] = {}
    is_device: ClassVar[bool] = True
    signal_role: ClassVar[SignalRole] = "PASSING"
    is_rare: ClassVar[bool] = False
    device_references: ClassVar[tuple[DeviceReference, ...]] = ()
    port_names: ClassVar[Mapping[str, PortName]] = {}
    same_by: ClassVar[tuple[tuple[str, ...], ...]] = ()
    list_order: ClassVar[tuple[str, ...]] = ()
    unique: ClassVar[tuple[str, ...]] = ()
    hidden: ClassVar[frozenset[str]] = frozenset()
    secrets: ClassVar[tuple[str, ...]] = ()
    ticks: ClassVar[tuple[str, ...]] = ()
    example: ClassVar[Mapping[str, Any]] = {}
    server_fields: ClassVar[frozenset[str]] = frozenset(
        {"uuid", "production_uuid", "version", "field_versions", "is_deleted", "created_at",
         "updated_at", "last_modified_by", "synced_at"}
    )  # fmt: skip

    uuid: UUID = Field(
        primary_key=True, sa_column_kwargs={"server_default": sa.text("gen_random_uuid()")}
    )
    """The key of the row for ever. A client may choose it when it creates the row."""
    id: Label
    """The label that people give the row: "CAM 1". It may change, and is free after a delete."""
    version: int = defaulted(1, sa.Integer)
    """How often the row was written, from 1. An edit says which version it started from."""
    field_versions: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    """For each field the version at which it last changed, and when."""
    is_deleted: bool = defaulted(False, sa.Boolean)
    """Whether the row was deleted. Lists leave such rows out."""
    created_at: datetime = Field(sa_type=_MOMENT, sa_column_kwargs=_NOW)
    """When the row was made, in UTC."""
    updated_at: datetime = Field(sa_type=_MOMENT, sa_column_kwargs=_NOW)
    """When the row was last written, in UTC."""
    last_modified_by: MaybeLine = None
    """Who wrote the row last, as the client said."""
    synced_at: datetime | None = Field(default=None, sa_type=_MOMENT)
    """When an older service last sent the row to a server, in UTC. Nothing writes it now."""

    @declared_attr.directive
    @classmethod
    def __tablename__(cls) -> str:
        return cls.collection.replace("-", "_")

    @classmethod
    def before_write(cls, before: Mapping[str, Any] | None, values: dict[str, Any]) -> None:
        """Adjust ``values`` (field name to value) of a write; ``before`` is None on create."""

    @classmethod
    def after_merge(cls, row: Mapping[str, Any], values: dict[str, Any]) -> None:
        """Add the fields that follow from the lists in ``values``; ``row`` is the one before."""

    @classmethod
    @cache
    def wire(cls, field: str) -> str:
        """Return the member's name on the wire: ``ccu_uuid`` is ``ccuUuid``."""
        return cls.wire_names.get(field, to_camel(field))

    @classmethod
    def by_field(cls, members: Mapping[str, Any]) -> dict[str, Any]:
        """Return an answer's values by field name, the labels of references included."""
        return {name: members.get(wire) for name, wire in cls._wires()}

    @classmethod
    @cache
    def _wires(cls) -> tuple[tuple[str, str], ...]:
        names = [*cls.editable(), *cls.parts, *map(label_field, cls.references())]
        return tuple((name, cls.wire(name)) for name in names)

    @classmethod
    @cache
    def references(cls) -> Mapping[str, Reference]:
        """Return the fields that point at other entities, by field name."""
        extras = {name: field.json_schema_extra for name, field in cls.model_fields.items()}
        return {
            name: cast("Reference", extra["reference"])
            for name, extra in extras.items()
            if isinstance(extra, dict) and "reference" in extra
        }  # fmt: skip

    @classmethod
    @cache
    def ends(cls) -> Mapping[str, str]:
        """Return the uuids that may be missing beside a text, each with the field of that text."""
        devices = {device.uuid: device.label for device in cls.device_references}
        return devices | {name: label_field(name) for name in cls.part_references}

    @classmethod
    @cache
    def editable(cls) -> tuple[str, ...]:
        """Return the columns a client may write, in order of declaration, label first."""
        theirs = cls.server_fields | cls.hidden | {"id"}
        own = [name for name in cls.model_fields if name not in theirs]
        return ("id", *own)


class Entity(Row):
    """What every entity inside a production has besides."""

    production_uuid: UUID = Field(foreign_key="productions.uuid", ondelete="CASCADE")
    """The uuid of the show that the row belongs to."""
    note: MaybeText = None
    """Anything that people should know about it, as free text."""

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[sa.Index, ...]:
        """Declare the indexes for the list, the look-up by label and ``unique``: of live rows."""
        return (
            live_index("production_uuid", "created_at", "uuid"),
            live_index("id"),
            # Of deleted rows as well: they come back with their device.
            *(sa.Index(None, device.uuid) for device in cls.device_references if device.is_owner),
            *(unique_index(cls.collection.replace("-", "_"), field) for field in cls.unique),
        )


def reference(collection: str, *, on_delete: OnDelete) -> Any:
    """Declare a nullable reference to another collection's table (see ``Reference``)."""
    return Field(
        default=None, foreign_key=f"{collection.replace('-', '_')}.uuid", ondelete="SET NULL",
        index=True,
        schema_extra={"json_schema_extra": {"reference": Reference(collection, on_delete)}},
    )  # fmt: skip
