"""What labels mean in a batch of offline work when a row did not get the label it asked for.

To the client a label means what it meant offline. A row of the batch may have another label on the
server, or may have been rejected. Then the label must not be taken for the row that holds it there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from app.entities import device_types, discovered
from app.errors import Invalid, NotFound
from app.model.entity import PartReference, Row, label_field
from app.store import parts
from app.store.edit import Edit
from app.store.references import device_type

_REJECTED: Final = "is what this batch calls a row that was refused or is gone"


class LabelAliases:
    """The label of the row that asked for one, by collection and label; None if there is no row."""

    def __init__(self) -> None:
        # In order, with the number of the mutation, which may be rolled back and applied again.
        self._log: list[tuple[int, tuple[str, str], str | None]] = []
        self._aliases: dict[tuple[str, str], str | None] = {}

    def __bool__(self) -> bool:
        """Return whether any label may mean something else than it does on the server."""
        return bool(self._aliases)

    def rewind(self, number: int) -> None:
        """Forget the aliases of this mutation and of later ones: they are applied again."""
        if self._log and self._log[-1][0] >= number:
            self._log = [line for line in self._log if line[0] < number]
            self._aliases = {requested: label for _, requested, label in self._log}

    def record(self, number: int, entity: type[Row], requested: str, label: str | None) -> None:
        """Remember the label of a row that asked for ``requested``, None if it was rejected."""
        self._log.append((number, (entity.collection, requested), label))
        self._aliases[entity.collection, requested] = label

    def key(self, entity: type[Row], key: str) -> str:
        """Return the key that names the client's row on the server. Raises NotFound."""
        actual = self._aliases.get((entity.collection, key), key)
        if actual is None:
            raise NotFound(f"{key!r} {_REJECTED}: use the uuid of the row that you mean.")
        return actual

    def edit(self, entity: type[Row], edit: Edit, row: Mapping[str, Any]) -> Edit:
        """Return the edit with the labels that the rows have. Raises Invalid for a rejected row's.

        ``row`` is the stored row in its wire format, empty for a new one.
        """
        values = dict(edit.values)
        for member, collections in _label_members(entity, values, row):
            label = values.get(member)
            keys = [key for c in collections if (key := (c, label)) in self._aliases]
            if label and keys:
                values[member] = self._actual(entity, member, keys[0])
        for field, part in entity.part_references.items():
            self._follow_part(entity, label_field(field), part, values)
        return replace(edit, values=values)

    def _actual(self, entity: type[Row], member: str, key: tuple[str, str]) -> str:
        actual = self._aliases[key]
        if actual is None:
            raise Invalid.at(entity.wire(member), f"{key[1]!r} {_REJECTED}: send a uuid")
        return actual

    def _follow_part(
        self, entity: type[Row], member: str, part: PartReference, values: dict[str, Any]
    ) -> None:
        """Let the id that an alias gave a part ("SRC 8-OUT1") follow the row's actual label."""
        collection = entity.references()[part.reference].collection
        kind = discovered()[collection]
        for owner, requested in self._aliases:
            element = {part.parts: [{"id": values.get(member)}]}
            if owner == collection and element != parts.relabelled(kind, element, requested, ""):
                actual = self._actual(entity, member, (owner, requested))
                (new,) = parts.relabelled(kind, element, requested, actual)[part.parts]
                values[member] = new["id"]
                return


def _label_members(
    entity: type[Row], values: Mapping[str, Any], row: Mapping[str, Any]
) -> Iterator[tuple[str, list[str]]]:
    """Yield the members of the values that hold a label, each with the label's collections."""
    for name, reference in entity.references().items():
        if label_field(name) in values:
            yield label_field(name), [reference.collection]
    for device in entity.device_references:
        # The label of a type that is not stored is free text of the client.
        word = values.get(device.kind, row.get(entity.wire(device.kind))) or ""
        kinds = [device_type(word)] if word else device_types()
        if device.label in values:
            yield device.label, [kind.collection for kind in kinds if kind]
