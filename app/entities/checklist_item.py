"""Checklist items: what must be done before a show, by whom, and whether it is."""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import sqlalchemy as sa

from app.model.entity import Entity, defaulted
from app.model.fields import (
    Flag,
    MaybeEpochMs,
    MaybeItems,
    MaybeLine,
    MaybeMoment,
    MaybeWhole,
    Name,
)


class ChecklistItem(Entity, table=True):
    """A thing to do. ``completedAt`` is in milliseconds since 1970-01-01 UTC."""

    collection: ClassVar[str] = "checklist-items"
    noun: ClassVar[str] = "Checklist item"
    entity_type: ClassVar[str] = "checklist-item"
    event_type: ClassVar[str] = "CHECKLIST_ITEM"
    prefix: ClassVar[str] = "CHK"
    is_device: ClassVar[bool] = False
    allow_duplicate_labels: ClassVar[bool] = True
    synonyms: ClassVar[Mapping[str, str]] = {"name": "title"}
    wire_names: ClassVar[Mapping[str, str]] = {
        "completion_note_list": "completionNote",
        "more_info_list": "moreInfo",
    }
    ticks: ClassVar[tuple[str, ...]] = (
        "completed", "completed_at", "completion_date", "completion_note_list",
    )  # fmt: skip
    example: ClassVar[Mapping[str, Any]] = {
        "title": "Power requirements", "category": "VERIFICATIONS", "daysBeforeShow": 14,
    }  # fmt: skip

    title: Name
    """What is to be done."""
    completed: Flag = defaulted(False, sa.Boolean)
    """Whether it is done."""
    completed_at: MaybeEpochMs = None
    """When it was done, in milliseconds since 1970-01-01 UTC. The service sets and clears it."""
    completion_date: MaybeMoment = None
    """The day that people say it was done, in UTC."""
    completion_note_list: MaybeItems = None
    """Notes on how it was done, in their order."""
    more_info_list: MaybeItems = None
    """What helps to do it, in its order."""
    category: MaybeLine = None
    """The group of the list that it stands in: "VERIFICATIONS"."""
    assigned_to: MaybeLine = None
    """Who is to do it."""
    days_before_show: MaybeWhole = None
    """How many days before the show it must be done."""
    due_date: MaybeMoment = None
    """The day by which it must be done, in UTC."""
    reference: MaybeLine = None
    """Where to read on: a link, a page, a drawing."""
    sort_order: MaybeWhole = None
    """The position in lists that people order by hand, from 0."""

    @classmethod
    def before_write(cls, before: Mapping[str, Any] | None, values: dict[str, Any]) -> None:
        """Set ``completed_at`` when ``completed`` becomes true, and clear it when false.

        An edit of other members leaves both alone, even if an older row contradicts itself.
        """
        was = before or {}
        own = {n: values[n] for n in ("completed", "completed_at") if n in values}
        if before is not None and all(value == was.get(name) for name, value in own.items()):
            return
        if not values.get("completed", was.get("completed", False)):
            values["completed_at"] = None
        elif values.get("completed_at", was.get("completed_at")) is None:
            values["completed_at"] = was.get("completed_at") or time.time_ns() // 1_000_000
