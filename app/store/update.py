"""Update a row: what the client changed is written, and what others changed meanwhile stays."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from app.changelog import former_secrets
from app.changelog.log import FORMER_LABEL, FORMER_LABELS, Actor
from app.database.database import DatabaseConnection
from app.entities import root
from app.errors import AmbiguousId, NotFound, PreconditionFailed, VersionMissing, WrongProduction
from app.model.entity import Entity, Row
from app.model.row_size import refuse_large_row
from app.model.schemas import can_be_stored, known_uuid, refuse_unbounded
from app.model.secret_fields import logged_changes, public
from app.rules import labels
from app.rules.etags import allows, entity_tag
from app.rules.merge import Base, Start, merge, touched
from app.sql.reads import statements
from app.sql.writes import write_statements
from app.store import owned_rows, parts, references
from app.store.conflicts import ClientView
from app.store.edit import Edit, tidy_values
from app.store.legs.leg_settling import settle_legs
from app.store.read import find_uuid
from app.store.stale_forms import OldValues, old_versions, stale_form
from app.store.write_context import StaleForm, StoredRow, WriteContext, log_values


async def update(context: WriteContext, entity: type[Row], key: str, edit: Edit) -> bytes:
    """Write what the client changed, log it, and return the row as JSON.

    Where others have changed the same field to something else, nothing is written. Neither is
    anything where nothing differs. Raises NotFound, AmbiguousId, WrongProduction, VersionConflict,
    VersionMissing, PreconditionFailed, and Invalid as ``create`` does.
    """
    if entity.version_required and edit.start == Start():
        raise VersionMissing("Send version or fieldVersions: what this edit started from.")
    row = await context.read(entity, key)
    refuse_other_tag(entity, row, edit.match)
    await _refuse_other_production(context.connection, row, edit.production)
    view = ClientView(entity, edit.start, row.members, (row.production, row.uuid))
    bases = await view.bases(context.connection, edit.values)
    old = OldValues(old_versions(entity, row.members, edit, row.stale_forms))
    if old.versions:
        older = await view.old_bases(context.connection, old.versions, edit.values)
        old = replace(old, bases=older)
    claimed, bases = bases, {**bases, **old.lists()}
    change = RowChange(entity, row, edit, bases, old.echoes())
    conflicts = await change.settle(context.connection)
    if bases or old.bases:
        is_new = not conflicts and bool(change.values)
        result = change.result(conflicts)
        saw = stale_form(entity, edit.start, old, claimed, change.submitted, result)
        form = StaleForm(row.uuid, row.version + is_new, edit.actor.user_id, saw, is_new)
        context.stale_forms.append(form)
    await view.refuse_conflicts(context.connection, change.values, conflicts, bases)
    if not change.values:
        return row.body
    label = change.values.get("id") or row.label
    if label == row.label:
        return await change.write(context)
    followers = await owned_rows.followers(context, entity, row, label)
    body = await change.write(context)
    for kind, follower, new in followers:
        await _relabel(context, kind, follower, new, edit.actor)
    return await _with_clash(context, entity, row, label, body)


async def _relabel(
    context: WriteContext, entity: type[Row], uuid: UUID, label: str, actor: Actor
) -> None:
    """Write another label of a row that follows its device."""
    row = await context.read(entity, str(uuid))
    edit = Edit({"id": label}, actor, Start(version=row.version))
    await RowChange(entity, row, edit, {}).write(context)


class Clashing(bytes):
    """A row as JSON, with ``labelClash``: the other live rows that have its new label."""


async def _with_clash(
    context: WriteContext, entity: type[Row], row: StoredRow, label: str, body: bytes
) -> bytes:
    """Name the others that have a row's new label, as it may be meant: a person is told."""
    is_scoped, own = issubclass(entity, Entity), context.own_shows
    scope = label if is_scoped else labels.spellings(label)
    holders = await context.connection.fetch(statements(entity).alike, row.production, scope)
    if own is not None and not is_scoped:
        holders = [holder for holder in holders if holder["uuid"] in own]
    others = [{"uuid": r["uuid"], "id": r["id"]} for r in holders if r["uuid"] != row.uuid]
    return Clashing(b'%b,"labelClash":%b}' % (body[:-1], to_json(others))) if others else body


