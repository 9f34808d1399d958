"""What a batch of offline work says: read mutation by mutation, so that a broken one spoils none.

The batch's own members must be valid. A mutation that is not is rejected alone, with what is wrong
with it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Annotated, Any, Final, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    WrapValidator,
)

from app.changelog.log import Actor
from app.entities import discovered, root
from app.errors import Invalid, SignalbookError
from app.model.entity import Row
from app.model.fields import NO_NUL, MaybeLine, MaybeUuid
from app.model.schemas import FieldVersion, Key, Version, unknown_members, update_shape
from app.store.edit import Edit, creation_from, edit_from, validate

MAX_MUTATIONS: Final = 1_000
"""How many mutations one batch may hold."""
SPELLINGS: Final = ConfigDict(extra="allow", validate_by_name=True, validate_by_alias=True)
_Word = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=NO_NUL)]
# Of a delete's data only this counts, whatever else of the row it repeats.
_SAID_OF_A_DELETE: Final = {
    "version", "fieldVersions", "field_versions", "userId", "user_id", "userName", "user_name",
    "lastModifiedBy", "last_modified_by",
}  # fmt: skip


def entities_by_name() -> Mapping[str, type[Row]]:
    """Give the entity types by every collection and mount that a mutation may name."""
    return {
        mount: entity
        for entity in discovered().values()
        for mount in (entity.collection, *entity.path_aliases)
    }


def _known(collection: str) -> str:
    if collection not in entities_by_name():
        raise ValueError(f"no such collection: there are {', '.join(entities_by_name())}")
    return collection


class Mutation(BaseModel):
    """One thing done offline. ``data`` is what POST or PATCH of a single row takes.

    ``uuid`` or ``key`` name the row, for a create ``uuid`` alone. ``version`` or
    ``fieldVersions``, here or in ``data``, are what the server last told of the row.
    """

    model_config = SPELLINGS

    mutation_id: _Word = Field(alias="mutationId")
    op: Literal["create", "update", "delete"]
    collection: Annotated[
        str,
        AfterValidator(_known),
        WithJsonSchema({"type": "string", "enum": [*entities_by_name()]}),
    ]
    uuid: MaybeUuid = None
    key: Key | None = None
    data: dict[str, Any] | None = None
    version: Version | None = None
    field_versions: dict[str, FieldVersion | Version] | None = Field(None, alias="fieldVersions")


@dataclass(frozen=True)
class UnreadableMutation:
    """What is no mutation, with its id where that at least is one, and the row it would make."""

    mutation_id: str | None
    fault: Invalid
    mount: str = ""
    label: str | None = None


def _leniently(said: Any, _: object) -> Mutation | UnreadableMutation:
    try:
        return cast("Mutation", validate(Mutation, said))
    except Invalid as fault:
        try:
            named = validate(_Named, said)
        except Invalid:
            return UnreadableMutation(None, fault, *_would_make(said))
        return UnreadableMutation(cast("_Named", named).mutation_id, fault, *_would_make(said))


def _would_make(said: Any) -> tuple[str, str | None]:
    """Give the collection and the label of the row that something like a create asks for."""
    mount = said.get("collection") if isinstance(said, dict) and said.get("op") == "create" else 0
    return (mount, _label(said.get("data"))) if mount in [*entities_by_name()] else ("", None)


def _label(data: Any) -> str | None:
    label = data.get("id") if isinstance(data, dict) else None
    return label if isinstance(label, str) else None


class _Named(BaseModel):
    model_config = SPELLINGS

    mutation_id: _Word = Field(alias="mutationId")


class Sync(BaseModel):
    """Offline work in the order it was done, and the number up to which the client knows the show.

    Who did it counts for every mutation whose data does not say so itself.
    """

    model_config = SPELLINGS

    mutations: list[Annotated[Mutation, WrapValidator(_leniently)]] = Field(
        max_length=MAX_MUTATIONS
    )
    since: Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)] | None = None
    limit: Annotated[int, Field(strict=True, ge=1, le=1_000)] = 500
    client_id: _Word | None = Field(None, alias="clientId")
    atomic: Annotated[bool, Field(strict=True)] = False
    dry_run: Annotated[bool, Field(strict=True)] = Field(default=False, alias="dryRun")
    relabel: Annotated[bool, Field(strict=True)] = False
    user_id: MaybeLine = Field(None, alias="userId")
    user_name: MaybeLine = Field(None, alias="userName")
    last_modified_by: MaybeLine = Field(None, alias="lastModifiedBy")


@dataclass(frozen=True)
class MutationStep:
    """A mutation that has been read: an edit, or what is wrong with it.

    ``fingerprint`` tells it from another one under the same id; ``key`` names its row, and
    ``label`` is what the row is to be called, where it says so.
    """

    number: int
    mutation_id: str | None = None
    op: str = ""
    mount: str = ""
    key: str = ""
    fingerprint: str = ""
    edit: Edit = Edit({})  # noqa: RUF009  # it is frozen
    fault: SignalbookError | None = None
    ignored: Sequence[str] = ()
    label: str | None = None

    @property
    def entity(self) -> type[Row]:
        """The type of its row, where it names one."""
        return entities_by_name()[self.mount]


def read_steps(production: str, sync: Sync, actor: Actor) -> list[MutationStep]:
    """Read every mutation; ``actor`` did those that name nobody."""
    said = cast("Sequence[Mutation | UnreadableMutation]", sync.mutations)
    return [_step(number, production, one, actor) for number, one in enumerate(said)]


def _step(
    number: int, production: str, said: Mutation | UnreadableMutation, actor: Actor
) -> MutationStep:
    if isinstance(said, UnreadableMutation):
        op = "create" if said.mount else ""
        return MutationStep(
            number, said.mutation_id, op, said.mount, fault=said.fault, label=said.label
        )  # fmt: skip
    step = MutationStep(
        number, said.mutation_id, said.op, said.collection, str(said.uuid or said.key or ""),
        _fingerprint(said), ignored=unknown_members(said),
        label=_label(said.data) if said.op != "delete" else None,
    )  # fmt: skip
    try:
        _refuse_form(said)
        edit, ignored = _edit(production, said, actor)
    except SignalbookError as fault:
        return replace(step, fault=fault)
    key = str(edit.uuid or "") if said.op == "create" else step.key
    return replace(step, key=key, edit=edit, ignored=[*step.ignored, *ignored])


def _fingerprint(said: Mutation) -> str:
    """Tell what is to be done from anything else; from what it starts, a client may learn anew."""
    bases = {"version", "field_versions"}
    content = said.model_dump(mode="json", exclude={"mutation_id", *bases, *unknown_members(said)})
    members = content["data"] or {}
    content["data"] = {k: v for k, v in members.items() if k not in {*bases, "fieldVersions"}}
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _refuse_form(said: Mutation) -> None:
    """Raise Invalid for what lacks a member that its operation needs."""
    if entities_by_name()[said.collection] is root() and said.op != "update":
        raise Invalid.at("op", f"a sync only updates its {root().noun.lower()}")
    if said.data is None and said.op != "delete":
        raise Invalid.at("data", "say what the row is to hold")
    if not (said.uuid or said.key) and said.op != "create":
        raise Invalid.at("uuid", "name the row by uuid or key")


def _edit(production: str, said: Mutation, actor: Actor) -> tuple[Edit, list[str]]:
    entity, members = entities_by_name()[said.collection], dict(said.data or {})
    if said.op == "create":
        edit, ignored = creation_from(entity, production, members, actor)
        if said.uuid and edit.uuid not in {None, said.uuid}:
            raise Invalid.at("uuid", "is another than the one in data")
        return replace(edit, uuid=said.uuid or edit.uuid), ignored
    if said.op == "delete":
        members = {name: members[name] for name in _SAID_OF_A_DELETE & members.keys()}
    return edit_from(entity, update_shape(entity), {**members, **dict(_start(said))}, actor)


def _start(said: Mutation) -> Iterator[tuple[str, Any]]:
    """Give what stands beside the data of what the client started from, as the data has it."""
    if said.version is not None:
        yield "version", said.version
    if said.field_versions is not None:
        yield (
            "fieldVersions",
            {
                name: seen if isinstance(seen, int) else seen.version
                for name, seen in said.field_versions.items()
            },
        )
