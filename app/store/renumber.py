"""Gives many rows of one collection new labels that count on, in one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints
from pydantic_core import from_json

from app.changelog.log import Actor
from app.database.database import DatabaseConnection
from app.errors import DuplicateId, Invalid
from app.model.entity import Row
from app.model.fields import MaybeLine, blank_to_none
from app.model.schemas import Key, known_uuid
from app.rules import labels
from app.rules.merge import Start
from app.sql.reads import statements
from app.store import update as store
from app.store.bulk import MOST, SPELLINGS
from app.store.label_assignment import everywhere
from app.store.locked_production import LockedProduction, lock_production
from app.store.update import Edit
from app.store.write_context import WriteContext

# A label has 64 characters; the rest are for a space and the number.
_Prefix = Annotated[str, StringConstraints(max_length=57, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
_First = Annotated[int, Field(strict=True, ge=1, le=9_999)]
_Width = Annotated[int, Field(strict=True, ge=0, le=6)]
_SHOWN: Final = 20


class Renumber(BaseModel):
    """Which rows, in which order, and how they are called from now on.

    ``order`` holds uuids or labels; without it all rows are meant, in the order of the list.
    ``width`` is the least number of digits: 2 gives "CAM 01".
    """

    model_config = SPELLINGS

    order: Annotated[list[Key], Field(min_length=1, max_length=MOST)] | None = None
    prefix: Annotated[_Prefix | None, BeforeValidator(blank_to_none)] = None
    start: _First | None = None
    width: _Width | None = None
    user_id: MaybeLine = Field(None, alias="userId")
    user_name: MaybeLine = Field(None, alias="userName")
    last_modified_by: MaybeLine = Field(None, alias="lastModifiedBy")

    def label(self, entity: type[Row], place: int) -> str:
        """Give the label of the row in this place, counted from 0."""
        prefix = (self.prefix or "").strip() or entity.prefix
        return f"{prefix} {(self.start or 1) + place:0{self.width or 0}}"


@dataclass(frozen=True)
class Renamed:
    """A row with its label before and after; ``version`` is the one it was read at."""

    uuid: UUID
    before: str
    after: str
    version: int


async def renumber(
    context: WriteContext, entity: type[Row], production: str, wanted: Renumber, actor: Actor
) -> list[Renamed]:
    """Give the rows their new labels, and say of each what it was called.

    Only rows whose label differs are written. Raises NotFound and AmbiguousId for the production,
    Invalid for keys that name no row or one row twice, and DuplicateId where another row holds
    one of the labels.
    """
    place = await lock_production(context, production)
    rows = await _rows(context.connection, entity, place)
    chosen = _chosen(entity, rows, wanted.order)
    renamed = [
        Renamed(row.uuid, row.before, wanted.label(entity, number), row.version)
        for number, row in enumerate(chosen)
    ]
    alone = await _labels_are_unique(context, entity, place)
    await _refuse_taken(context, entity, rows, renamed, alone=alone)
    changed = [row for row in renamed if row.after != row.before]
    for row, label in one_holder(changed) if alone else [(row, row.after) for row in changed]:
        start = Start(row.version)
        edit = Edit({"id": label}, actor, start, production=str(place.uuid))
        await store.update(context, entity, str(row.uuid), edit)
    return renamed


async def _rows(
    connection: DatabaseConnection, entity: type[Row], place: LockedProduction
) -> list[Renamed]:
    """Give the live rows in the order of the list."""
    found = await connection.fetchrow(statements(entity).list, place.uuid)
    return [
        Renamed(UUID(row["uuid"]), row["id"], row["id"], row["version"])
        for row in from_json(found["body"])
    ]


def _chosen(
    entity: type[Row], rows: Sequence[Renamed], order: Sequence[str] | None
) -> list[Renamed]:
    if order is None:
        if len(rows) > MOST:
            raise Invalid.at("order", f"there are {len(rows)} rows: name up to {MOST} at a time")
        return list(rows)
    by_uuid = {row.uuid: row for row in rows}
    by_label: dict[str, list[Renamed]] = {}
    for row in rows:
        by_label.setdefault(row.before, []).append(row)
    chosen: dict[UUID, int] = {}
    faults = []
    for index, key in enumerate(order):
        uuid = known_uuid(key)
        found = [by_uuid[uuid]] if uuid in by_uuid else by_label.get(key, [])
        fault = _fault(entity, key, found, chosen)
        if fault:
            faults.append({"path": f"order.{index}", "message": fault})
        else:
            chosen[found[0].uuid] = index
    if faults:
        raise Invalid(faults[:100])
    return [by_uuid[uuid] for uuid in chosen]


def _fault(
    entity: type[Row], key: str, found: Sequence[Renamed], chosen: Mapping[UUID, int]
) -> str | None:
    if not found:
        return f"no {entity.noun} {key!r} in this production"
    if len(found) > 1:
        return f"{len(found)} rows are called {key!r}: send the uuid"
    if (before := chosen.get(found[0].uuid)) is not None:
        return f"names the same row as order.{before}"
    return None


async def _labels_are_unique(
    context: WriteContext, entity: type[Row], place: LockedProduction
) -> bool:
    """Tell whether an older service's index allows a label only one row, whatever its show."""
    *_, unique = await context.connection.fetchrow(statements(entity).labels, place.uuid)
    return bool(unique)


