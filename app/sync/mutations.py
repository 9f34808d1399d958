"""Reads a batch of offline work, each mutation for itself.

The batch's own members must be valid. A mutation that is not valid is rejected alone, with its
error, and the others are applied.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Annotated, Any, Final, Literal, cast

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, WrapValidator

from app.background import unhurried
from app.changelog.log import Actor
from app.entities import discovered, root
from app.errors import BrokenJson, Invalid, SignalbookError, VersionConflict
from app.model.entity import Row
from app.model.fields import NO_NUL, MaybeLine, MaybeUuid
from app.model.schemas import (
    FieldVersion,
    Key,
    RequestModel,
    Version,
    unknown_members,
    update_schema,
)
from app.rules.json_bounds import MOST_VALUES_OF_ONE, refuse_beyond_bounds
from app.rules.json_items import Unreadable
from app.store.edit import Edit, creation_from, edit_from, validate
from app.store.many_writes import Outcome

MAX_MUTATIONS: Final = 1_000
"""How many mutations one batch may hold."""
Status = Literal["applied", "merged", "conflict", "duplicate", "rejected", "undone"]
MutationOutcome = Outcome[Status]
"""The result of one mutation, with the version that it made of its row."""
_Word = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=NO_NUL)]
_BASES: Final = {"version", "field_versions"}
# A delete may repeat its whole row as data; only these members count.
_DELETE_MEMBERS: Final = {
    "version", "fieldVersions", "field_versions", "userId", "user_id", "userName", "user_name",
    "lastModifiedBy", "last_modified_by",
}  # fmt: skip


def entities_by_name() -> Mapping[str, type[Row]]:
    """Return the entity types by every name that a mutation's ``collection`` may have."""
    return {
        name: entity
        for entity in discovered().values()
        for name in (entity.collection, *entity.path_aliases)
    }


def _require_collection(name: str) -> str:
    if name not in entities_by_name():
        raise ValueError(f"no such collection: there are {', '.join(entities_by_name())}")
    return name


class _Identified(RequestModel):
    mutation_id: _Word = Field(alias="mutationId")
    """Names the mutation for as long as the log is kept: sent again, it is not done again."""


class Mutation(_Identified):
    """One thing done offline. ``data`` is what POST or PATCH of a single row takes.

    ``uuid`` or ``key`` name the row, for a create ``uuid`` alone. ``version`` or
    ``fieldVersions``, here or in ``data``, are what the server last told of the row.
    """

    op: Literal["create", "update", "delete"]
    """What was done."""
    collection: Annotated[
        str,
        AfterValidator(_require_collection),
        WithJsonSchema({"type": "string", "enum": [*entities_by_name()]}),
    ]
    """The collection of the row, as in the paths."""
    uuid: MaybeUuid = None
    """The uuid of the row; of a new one the uuid that the client made."""
    key: Key | None = None
    """The uuid or the label of the row, where `uuid` is left out."""
    data: dict[str, Any] | None = None
    """What POST or PATCH of a single row takes."""
    version: Version | None = None
    """The version of the row that the server last told the client."""
    field_versions: dict[str, FieldVersion | Version] | None = Field(None, alias="fieldVersions")
    """The versions of its fields that the server last told the client."""


@dataclass(frozen=True)
class MutationStep:
    """A mutation that has been read: an edit, or the error that it is rejected with.

    ``fingerprint`` distinguishes it from another mutation under the same id. ``collection`` is the
    name that the client uses. ``key`` names the row. ``label`` is the one that the row asks for.
    """

    number: int = 0
    mutation_id: str | None = None
    op: str = ""
    collection: str = ""
    key: str = ""
    fingerprint: str = ""
    edit: Edit = Edit({})  # noqa: RUF009  # it is frozen
    error: SignalbookError | None = None
    ignored: Sequence[str] = ()
    label: str | None = None

    @property
    def entity(self) -> type[Row]:
        """The type of its row, if it names one."""
        return entities_by_name()[self.collection]


def failed_outcome(error: SignalbookError) -> MutationOutcome:
    """Return the outcome of a mutation that was not applied."""
    status: Status = "conflict" if isinstance(error, VersionConflict) else "rejected"
    return MutationOutcome(status, error=error)


def _read_leniently(value: Any, _: object) -> Mutation | MutationStep:
    """Return the mutation, or else a step with the error and with what can be read all the same."""
    try:
        if isinstance(value, Unreadable):
            raise BrokenJson(f"This mutation is not JSON: {value.reason}.")
        refuse_beyond_bounds(value, most=MOST_VALUES_OF_ONE)
        return validate(Mutation, value)
    except SignalbookError as error:
        value = value.members if isinstance(value, Unreadable) else value
        step = MutationStep(mutation_id=_mutation_id(value), error=error)
        creates = isinstance(value, dict) and value.get("op") == "create"
        # The collection may be a value that cannot be hashed, so this is a list.
        if creates and value.get("collection") in [*entities_by_name()]:
            label = _label(value.get("data"))
            return replace(step, op="create", collection=value["collection"], label=label)
        return step


