"""What labels mean in a batch of offline work, where a row may not get the label it asks for.

To the client a label means what it meant offline. A row of the batch that is called otherwise on
the server, or was refused, must not be mistaken for the one that holds the label there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from app.errors import Invalid, NotFound
from app.model.entity import Row, label_field
from app.store.edit import Edit
from app.store.references import device_type


class LabelAliases:
    """The labels that rows of a batch asked for, and those that these rows have."""

    def __init__(self) -> None:
        # By the number of the mutation, which may be undone and done again.
        self._told: list[tuple[int, tuple[str, str], str | None]] = []
        self._meant: dict[tuple[str, str], str | None] = {}

    def __bool__(self) -> bool:
        """Tell whether a label may mean something else than it does on the server."""
        return bool(self._meant)

    def begin(self, number: int) -> None:
        """Forget what was told of this mutation and of later ones: they are done anew."""
        if self._told and self._told[-1][0] >= number:
            self._told = [told for told in self._told if told[0] < number]
            self._meant = {wanted: label for _, wanted, label in self._told}

    def got(self, number: int, entity: type[Row], wanted: str, label: str | None) -> None:
        """Note the label of a row that asked for the wanted one, None where it was refused."""
        self._told.append((number, (entity.collection, wanted), label))
        self._meant[entity.collection, wanted] = label

    def label(self, entity: type[Row], key: str) -> str:
        """Give the key under which the row is that the client means. Raises NotFound."""
        meant = self._meant.get((entity.collection, key), key)
        if meant is None:
            raise NotFound(f"{key!r} {_REFUSED}: use the uuid of the row that you mean.")
        return meant

    def edit(self, entity: type[Row], edit: Edit, row: Mapping[str, Any]) -> Edit:
        """Give the edit of a stored row with the labels in it replaced by those that rows have.

        ``row`` is as the wire has it, empty for a new one. Raises Invalid for the label of a row
        that was refused.
        """
        values = dict(edit.values)
        for member, collection in _labels(entity, values, row):
            label = values.get(member)
            meant = self._meant.get((collection, label), label) if label else label
            if label and meant is None:
                raise Invalid.at(entity.wire(member), f"{label!r} {_REFUSED}: send a uuid")
            values[member] = meant
        return replace(edit, values=values)


_REFUSED: Final = "is what this batch calls a row that was refused or is gone"


def _labels(
    entity: type[Row], values: Mapping[str, Any], row: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Give the members that hold a label here, each with the collection that it is from."""
    for name, reference in entity.references().items():
        if label_field(name) in values:
            yield label_field(name), reference.collection
    for end in entity.device_references:
        # Of a type that is not kept it is the client's own text.
        kind = device_type(values.get(end.kind, row.get(entity.wire(end.kind))) or "")
        if kind and end.label in values:
            yield end.label, kind.collection
