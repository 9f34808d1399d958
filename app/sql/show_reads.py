"""The SQL that reads a whole show: all its lists in one statement, and the labels that clash."""

from functools import cache
from typing import Final

from pydantic.alias_generators import to_camel

from app.entities import discovered, root
from app.model.entity import Entity, Row
from app.sql.projection import live, projection, table
from app.sql.reads import LABELLED, TAG, TAG_BY_LABEL, aggregate
from app.sql.registry import SHOW, statement


@cache
def members() -> dict[str, type[Row]]:
    """Return the types by the name that they have in a show, the production first."""
    kinds = [kind for kind in discovered().values() if issubclass(kind, Entity)]
    return {root().entity_type: root()} | {
        to_camel(kind.collection.replace("-", "_")): kind for kind in kinds
    }


def _show(production: str, tag: str) -> str:
    columns = [_column(name, kind, production) for name, kind in members().items()]
    # The show's own row is read once, and not joined to each list anew.
    return (
        f"SELECT {', '.join(columns)}, {tag} FROM (VALUES (1)) AS one LEFT JOIN productions "
        f"ON productions.uuid = {production} AND NOT productions.is_deleted"
    )


def _column(name: str, kind: type[Row], production: str) -> str:
    rows = f"({_rows(kind, production)})"
    if issubclass(kind, Entity):
        rows = f"CASE WHEN $2::text[] IS NULL OR '{name}' = ANY ($2) THEN {rows} END"
    return f'{rows} AS "{name}"'


def _rows(kind: type[Row], production: str) -> str:
    if issubclass(kind, Entity):
        own = table(kind)
        scope = f"{own}.production_uuid = productions.uuid AND NOT {own}.is_deleted"
        return aggregate(kind, scope, within_show=True)
    condition = f"productions.uuid = {production} AND {live(kind)}"
    return f"SELECT row_to_json(entity) FROM ({projection(kind, condition)}) AS entity"


SHOW_BY_UUID: Final = statement(_show("$1::uuid", TAG), SHOW)
"""The whole show of the production with uuid $1, in one snapshot: a column for each collection that
$2 names (NULL all), with the bytes of its list, NULL for the others, which cost nothing; the
``production``, NULL where there is none; and the ``tag`` of the lists."""
SHOW_BY_LABEL: Final = statement(_show(LABELLED, TAG_BY_LABEL), SHOW)
"""The same for the production labelled $1; several such are a cardinality error."""
SHOW_TAG_BY_UUID: Final = statement(f"SELECT {TAG}", SHOW)
"""The tag alone, of the production with uuid $1."""
SHOW_TAG_BY_LABEL: Final = statement(f"SELECT {TAG_BY_LABEL}", SHOW)
"""The tag alone, of the production labelled $1."""


def _clashes(entity: type[Row]) -> str:
    name = table(entity)
    return (
        f"SELECT '{entity.collection}' AS collection, min(id) AS id, json_agg(json_build_object("
        f"'uuid', uuid, 'id', id) ORDER BY created_at, uuid) AS rows FROM {name} "
        "WHERE production_uuid = $1 AND NOT is_deleted GROUP BY lower(id) HAVING count(*) > 1"
    )


_SCOPED: Final = [kind for kind in discovered().values() if issubclass(kind, Entity)]
LABEL_CLASHES: Final = statement(
    "SELECT coalesce(json_agg(clash ORDER BY collection, id), '[]') AS clashes "
    f"FROM ({' UNION ALL '.join(map(_clashes, _SCOPED))}) AS clash",
    SHOW,
)
"""The labels that several live rows of production $1 have, each with its rows, as JSON."""