async def _refuse_taken(
    context: WriteContext,
    entity: type[Row],
    rows: Iterable[Renamed],
    renamed: Sequence[Renamed],
    *,
    alone: bool,
) -> None:
    """Raise DuplicateId where a row that keeps its label holds one of the new ones."""
    uuids = {row.uuid for row in renamed}
    kept = [row for row in rows if row.uuid not in uuids]
    new = {row.after for row in renamed}
    holders = [{"uuid": str(row.uuid), "id": row.before} for row in kept if row.before in new]
    if alone and renamed:
        ours = {row.before for row in renamed}
        others = set(await everywhere(context, entity, renamed[0].after)) - ours
        if not holders and (taken := sorted(new & others)):
            raise DuplicateId(
                f"{taken[0]!r} is held by a row of another production or a deleted one. Until the "
                "older service is retired every label is unique: choose another prefix or start.",
                suggestedId=labels.suggestion(taken[0], others | ours),
            )
    elif entity.allow_duplicate_labels:
        return
    if holders:
        label, held = holders[0]["id"], {row.before for row in rows}
        raise DuplicateId(
            f"{label!r} is held by a {entity.noun} that keeps its label: name it in the order as "
            "well, or choose another prefix or start.",
            suggestedId=labels.suggestion(label, held | new),
            holders=holders[:_SHOWN],
        )


def one_holder(rows: Sequence[Renamed]) -> list[tuple[Renamed, str]]:
    """Order the renamings so that no label ever has two holders, as a unique index demands.

    Where rows pass their labels round in a ring, the first of them is called by its uuid meanwhile.
    """
    waiting = {row.before: row for row in rows}
    steps: list[tuple[Renamed, str]] = []
    while waiting:
        chain = [next(iter(waiting.values()))]
        while (held_by := waiting.get(chain[-1].after)) and held_by is not chain[0]:
            chain.append(held_by)
        first = chain[0]
        if held_by:
            steps.append((first, str(first.uuid)))
            chain[0] = replace(first, before=str(first.uuid), version=first.version + 1)
        steps += [(row, row.after) for row in reversed(chain)]
        for row in (first, *chain[1:]):
            del waiting[row.before]
    return steps


def summary(renamed: Sequence[Renamed]) -> dict[str, Any]:
    """Give what became of the rows, as the answer has it."""
    told = [{"uuid": str(row.uuid), "from": row.before, "to": row.after} for row in renamed]
    return {"results": told, "renamed": sum(row.before != row.after for row in renamed)}
