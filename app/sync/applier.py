"""Applies offline mutations one by one, inside one production's locked transaction.

What a batch has written itself is no change by others: several edits of a row may all start from
the version that the client had when it went offline.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from pydantic_core import from_json

from app.changelog import log
from app.entities import discovered, root
from app.errors import (
    DuplicateId,
    DuplicateUuid,
    MutationReused,
    NotFound,
    SignalbookError,
    Unavailable,
    VersionConflict,
    WrongProduction,
)
from app.model.entity import Row
from app.model.schemas import known_uuid
from app.model.secret_fields import public
from app.rules.merge import Start
from app.sql.writes import write_statements
from app.store import parts
from app.store.conflicts import ClientView
from app.store.create import create_in
from app.store.delete import delete
from app.store.edit import Edit
from app.store.many_writes import RecordingContext, find_in, is_key_of
from app.store.stale_forms import OldValues, stale_form
from app.store.update import update
from app.store.write_context import StaleForm, StoredRow, WriteContext
from app.sync.label_aliases import LabelAliases
from app.sync.mutations import MutationOutcome, MutationStep, Status, failed_outcome
from app.sync.records import APPLIED, AppliedMutation


class MutationApplier:
    """Applies the mutations of one batch; ``applied`` are those applied before, by id.

    With ``relabel`` a new row whose label is in use gets the next free one.
    """

    def __init__(
        self, context: WriteContext, production: StoredRow, applied: Mapping[str, AppliedMutation],
        *, relabel: bool,
    ) -> None:  # fmt: skip
        self._context, self._production = RecordingContext(**vars(context)), production
        self._relabel = relabel
        self._applied_before = applied
        # The mutations that this batch has applied, with their numbers in it.
        self._applied_here: dict[str, tuple[int, AppliedMutation]] = {}
        # The versions of each row that this client made. Those of a try that was rolled back stay,
        # and do no harm: under the lock nobody else can make a version with that number.
        self._own_versions: defaultdict[UUID, set[int]] = defaultdict(set)
        self._aliases = LabelAliases()
        for mutation in applied.values():
            if mutation.version is not None:
                self._own_versions[mutation.entity].add(mutation.version)

    async def apply(self, step: MutationStep) -> MutationOutcome:
        """Apply one mutation, or find that it was applied before.

        If the mutation fails before it has written, return the error. If it has written, raise, so
        that the caller rolls back the savepoint.
        """
        self._aliases.rewind(step.number)
        label = None
        try:
            outcome = await self._apply_once(step)
            if step.label:
                label = await self._label_of(step, outcome)
            return outcome
        finally:
            if step.label:
                self._aliases.record(step.number, step.entity, step.label, label)

    async def _label_of(self, step: MutationStep, outcome: MutationOutcome) -> str | None:
        """Return the label that the mutation's row has now, None if there is no row."""
        if outcome.entity:
            row = from_json(outcome.entity)
            return None if row["isDeleted"] else row["id"]
        if step.op == "create":
            return None
        try:
            uuid, deleted = await self._find(step)
        except SignalbookError:
            return None
        return None if deleted else (await self._row(step.entity, uuid))["id"]

    async def _apply_once(self, step: MutationStep) -> MutationOutcome:
        mutation_id = step.mutation_id or ""
        number, here = self._applied_here.get(mutation_id, (step.number, None))
        if number >= step.number:  # an earlier try of this step, which was rolled back
            self._applied_here.pop(mutation_id, None)
            here = None
        if step.fingerprint and (applied := here or self._applied_before.get(mutation_id)):
            return await self._duplicate(step, applied)
        if step.error:
            return failed_outcome(step.error)
        operations = {"create": self._create, "update": self._update, "delete": self._delete}
        written_before = len(self._context.bodies)
        try:
            outcome = await operations[step.op](step)
        except SignalbookError as error:
            if len(self._context.bodies) > written_before or isinstance(error, Unavailable):
                raise
            return failed_outcome(error)
        if outcome.entity and outcome.status in APPLIED:
            uuid, collection = UUID(from_json(outcome.entity)["uuid"]), step.entity.collection
            applied = AppliedMutation(step.fingerprint, collection, uuid, outcome.version)
            self._applied_here[mutation_id] = (step.number, applied)
        return outcome

    async def _duplicate(self, step: MutationStep, applied: AppliedMutation) -> MutationOutcome:
        if step.fingerprint != applied.fingerprint:
            return failed_outcome(MutationReused(
                "A mutation with this id was taken before, and said something else: make a new id "
                "for each thing done."
            ))  # fmt: skip
        entity = discovered().get(applied.collection)
        stored = await self._stored_row(entity, applied.entity) if entity else None
        if entity and stored and not stored["deleted"] and step.op != "delete":
            start = step.edit.start if step.op == "update" else Start()
            if start == Start():
                start = Start(version=applied.version or 1)
            await self._note_stale_form(entity, stored, step.edit, start)
        return MutationOutcome("duplicate", stored and stored["body"])

    async def _note_stale_form(
        self, entity: type[Row], stored: Any, edit: Edit, start: Start
    ) -> None:
        """Note what a client still shows that is answered with a row that others have changed."""
        row = from_json(stored["body"])
        uuid = UUID(row["uuid"])
        view = self._view(entity, start, row, uuid)
        view = view.starting(await self._with_own(view))
        bases = await view.bases(self._context.connection, edit.values)
        if bases:
            saw = stale_form(
                entity, view.start, OldValues(), bases, edit.values, entity.by_field(row)
            )
            form = StaleForm(uuid, row["version"], edit.actor.user_id, saw)
            self._context.stale_forms.append(form)

    async def _create(self, step: MutationStep) -> MutationOutcome:
        entity, edit = step.entity, self._aliases.edit(step.entity, step.edit, {})
        if edit.uuid and (stored := await self._stored_row(entity, edit.uuid)):
            if stored["production"] != self._production.uuid:
                raise DuplicateUuid("That uuid is a row's of another production: make a new one.")
            if stored["deleted"]:
                raise await self._delete_conflict(entity, stored, Start())
            await self._note_stale_form(entity, stored, edit, Start(version=1))
            return MutationOutcome("duplicate", stored["body"])
        label, written_before = edit.values.get("id"), len(self._context.bodies)
        try:
            body = await create_in(self._context, entity, self._production, edit)
        except DuplicateId as duplicate:
            free = duplicate.members.get("suggestedId") if self._relabel else None
            if free is None:
                raise
            lists = parts.relabelled(entity, edit.values, label, free)
            edit = replace(edit, values={**edit.values, **lists, "id": free})
            body = await create_in(self._context, entity, self._production, edit)
        row = self._note_versions(written_before, body)
        status: Status = "applied" if label in {None, row["id"]} else "merged"
        return MutationOutcome(status, body, version=row["version"])

    async def _update(self, step: MutationStep) -> MutationOutcome:
        entity, edit = step.entity, step.edit
        uuid, deleted = await self._find(step)
        if deleted:
            raise await self._delete_conflict(entity, deleted, edit.start)
        if self._aliases:
            row = await self._row(entity, uuid) if entity.device_references else {}
            edit = self._aliases.edit(entity, edit, row)
        if edit.production and await is_key_of(
            self._context.connection, self._production, edit.production
        ):
            edit = replace(edit, production=str(self._production.uuid))
        if self._own_versions.get(uuid) and edit.start != Start():
            view = self._view(entity, edit.start, await self._row(entity, uuid), uuid)
            edit = replace(edit, start=await self._with_own(view))
        written_before = len(self._context.bodies)
        body = await update(self._context, entity, str(uuid), edit)
        row = self._note_versions(written_before, body)
        version = row["version"] if len(self._context.bodies) > written_before else None
        view = self._view(entity, edit.start, row, uuid)
        merged = not edit.is_blind and view.has_moved(self._own_versions[uuid])
        return MutationOutcome("merged" if merged else "applied", body, version=version)

    async def _delete(self, step: MutationStep) -> MutationOutcome:
        entity, edit = step.entity, step.edit
        uuid, deleted = await self._find(step)
        if deleted:
            return MutationOutcome("merged", deleted["body"])
        if not edit.is_blind:
            await self._require_unchanged(entity, uuid, edit.start)
        written_before = len(self._context.bodies)
        await delete(self._context, entity, str(uuid), edit.actor)
        body = self._context.bodies[-1]
        row = self._note_versions(written_before, body)
        return MutationOutcome("applied", body, version=row["version"])

    async def _require_unchanged(self, entity: type[Row], uuid: UUID, start: Start) -> None:
        """Raise VersionConflict: a delete must not throw away what others did to the row."""
        view = self._view(entity, start, await self._row(entity, uuid), uuid)
        view = replace(view, start=await self._with_own(view))
        moved = view.has_moved(self._own_versions[uuid])
        if view.start.is_ahead_of(view.row["version"]) or moved:
            connection = self._context.connection
            raise await view.delete_conflict(connection, await view.bases(connection, {}))

    def _view(self, entity: type[Row], start: Start, row: Any, uuid: UUID) -> ClientView:
        return ClientView(entity, start, row, (self._production.uuid, uuid))

    async def _with_own(self, view: ClientView) -> Start:
        """Return the start of an edit, with what this client wrote itself counted as seen."""
        own, logged = self._own_versions.get(view.uuids[1], set()), {}
        if own and view.has_moved(own):
            since = view.start.version or 0
            logged = await log.changed_members(self._context.connection, *view.uuids, since)
        return view.with_own(own, logged)

    async def _row(self, entity: type[Row], uuid: UUID) -> dict[str, Any]:
        """Read a live row in its wire format."""
        record = await self._context.connection.fetchrow(write_statements(entity).live, uuid)
        row: dict[str, Any] = from_json(record["body"])
        return row

    async def _stored_row(self, entity: type[Row], uuid: UUID) -> Any:
        """Read a row, deleted or not, of any production; None if there is none."""
        return await self._context.connection.fetchrow(write_statements(entity).with_deleted, uuid)

    def _note_versions(self, start: int, body: bytes) -> dict[str, Any]:
        """Remember the versions that were written since ``start``; parse and return ``body``."""
        for text in self._context.bodies[start:]:
            row = from_json(text)
            self._own_versions[UUID(row["uuid"])].add(row["version"])
        own: dict[str, Any] = from_json(body)
        return own

    async def _find(self, step: MutationStep) -> tuple[UUID, Any]:
        """Return the uuid of the row that the step names, and the row itself if it is deleted."""
        entity, key, production = step.entity, step.key, self._production
        if entity is root():
            if not await is_key_of(self._context.connection, production, key):
                words = f"This is the sync of {production.label!r}: sync {key!r} alone."
                raise WrongProduction(words)
            return production.uuid, None
        key = self._aliases.key(entity, key)
        try:
            return await find_in(self._context.connection, production, entity, key), None
        except NotFound:
            uuid = known_uuid(key)
            stored = await self._stored_row(entity, uuid) if uuid else None
            if stored is None or stored["production"] != production.uuid:
                raise
            return UUID(key), stored

    async def _delete_conflict(
        self, entity: type[Row], stored: Any, start: Start
    ) -> VersionConflict:
        """Return the conflict with a deletion: the last state of the row, and how to restore it."""
        row = from_json(stored["body"])
        keys = self._production.uuid, UUID(row["uuid"])
        who = await self._context.connection.fetchval(log.LAST_WRITER, *keys)
        return VersionConflict(
            f"This {entity.noun} was deleted by {who or 'somebody'}: restore it and send this "
            "again, or drop it.",
            error=entity.conflict_error, reason="deleted", currentVersion=row["version"],
            clientVersion=start.version, serverData=public(entity, row), conflicts=[],
            restore=f"/api/{entity.collection}/{row['uuid']}/restore",
        )  # fmt: skip
