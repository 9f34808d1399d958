"""What clients still show of a row although they were answered with something newer.

A client may keep only the ``version`` of an answer and go on showing its old form. What it then
sends back would look like edits of its user. So each answer that differs from what was sent is
remembered with the version that it named: who starts from that version may still show the old
values. docs/decisions/0029-stale-forms.md says why, and why in the table of idempotency keys.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from app.model.entity import Row, label_field
from app.rules.merge import Base, Start, same
from app.store.edit import Edit


@dataclass(frozen=True)
class OldValues:
    """The fields that a client's form may still show as they were, with those versions of them."""

    versions: Mapping[str, int] = field(default_factory=dict)
    bases: Mapping[str, Base] = field(default_factory=dict)

    def echoes(self) -> dict[str, Base]:
        """Return the bases of single values: who sends one of these has not touched it."""
        return {n: base for n, base in self.bases.items() if not isinstance(base.value, list)}

    def lists(self) -> dict[str, Base]:
        """Return the bases of lists, with which a list is merged by element."""
        return {n: base for n, base in self.bases.items() if isinstance(base.value, list)}


def old_versions(
    entity: type[Row], members: Mapping[str, Any], edit: Edit, remembered: bytes | None
) -> dict[str, int]:
    """Return what the client's form may still show, though it names a newer version.

    One value alone is no form: somebody typed it. Neither is a row with today's ``updatedAt``, nor
    an edit with If-Match, which says what the client sees.
    """
    is_fresh = edit.updated_at and edit.updated_at == members.get("updatedAt")
    if not edit.is_form or edit.match or is_fresh:
        return {}
    fields = {entity.wire(name): name for name in (*entity.editable(), *entity.parts)}
    versions = _versions_of_map(edit.start, fields.values())
    if remembered:
        versions |= _remembered_versions(fields, edit, from_json(remembered))
    own = edit.start.own
    return {name: at for name, at in versions.items() if at >= own.get(name, 0)}


def _versions_of_map(start: Start, fields: Iterable[str]) -> dict[str, int]:
    """Return the entries of the client's ``fieldVersions`` below the ``version`` beside them."""
    entries, version = start.field_versions, start.version
    if not entries or not version:
        return {}
    return {name: at for name in fields if (at := entries.get(name, 1)) < version}


def _remembered_versions(
    fields: Mapping[str, str], edit: Edit, answers: Mapping[str, Mapping[str, int]]
) -> dict[str, int]:
    """Return the versions that the user of the answered version may still see of each field."""
    saw: dict[str, int] = {}
    for key, entries in answers.items():
        version, _, user = key.partition(" ")
        if int(version) == answered_version(edit.start) and _may_be_one(user, edit.actor.user_id):
            saw |= {fields[wire]: at for wire, at in entries.items() if wire in fields}
    return saw


def answered_version(start: Start) -> int | None:
    """Return the version of the answer that a client starts from, as far as it says."""
    if start.version is None and start.field_versions:
        return max(start.field_versions.values())
    return start.version


def _may_be_one(user: str, other: str | None) -> bool:
    return not user or not other or user == other


def stale_form(
    entity: type[Row], start: Start, old: OldValues, bases: Mapping[str, Base],
    submitted: Mapping[str, Any], result: Mapping[str, Any],
) -> dict[str, int]:  # fmt: skip
    """Return which fields of the client's form are not as in the answer, by wire name.

    The values are the versions at which the form has them. ``bases`` are what the client started
    from, ``submitted`` its values, and ``result`` those of the row that it is answered with.
    """
    saw: dict[str, int] = {}
    uuids = uuids_of_labels(entity)
    for values, version_of in ((old.bases, old.versions.get), (bases, start.of)):
        for name, base in values.items():
            if (
                name not in submitted
                or not base.is_known
                or same(submitted[name], result.get(name))
            ):
                continue
            if same(base.value, submitted[name]) or isinstance(submitted[name], list):
                own = uuids.get(name, name)
                saw[entity.wire(own)] = version_of(own) or 1
    return saw


def uuids_of_labels(entity: type[Row]) -> dict[str, str]:
    """Return the fields that hold labels, each with the field of the uuid that it stands for."""
    labels = {label_field(name): name for name in entity.references()}
    return labels | {label: uuid for uuid, label in entity.ends().items()}
