"""What labels mean in a batch of offline work when a row did not get the label it asked for.

To the client a label means what it meant offline. A row of the batch may have another label on the
server, or may have been rejected. Then the label must not be taken for the row that holds it there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from app.errors import Invalid, NotFound
from app.model.entity import Row, label_field
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
        for member, collection in _label_members(entity, values, row):
            label = values.get(member)
            actual = self._aliases.get((collection, label), label) if label else label
            if label and actual is None:
                raise Invalid.at(entity.wire(member), f"{label!r} {_REJECTED}: send a uuid")
            values[member] = actual
        return replace(edit, values=values)


def _label_members(
    entity: type[Row], values: Mapping[str, Any], row: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Yield the members of the values that hold a label, each with the label's collection."""
    for name, reference in entity.references().items():
        if label_field(name) in values:
            yield label_field(name), reference.collection
    for device in entity.device_references:
        # The label of a type that is not stored is free text of the client.
        kind = device_type(values.get(device.kind, row.get(entity.wire(device.kind))) or "")
        if kind and device.label in values:
            yield device.label, kind.collection
