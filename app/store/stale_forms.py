"""What clients still show of a row although they were answered with something newer.

A client may keep only the ``version`` of an answer and go on showing its old form. What it then
sends back would look like edits of its user. So each answer that differs from what was sent is
remembered with the version that it named: who starts from that version may still show the old
values. docs/decisions/0029-stale-forms.md says why, and why in the table of idempotency keys.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic_core import from_json, to_json

from app.database.database import DatabaseConnection
from app.model.entity import Row, label_field
from app.rules.merge import Base, Start, same
from app.sql.registry import statement
from app.store.conflicts import ClientView
from app.store.edit import Edit
from app.store.write_context import StaleForm

# Adds the answers $2 to those of row $1, each a JSON object by version and user, and keeps the
# newest. No Idempotency-Key has a blank. They stay for 30 days longer than keys do.
REMEMBER: Final = statement(
    "INSERT INTO idempotency_keys AS known (key, fingerprint, headers, at) VALUES "
    "('form ' || $1::uuid, '', $2, statement_timestamp() + interval '30 days') "
    "ON CONFLICT (key) DO UPDATE SET at = excluded.at, headers = (SELECT json_object_agg(key, "
    "value) FROM (SELECT key, value FROM jsonb_each(known.headers::jsonb || "
    "excluded.headers::jsonb) ORDER BY split_part(key, ' ', 1)::bigint DESC LIMIT 50) AS newest)"
)


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


async def old_values(
    connection: DatabaseConnection, view: ClientView, edit: Edit, remembered: bytes | None
) -> OldValues:
    """Return what the client's form may still show, though it names a newer version.

    One value alone is no form: somebody typed it. Neither is a row with today's ``updatedAt``, nor
    an edit with If-Match, which says what the client sees.
    """
    known_moment = edit.updated_at and edit.updated_at == view.row.get("updatedAt")
    if not edit.is_form or edit.match or known_moment:
        return OldValues()
    versions = dict(_versions_of_map(view)) if view.start.version else {}
    if remembered:
        versions |= _remembered_versions(view, edit, from_json(remembered))
    if not versions:
        return OldValues()
    latest: dict[str, int] = dict.fromkeys(view.fields, view.row["version"])
    bases = await view.starting(Start(field_versions=latest | versions)).bases(
        connection, edit.values
    )
    return OldValues(versions, {name: base for name, base in bases.items() if base.is_known})


def _versions_of_map(view: ClientView) -> Iterable[tuple[str, int]]:
    """Return the entries of the client's ``fieldVersions`` below the ``version`` beside them."""
    start, entries = view.start, view.start.field_versions
    for name in view.fields if entries else ():
        at = (entries or {}).get(name, 1)
        if at < (start.version or 0) and at >= start.own.get(name, 0):
            yield name, at


def _remembered_versions(
    view: ClientView, edit: Edit, answers: Mapping[str, Mapping[str, int]]
) -> dict[str, int]:
    """Return the versions that the user of the answered version may still see of each field."""
    fields = {view.entity.wire(name): name for name in view.fields}
    saw: dict[str, int] = {}
    for key, entries in answers.items():
        version, _, user = key.partition(" ")
        if int(version) == answered_version(view.start) and _may_be_one(user, edit.actor.user_id):
            saw |= {fields[wire]: at for wire, at in entries.items() if wire in fields}
    return {name: at for name, at in saw.items() if at >= view.start.own.get(name, 0)}


def answered_version(start: Start) -> int | None:
    """Return the version of the answer that a client starts from, as far as it says."""
    if start.version is None and start.field_versions:
        return max(start.field_versions.values())
    return start.version


def _may_be_one(user: str, other: str | None) -> bool:
    return not user or not other or user == other


def stale_form(
    view: ClientView, old: OldValues, bases: Mapping[str, Base], sent: Mapping[str, Any],
    result: Mapping[str, Any],
) -> dict[str, int]:  # fmt: skip
    """Return which fields of the client's form are not as in the answer, by wire name.

    The values are the versions at which the form has them. ``bases`` are what the client started
    from, ``sent`` its values, and ``result`` those of the row that it is answered with.
    """
    saw: dict[str, int] = {}
    uuids = uuids_of_labels(view.entity)
    for seen, version_of in ((old.bases, old.versions.get), (bases, view.start.of)):
        for name, base in seen.items():
            if name not in sent or not base.is_known or same(sent[name], result.get(name)):
                continue
            if same(base.value, sent[name]) or isinstance(sent[name], list):
                own = uuids.get(name, name)
                saw[view.entity.wire(own)] = version_of(own) or 1
    return saw


def uuids_of_labels(entity: type[Row]) -> dict[str, str]:
    """Return the fields that hold labels, each with the field of the uuid that it stands for."""
    labels = {label_field(name): name for name in entity.references()}
    return labels | {d.label: d.uuid for d in entity.device_references if d.uuid}


async def remember(connection: DatabaseConnection, forms: Iterable[StaleForm]) -> None:
    """Remember what clients still show, before they are answered."""
    rows: dict[Any, dict[str, Mapping[str, int]]] = {}
    for form in forms:
        rows.setdefault(form.row, {})[f"{form.version} {form.user or ''}"] = form.saw
    for row, answers in rows.items():
        await connection.execute(REMEMBER, row, to_json(answers))