class RowChange:
    """An edit of a stored row: ``values`` are first what was sent, in the end what is written.

    ``bases`` tell of the fields that others have changed since the client looked. ``echoes`` are
    what its form may show besides: it is not touched, either.
    """

    def __init__(
        self, entity: type[Row], row: StoredRow, edit: Edit, bases: Mapping[str, Base],
        echoes: Mapping[str, Base] | None = None,
    ) -> None:  # fmt: skip
        self.entity, self.row, self.edit = entity, row, edit
        self.stored = entity.by_field(row.members)
        """The row as it is, by field."""
        self.started = self.stored | {n: b.value for n, b in bases.items() if b.is_known}
        """The row as the client saw it, as far as that is known."""
        echoes = echoes or {}
        old = {name: base.value for name, base in echoes.items()}
        self.submitted = edit.values_unlike(entity, self.started, old)
        """What was sent, of two spellings the one that was meant."""
        self.values = tidy_values(entity, touched(echoes, touched(bases, self.submitted)))
        self._bases = bases

    async def settle(self, connection: DatabaseConnection) -> list[str]:
        """Resolve references, apply the rules and merge; return the conflicts. Raises Invalid."""
        entity, stored, values = self.entity, self.stored, self.values
        await references.resolve(connection, entity, self.row.production, stored, values)
        # What the rules add is nothing that the client sent: it conflicts with nobody.
        bases = {name: base for name, base in self._bases.items() if name in values}
        entity.before_write(stored, values)
        theirs = await self._settle_lists(connection, bases) if entity.parts else stored
        merged, conflicts = merge(bases, theirs, values)
        if entity.parts:
            is_renamed = values.get("id") not in {None, stored["id"]}
            followers = {n: theirs[n] for n in entity.parts if is_renamed}
            merged = parts.in_order(entity, followers | merged, stored)
            if not conflicts:
                key = self.row.production, self.row.uuid
                legs, views = await settle_legs(connection, entity, key, stored, merged)
                merged |= {**legs, **views}
        self.values = merged
        refuse_unbounded(entity, merged)
        return conflicts

    async def _settle_lists(
        self, connection: DatabaseConnection, bases: dict[str, Base]
    ) -> dict[str, Any]:
        """Complete the lists, and return the row as it is, with lists that follow its new label.

        All three views of them get the ids that the row's label after this write gives.
        """
        entity, stored, values = self.entity, self.stored, self.values
        now, base, label = stored["id"], self.started["id"], values.get("id") or stored["id"]
        for former in await self._former_labels(connection):
            values |= parts.relabelled(entity, values, former, base)
        theirs = stored | parts.relabelled(entity, stored, now, label)
        started = self.started | parts.relabelled(entity, self.started, base, label)
        values |= parts.relabelled(entity, values, base, label)
        values |= parts.complete(entity, values, theirs, started)
        for name in bases.keys() & entity.parts.keys():
            if bases[name].is_known:
                bases[name] = replace(bases[name], value=started[name])
        return theirs

    async def _former_labels(self, connection: DatabaseConnection) -> list[str]:
        """Return the row's former labels that still stand in the ids of the lists that were sent.

        A client that takes only the version of an answer does not know that ids followed.
        """
        labels = parts.other_labels(self.entity, self.values, self.stored)
        if not labels:
            return []
        former = FORMER_LABELS, self.row.production, self.row.uuid, labels
        own: list[str] = await connection.fetchval(*former)
        return own

    def result(self, conflicts: Collection[str]) -> Mapping[str, Any]:
        """Return the row as it will be, and as it is where nothing can be written.

        What is in conflict counts as sent: its user is told of it.
        """
        if not conflicts:
            return self.stored | self.values
        return self.stored | {name: self.submitted.get(name) for name in conflicts}

    async def write(self, context: WriteContext) -> bytes:
        """Write the values and log them; return the row as JSON."""
        entity, row, edit, stored = self.entity, self.row, self.edit, self.stored
        pairs = {n: [stored.get(n), new] for n, new in self.values.items()}
        changes = logged_changes(entity, pairs)
        await former_secrets.remember(context.connection, entity, row.uuid, row.members, pairs)
        sql = write_statements(entity).update
        lists: Sequence[bytes] = ()
        if not entity.parts.keys().isdisjoint(self.values):
            sql = write_statements(entity).update_lists
            lists = list(parts.rows(entity, row.uuid, stored | self.values))
        values = {n: value for n, value in self.values.items() if n not in entity.parts}
        # Without its uuid an end goes by its text, which is as old as the last write of it.
        for uuid, label in entity.ends().items():
            if uuid in values and values[uuid] is None:
                values.setdefault(label, stored[label])
        encoded = to_json(values)
        refuse_large_row(
            entity, stored | self.values, b"".join([encoded, *lists]), stored, len(row.body)
        )
        return await context.write(
            sql,
            row.production, row.seq, row.uuid, row.version, encoded, edit.actor.row_value,
            *log_values(changes, edit.actor, blind=edit.is_blind),
            list(changes), *lists,
        )  # fmt: skip


def refuse_other_tag(entity: type[Row], row: StoredRow, match: bytes) -> None:
    """Raise PreconditionFailed where ``match`` (If-Match) does not name the row as it is."""
    if match and not allows(match, entity_tag(row.body)):
        raise PreconditionFailed(
            f"This {entity.noun} is no longer the one that If-Match names: look at it again.",
            currentVersion=row.version,
            serverData=public(entity, row.members),
        )


async def _refuse_other_production(
    connection: DatabaseConnection, row: StoredRow, key: str | None
) -> None:
    """Raise WrongProduction where the edit names another production than the row's.

    A label that the row's production had before a renaming is an echo of the client's form, unless
    another production has it now.
    """
    own = row.members.get("productionId")
    if key is None or key == own or known_uuid(key) == row.production:
        return
    try:
        if can_be_stored(key) and await find_uuid(connection, root(), key) == row.production:
            return
    except AmbiguousId:
        pass
    except NotFound:
        if await connection.fetchval(FORMER_LABEL, row.production, row.production, key):
            return
    raise WrongProduction(
        f"This row belongs to production {own!r} and does not move: create a copy there instead."
    )
