"""The statement that reads a whole show: its production and every collection, in one snapshot.

Its one row has a column for each collection, with the same bytes as the list. Those that $2 does
not name are NULL and cost nothing. ``production`` is NULL where there is none; ``tag`` is that of
the lists.
"""

from functools import cache
from typing import Final

from pydantic.alias_generators import to_camel

from app.entities import discovered, root
from app.model.entity import Entity, Row
from app.sql.projection import live, projection
from app.sql.reads import LABELLED, TAG, TAG_BY_LABEL, aggregate
from app.sql.registry import SHOW, statement


@cache
def members() -> dict[str, type[Row]]:
    """Return the types by the name that they have in a show, the production first."""
    kinds = [kind for kind in discovered().values() if issubclass(kind, Entity)]
    return {root().entity_type: root()} | {_name(kind): kind for kind in kinds}


def _name(kind: type[Row]) -> str:
    return to_camel(kind.collection.replace("-", "_"))


def _sql(production: str, tag: str) -> str:
    columns = [_column(name, kind, production) for name, kind in members().items()]
    return f"SELECT {', '.join(columns)}, {tag}"


def _column(name: str, kind: type[Row], production: str) -> str:
    rows = f"({_rows(kind, production)})"
    if issubclass(kind, Entity):
        rows = f"CASE WHEN $2::text[] IS NULL OR '{name}' = ANY ($2) THEN {rows} END"
    return f'{rows} AS "{name}"'


def _rows(kind: type[Row], production: str) -> str:
    condition = f"productions.uuid = {production} AND {live(kind)}"
    if issubclass(kind, Entity):
        return aggregate(kind, condition)
    return f"SELECT row_to_json(entity) FROM ({projection(kind, condition)}) AS entity"


SHOW_BY_UUID: Final = statement(_sql("$1::uuid", TAG), SHOW)
"""The show of the production with uuid $1; $2 names the collections, NULL all."""
SHOW_BY_LABEL: Final = statement(_sql(LABELLED, TAG_BY_LABEL), SHOW)
"""The same for the production labelled $1; several such are a cardinality error."""
SHOW_TAG_BY_UUID: Final = statement(f"SELECT {TAG}", SHOW)
"""The tag alone, of the production with uuid $1."""
SHOW_TAG_BY_LABEL: Final = statement(f"SELECT {TAG_BY_LABEL}", SHOW)
"""The tag alone, of the production labelled $1."""
