"""What labels mean in a batch of offline work, where a new row may not get the label it asks for.

To the client a label means what it meant offline. A row of the batch that got another label, or
was refused, must not be mistaken for the one that holds the label on the server.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from app.entities import discovered
from app.entity import Row
from app.errors import Invalid, NotFound
from app.references import kept_type
from app.shapes import label_field
from app.store import Edit


class Meant:
    """The labels that new rows asked for and did not get."""

    def __init__(self) -> None:
        self._meant: dict[tuple[str, str], str | None] = {}

    def got(self, entity: type[Row], wanted: str, label: str | None) -> None:
        """Note the label that a row got in place of the wanted one, None where it was refused."""
        self._meant[entity.collection, wanted] = label

    def label(self, entity: type[Row], key: str) -> str:
        """Give the key under which the row is that the client means. Raises NotFound."""
        meant = self._meant.get((entity.collection, key), key)
        if meant is None:
            words = f"{key!r} was to be a new row of this batch, which was refused"
            raise NotFound(f"{words}: use the uuid of the row that you mean.")
        return meant

    def edit(self, entity: type[Row], edit: Edit) -> Edit:
        """Give the edit with the labels in it replaced by those that the rows got.

        Raises Invalid for the label of one that was refused.
        """
        values = dict(edit.values)
        for member, kinds in _labels(entity, values):
            label = values.get(member)
            meant = {self._meant[k, label] for k in kinds if label and (k, label) in self._meant}
            if None in meant:
                words = f"{label!r} was to be a new row of this batch, which was refused"
                raise Invalid.at(entity.wire(member), f"{words}: send a uuid")
            values[member] = next(iter(meant), label)
        return replace(edit, values=values)


def _labels(entity: type[Row], values: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Give the members that hold a label here, each with the collections it may be from."""
    for name, reference in entity.references().items():
        if label_field(name) in values:
            yield label_field(name), [reference.collection]
    for end in entity.ends:
        if end.label in values:
            kind = kept_type(values.get(end.kind) or "")
            yield end.label, [kind.collection] if kind else [*discovered()]
