"""Does offline mutations one by one, inside one production's locked transaction.

What a batch has written itself is no change by others: several edits of a row may all start from
the version that the client had when it went offline.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
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
from app.rules.merge import Start
from app.sql.registry import statement
from app.sql.writes import write_statements
from app.store.conflicts import ClientView
from app.store.create import create_in
from app.store.delete import delete
from app.store.locked_production import LockedProduction, find_in, is_key_of
from app.store.savepoints import RecordingContext
from app.store.update import update
from app.store.write_context import WriteContext
from app.sync.label_aliases import LabelAliases
from app.sync.mutations import MutationStep
from app.sync.runs import AppliedMutation

Status = Literal["applied", "merged", "conflict", "duplicate", "rejected", "undone"]
# Who wrote row $2 of production $1 last.
LAST_WRITER: Final = statement(
    "SELECT user_name FROM changes WHERE production_uuid = $1 AND entity_uuid = $2 "
    "ORDER BY seq DESC LIMIT 1"
)


@dataclass(frozen=True)
class MutationOutcome:
    """What became of one mutation: the row as JSON where there is one, the error if refused.

    ``version`` is the one that it made of its row, None where it wrote nothing.
    """

    status: Status
    entity: bytes | None = None
    error: SignalbookError | None = None
    version: int | None = None


def failed_outcome(error: SignalbookError) -> MutationOutcome:
    """Give the outcome of a mutation that was not done."""
    return MutationOutcome(
        "conflict" if isinstance(error, VersionConflict) else "rejected", error=error
    )


class MutationApplier:
    """The mutations of one batch, some of which are ``known`` to have been done, by id.

    With ``relabel`` a new row whose label is taken gets the next free one.
    """

    def __init__(
        self,
        context: WriteContext,
        place: LockedProduction,
        known: Mapping[str, AppliedMutation],
        *,
        relabel: bool,
    ) -> None:
        self._context = RecordingContext(**vars(context))
        self._place, self._relabel = place, relabel
        self._known = known
        # The mutations of this batch that were done, with their place in it.
        self._here: dict[str, tuple[int, AppliedMutation]] = {}
        # The versions of each row that the client made. Those of a try that was undone stay, and
        # do no harm: under the lock nobody else can make a version with that number.
        self._own: defaultdict[UUID, set[int]] = defaultdict(set)
        self._meant = LabelAliases()
        for taken in known.values():
            if taken.version is not None:
                self._own[taken.entity].add(taken.version)

    async def do(self, step: MutationStep) -> MutationOutcome:
        """Do one mutation, or find that it was done.

        Gives what it is refused with where nothing was written, so that no savepoint has to be
        taken back for it, and raises it where something was.
        """
        self._meant.begin(step.number)
        try:
            outcome = await self._outcome(step)
        except Exception:
            if step.label:
                self._meant.got(step.number, step.entity, step.label, None)
            raise
        if step.label:
            label = await self._called(step, outcome)
            self._meant.got(step.number, step.entity, step.label, label)
        return outcome

    async def _called(self, step: MutationStep, outcome: MutationOutcome) -> str | None:
        """Give the label that the mutation's row has now, None where there is none."""
        if outcome.entity:
            row = from_json(outcome.entity)
            return None if row["isDeleted"] else row["id"]
        if step.op == "create":
            return None
        try:
            uuid, gone = await self._find(step)
        except SignalbookError:
            return None
        return None if gone else (await self._row(step.entity, uuid))["id"]

    async def _outcome(self, step: MutationStep) -> MutationOutcome:
        mutation = step.mutation_id or ""
        place, here = self._here.get(mutation, (step.number, None))
        if place >= step.number:  # a try of this one that was undone
            self._here.pop(mutation, None)
            here = None
        if step.fingerprint and (taken := here or self._known.get(mutation)):
            return await self._again(step, taken)
        if step.fault:
            return MutationOutcome("rejected", error=step.fault)
        ways = {"create": self._create, "update": self._update, "delete": self._delete}
        begun = len(self._context.bodies)
        try:
            outcome = await ways[step.op](step)
        except SignalbookError as error:
            if len(self._context.bodies) > begun or isinstance(error, Unavailable):
                raise
            return failed_outcome(error)
        if outcome.entity and outcome.status in {"applied", "merged"}:
            uuid, kind = UUID(from_json(outcome.entity)["uuid"]), step.entity.collection
            taken = AppliedMutation(step.fingerprint, kind, uuid, outcome.version)
            self._here[mutation] = (step.number, taken)
        return outcome

    async def _again(self, step: MutationStep, taken: AppliedMutation) -> MutationOutcome:
        if step.fingerprint != taken.fingerprint:
            words = "A mutation with this id was taken before, and said something else: make a new"
            return MutationOutcome(
                "rejected", error=MutationReused(f"{words} id for each thing done.")
            )
        entity = discovered().get(taken.collection)
        kept = await self._kept(entity, taken.entity) if entity else None
        return MutationOutcome("duplicate", kept and kept["body"])

    async def _create(self, step: MutationStep) -> MutationOutcome:
        entity, edit = step.entity, self._meant.edit(step.entity, step.edit, {})
        if edit.uuid and (kept := await self._kept(entity, edit.uuid)):
            return await self._made_before(entity, kept)
        wanted, begun = edit.values.get("id"), len(self._context.bodies)
        try:
            body = await create_in(self._context, entity, self._place, edit)
        except DuplicateId as taken:
            free = taken.members.get("suggestedId") if self._relabel else None
            if free is None:
                raise
            edit = replace(edit, values={**edit.values, "id": free})
            body = await create_in(self._context, entity, self._place, edit)
        row = self._learned(begun, body)
        status: Status = "applied" if wanted in {None, row["id"]} else "merged"
        return MutationOutcome(status, body, version=row["version"])

    async def _made_before(self, entity: type[Row], kept: Any) -> MutationOutcome:
        if kept["production"] != self._place.uuid:
            raise DuplicateUuid("That uuid is a row's of another production: make a new one.")
        if kept["deleted"]:
            raise await self._gone(entity, kept, Start())
        return MutationOutcome("duplicate", kept["body"])

    async def _update(self, step: MutationStep) -> MutationOutcome:
        entity, edit = step.entity, step.edit
        uuid, gone = await self._find(step)
        if gone:
            raise await self._gone(entity, gone, edit.start)
        if self._meant:
            row = await self._row(entity, uuid) if entity.device_references else {}
            edit = self._meant.edit(entity, edit, row)
        begun = len(self._context.bodies)
        if edit.production and await is_key_of(
            self._context.connection, self._place, edit.production
        ):
            edit = replace(edit, production=str(self._place.uuid))
        edit = replace(edit, start=await self._start(entity, uuid, edit.start))
        body = await update(self._context, entity, str(uuid), edit)
        row = self._learned(begun, body)
        view = self._view(entity, edit.start, row, uuid)
        others = not edit.is_blind and view.has_moved(self._own[uuid])
        wrote = len(self._context.bodies) > begun
        return MutationOutcome(
            "merged" if others else "applied", body, version=row["version"] if wrote else None
        )

    async def _delete(self, step: MutationStep) -> MutationOutcome:
        entity, edit = step.entity, step.edit
        uuid, gone = await self._find(step)
        if gone:
            return MutationOutcome("merged", gone["body"])
        if not edit.is_blind:
            await self._refuse_changed(entity, uuid, edit.start)
        begun = len(self._context.bodies)
        await delete(self._context, entity, str(uuid), edit.actor)
        body = self._context.bodies[-1]
        row = self._learned(begun, body)
        return MutationOutcome("applied", body, version=row["version"])

    async def _refuse_changed(self, entity: type[Row], uuid: UUID, start: Start) -> None:
        """Raise VersionConflict: who deletes a row must not throw away what others did to it."""
        view = self._view(entity, start, await self._row(entity, uuid), uuid)
        view = replace(view, start=await self._with_own(view))
        if view.start.is_ahead_of(view.row["version"]) or view.has_moved(self._own[uuid]):
            raise view.delete_conflict(await view.bases(self._context.connection, {}))

    async def _start(self, entity: type[Row], uuid: UUID, start: Start) -> Start:
        if not self._own.get(uuid) or start == Start():
            return start
        return await self._with_own(self._view(entity, start, await self._row(entity, uuid), uuid))

    def _view(
        self, entity: type[Row], start: Start, row: Mapping[str, Any], uuid: UUID
    ) -> ClientView:
        return ClientView(entity, start, row, (self._place.uuid, uuid))

    async def _with_own(self, view: ClientView) -> Start:
        """Return what the client started from, with what this batch wrote counted as seen."""
        own, logged = self._own.get(view.place[1], set()), {}
        if own and view.has_moved(own):
            since = view.start.version or 0
            logged = await log.changed_members(self._context.connection, *view.place, since)
        return view.with_own(own, logged)

    async def _row(self, entity: type[Row], uuid: UUID) -> dict[str, Any]:
        found = await self._context.connection.fetchrow(write_statements(entity).live, uuid)
        row: dict[str, Any] = from_json(found["body"])
        return row

    def _learned(self, begun: int, body: bytes) -> dict[str, Any]:
        """Note the versions that were made since ``begun``; give the row that ``body`` holds."""
        for written in self._context.bodies[begun:]:
            row = from_json(written)
            self._own[UUID(row["uuid"])].add(row["version"])
        shown: dict[str, Any] = from_json(body)
        return shown

    async def _kept(self, entity: type[Row], uuid: UUID) -> Any:
        """Read a row, deleted or not, whatever its production."""
        return await self._context.connection.fetchrow(write_statements(entity).with_deleted, uuid)

    async def _find(self, step: MutationStep) -> tuple[UUID, Any]:
        """Give the uuid of the row that is meant; and the row, if it was deleted.

        Raises NotFound, AmbiguousId and WrongProduction.
        """
        entity, key, place = step.entity, step.key, self._place
        if entity is root():
            if not await is_key_of(self._context.connection, place, key):
                raise WrongProduction(f"This is the sync of {place.label!r}: sync {key!r} alone.")
            return place.uuid, None
        meant = self._meant.label(entity, key)
        try:
            return await find_in(self._context.connection, place, entity, meant), None
        except NotFound:
            kept = await self._kept(entity, uuid) if (uuid := known_uuid(meant)) else None
            if kept is None or kept["production"] != place.uuid:
                raise
            return UUID(meant), kept

    async def _gone(self, entity: type[Row], kept: Any, start: Start) -> VersionConflict:
        """Give the conflict with a deletion: the row as it was last, and how to have it back."""
        row = from_json(kept["body"])
        who = await self._context.connection.fetchval(
            LAST_WRITER, self._place.uuid, UUID(row["uuid"])
        )
        return VersionConflict(
            f"This {entity.noun} was deleted by {who or 'somebody'}: restore it and send this "
            "again, or drop it.",
            error=entity.conflict_error,
            reason="deleted",
            currentVersion=row["version"],
            clientVersion=start.version,
            serverData=row,
            conflicts=[],
            restore=f"/api/{entity.collection}/{row['uuid']}/restore",
        )
