"""Renumber many rows of one collection: new labels that count on, in one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import BeforeValidator, Field, StringConstraints
from pydantic_core import from_json

from app.changelog.log import Actor
from app.errors import DuplicateId, Invalid
from app.model.entity import Row
from app.model.fields import MAYBE_NO_CONTROLS, MaybeLine, blank_to_none
from app.model.schemas import Key, RequestModel, known_uuid
from app.rules import labels
from app.rules.merge import Start
from app.sql.reads import statements
from app.store.create import labels_everywhere
from app.store.edit import Edit
from app.store.many_writes import MOST, lock_production
from app.store.update import update
from app.store.write_context import WriteContext

# A label has 64 characters; the rest are for a space and the number.
_Prefix = Annotated[str, StringConstraints(max_length=57, pattern=MAYBE_NO_CONTROLS)]
_First = Annotated[int, Field(strict=True, ge=1, le=9_999)]
_Width = Annotated[int, Field(strict=True, ge=0, le=6)]
_MOST_HOLDERS: Final = 20


class Renumber(RequestModel):
    """Which rows, in which order, and what they are called from now on.

    ``order`` holds uuids or labels; without it all rows are renumbered, in the order of the list.
    ``width`` is the least number of digits: 2 gives "CAM 01".
    """

    order: Annotated[list[Key], Field(min_length=1, max_length=MOST)] | None = None
    """The uuids or labels of the rows in their new order. Without it: all, as the list has them."""
    prefix: Annotated[_Prefix | None, BeforeValidator(blank_to_none)] = None
    """The text before the number. Without it: that of the type, as "CAM"."""
    start: _First | None = None
    """The first number; 1 where it is left out."""
    width: _Width | None = None
    """The least number of digits: 2 gives "CAM 01"."""
    user_id: MaybeLine = Field(None, alias="userId")
    """Who does it, by the id that the client has for people."""
    user_name: MaybeLine = Field(None, alias="userName")
    """Who does it, by name. Others are shown it."""
    last_modified_by: MaybeLine = Field(None, alias="lastModifiedBy")
    """The same person once more, where an older client sends it so."""

    def label(self, entity: type[Row], index: int) -> str:
        """Return the label of the row at this position, counted from 0."""
        prefix = labels.tidy_label(self.prefix or "") or entity.prefix
        return f"{prefix} {(self.start or 1) + index:0{self.width or 0}}"


@dataclass(frozen=True)
class Renaming:
    """A row with its label before and after; ``version`` is the one it was read at."""

    uuid: UUID
    before: str
    after: str
    version: int


async def renumber(
    context: WriteContext, entity: type[Row], key: str, request: Renumber, actor: Actor
) -> list[Renaming]:
    """Renumber rows of the production under a key; return all of them, the unchanged too.

    Only rows whose label differs are written. Raises NotFound and AmbiguousId for the production,
    Invalid for keys that name no row or one row twice, and DuplicateId where another row has one
    of the labels.
    """
    production = await lock_production(context, key)
    listed = await context.connection.fetchrow(statements(entity).list, production.uuid)
    rows = [
        Renaming(UUID(row["uuid"]), row["id"], row["id"], row["version"])
        for row in from_json(listed["body"])
    ]
    renamings = [
        replace(row, after=request.label(entity, index))
        for index, row in enumerate(_select(entity, rows, request.order))
    ]
    # An older service's index allows a label only one row, whatever its production.
    *_, unique = await context.connection.fetchrow(statements(entity).labels, production.uuid)
    await _refuse_duplicates(context, entity, rows, renamings, unique=unique)
    changes = [row for row in renamings if row.after != row.before]
    for row, label in one_holder(changes) if unique else [(row, row.after) for row in changes]:
        edit = Edit({"id": label}, actor, Start(row.version), production=str(production.uuid))
        await update(context, entity, str(row.uuid), edit)
    return renamings


def _select(
    entity: type[Row], rows: Sequence[Renaming], order: Sequence[str] | None
) -> list[Renaming]:
    """Return the rows that the keys in ``order`` name, in that order."""
    if order is None:
        if len(rows) > MOST:
            raise Invalid.at("order", f"there are {len(rows)} rows: name up to {MOST} at a time")
        return list(rows)
    by_uuid = {row.uuid: row for row in rows}
    by_label: dict[str, list[Renaming]] = {}
    for row in rows:
        for label in {row.before, labels.folded(row.before)}:
            by_label.setdefault(label, []).append(row)
    positions: dict[UUID, int] = {}
    faults = []
    for index, key in enumerate(order):
        uuid = known_uuid(key)
        alike = [row for row in by_label.get(key, []) if row.before == key]
        alike = alike or by_label.get(labels.folded(key), [])
        matches = [by_uuid[uuid]] if uuid in by_uuid else alike
        if fault := _fault(entity, key, matches, positions):
            faults.append({"path": f"order.{index}", "message": fault})
        else:
            positions[matches[0].uuid] = index
    if faults:
        raise Invalid(faults[:100])
    return [by_uuid[uuid] for uuid in positions]


def _fault(
    entity: type[Row], key: str, matches: Sequence[Renaming], positions: Mapping[UUID, int]
) -> str | None:
    if not matches:
        return f"no {entity.noun} {key!r} in this production"
    if len(matches) > 1:
        return f"{len(matches)} rows are called {key!r}: send the uuid"
    if (before := positions.get(matches[0].uuid)) is not None:
        return f"names the same row as order.{before}"
    return None


async def _refuse_duplicates(
    context: WriteContext, entity: type[Row], rows: Iterable[Renaming],
    renamings: Sequence[Renaming], *, unique: bool,
) -> None:  # fmt: skip
    """Raise DuplicateId where a row that keeps its label has one of the new ones."""
    uuids, new = {row.uuid for row in renamings}, {labels.folded(r.after) for r in renamings}
    holders = [
        {"uuid": str(row.uuid), "id": row.before}
        for row in rows
        if row.uuid not in uuids and labels.folded(row.before) in new
    ]
    if unique and renamings:
        ours = {row.before for row in renamings}
        others = set(await labels_everywhere(context, entity, renamings[0].after)) - ours
        after = {row.after for row in renamings}
        if not holders and (duplicates := sorted(after & others)):
            raise DuplicateId(
                f"{duplicates[0]!r} is held by a row of another production or a deleted one. Until "
                "the older service is retired every label is unique: choose another prefix or "
                "start.",
                suggestedId=labels.suggestion(duplicates[0], others | ours),
            )
    elif entity.allow_duplicate_labels:
        return
    if holders:
        label, used = holders[0]["id"], {row.before for row in rows}
        raise DuplicateId(
            f"{label!r} is held by a {entity.noun} that keeps its label: name it in the order as "
            "well, or choose another prefix or start.",
            suggestedId=labels.suggestion(label, used | new),
            holders=holders[:_MOST_HOLDERS],
        )


def one_holder(rows: Sequence[Renaming]) -> list[tuple[Renaming, str]]:
    """Order the renamings so that no label ever has two holders, as a unique index demands.

    Where rows pass their labels round in a ring, the first of them is called by its uuid meanwhile.
    """
    waiting = {row.before: row for row in rows}
    steps: list[tuple[Renaming, str]] = []
    while waiting:
        chain = [next(iter(waiting.values()))]
        while (holder := waiting.get(chain[-1].after)) and holder is not chain[0]:
            chain.append(holder)
        first = chain[0]
        if holder:
            steps.append((first, str(first.uuid)))
            chain[0] = replace(first, before=str(first.uuid), version=first.version + 1)
        steps += [(row, row.after) for row in reversed(chain)]
        for row in (first, *chain[1:]):
            del waiting[row.before]
    return steps


def summary(renamings: Sequence[Renaming]) -> dict[str, Any]:
    """Return the answer to a renumbering."""
    results = [{"uuid": str(row.uuid), "from": row.before, "to": row.after} for row in renamings]
    return {"results": results, "renamed": sum(row.before != row.after for row in renamings)}