def _mutation_id(value: Any) -> str | None:
    try:
        return validate(_Identified, value).mutation_id
    except Invalid:
        return None


def _label(data: Any) -> str | None:
    label = data.get("id") if isinstance(data, dict) else None
    return label if isinstance(label, str) else None


class Sync(RequestModel):
    """Offline work in the order it was done, and the number up to which the client knows the show.

    Who did it counts for every mutation whose data does not say so itself.
    """

    mutations: list[Annotated[Mutation, WrapValidator(_read_leniently)]] = Field(
        max_length=MAX_MUTATIONS
    )
    """What was done, in this order. None at all only asks for changes."""
    since: Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)] | None = None
    """The number of the last change that the client knows. Without it no changes are returned."""
    limit: Annotated[int, Field(strict=True, ge=1, le=1_000)] = 500
    """The most changes to return."""
    client_id: _Word | None = Field(None, alias="clientId")
    """Which client it is. Names of mutations count within it."""
    atomic: Annotated[bool, Field(strict=True)] = False
    """Whether nothing is done where one mutation cannot be."""
    dry_run: Annotated[bool, Field(strict=True)] = Field(default=False, alias="dryRun")
    """Whether only to say what would happen."""
    relabel: Annotated[bool, Field(strict=True)] = False
    """Whether a new row whose label is taken gets the next free one."""
    user_id: MaybeLine = Field(None, alias="userId")
    """Who does it, by the id that the client has for people."""
    user_name: MaybeLine = Field(None, alias="userName")
    """Who does it, by name. Others are shown it."""
    last_modified_by: MaybeLine = Field(None, alias="lastModifiedBy")
    """The same person once more, where an older client sends it so."""


async def read_steps(production: str, sync: Sync, actor: Actor) -> list[MutationStep]:
    """Read every mutation; ``actor`` is the author of those that name none."""
    mutations = cast("Sequence[Mutation | MutationStep]", sync.mutations)
    return [
        _step(number, production, each, actor)
        async for number, each in unhurried(enumerate(mutations))
    ]


def _step(
    number: int, production: str, mutation: Mutation | MutationStep, actor: Actor
) -> MutationStep:
    if isinstance(mutation, MutationStep):
        return replace(mutation, number=number)
    step = MutationStep(
        number, mutation.mutation_id, mutation.op, mutation.collection,
        str(mutation.uuid or mutation.key or ""), _fingerprint(mutation),
        ignored=unknown_members(mutation),
        label=_label(mutation.data) if mutation.op != "delete" else None,
    )  # fmt: skip
    try:
        _require_members(mutation)
        edit, ignored = _edit(production, mutation, actor)
    except SignalbookError as error:
        return replace(step, error=error)
    key = str(edit.uuid or "") if mutation.op == "create" else step.key
    return replace(step, key=key, edit=edit, ignored=[*step.ignored, *ignored])


def _fingerprint(mutation: Mutation) -> str:
    """Hash the operation without its base versions: a retry may carry newer ones."""
    left_out = {"mutation_id", *_BASES, *unknown_members(mutation)}
    content = mutation.model_dump(mode="json", exclude=left_out)
    members = content["data"] or {}
    content["data"] = {k: v for k, v in members.items() if k not in {*_BASES, "fieldVersions"}}
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _require_members(mutation: Mutation) -> None:
    """Raise Invalid if a member is missing that the operation needs."""
    if entities_by_name()[mutation.collection] is root() and mutation.op != "update":
        raise Invalid.at("op", f"a sync only updates its {root().noun.lower()}")
    if mutation.data is None and mutation.op != "delete":
        raise Invalid.at("data", "say what the row is to hold")
    if not (mutation.uuid or mutation.key) and mutation.op != "create":
        raise Invalid.at("uuid", "name the row by uuid or key")


def _edit(production: str, mutation: Mutation, actor: Actor) -> tuple[Edit, list[str]]:
    entity, members = entities_by_name()[mutation.collection], dict(mutation.data or {})
    if mutation.op == "create":
        edit, ignored = creation_from(entity, production, members, actor)
        if mutation.uuid and edit.uuid not in {None, mutation.uuid}:
            raise Invalid.at("uuid", "is another than the one in data")
        return replace(edit, uuid=mutation.uuid or edit.uuid), ignored
    if mutation.op == "delete":
        members = {name: members[name] for name in _DELETE_MEMBERS & members.keys()}
    # The versions that stand beside the data count as if they stood in it.
    members |= mutation.model_dump(include=_BASES, by_alias=True, exclude_none=True)
    return edit_from(entity, update_schema(entity), members, actor)
