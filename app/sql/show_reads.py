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


def _show(production: str, tag: str, *, common: bool = False) -> str:
    """Return the SELECT of a show; with ``common`` of what no rare type has, and if there is more.

    The show's own row is read once, and not joined to each list anew.
    """
    kinds = {name: kind for name, kind in members().items() if not (common and kind.is_rare)}
    columns = [_column(name, kind, production, chosen=not common) for name, kind in kinds.items()]
    more = f"{_ANY_RARE} AS more, " if common else ""
    return (
        f"SELECT {', '.join(columns)}, {more}{tag} FROM (VALUES (1)) AS one LEFT JOIN productions "
        f"ON productions.uuid = {production} AND NOT productions.is_deleted"
    )


def _column(name: str, kind: type[Row], production: str, *, chosen: bool) -> str:
    rows = f"({_rows(kind, production)})"
    if chosen and issubclass(kind, Entity):
        rows = f"CASE WHEN $2::text[] IS NULL OR '{name}' = ANY ($2) THEN {rows} END"
    return f'{rows} AS "{name}"'


def _rows(kind: type[Row], production: str) -> str:
    if issubclass(kind, Entity):
        return aggregate(kind, _within_show(kind), within_show=True)
    condition = f"productions.uuid = {production} AND {live(kind)}"
    return f"SELECT row_to_json(entity) FROM ({projection(kind, condition)}) AS entity"


def _within_show(kind: type[Row]) -> str:
    own = table(kind)
    return f"{own}.production_uuid = productions.uuid AND NOT {own}.is_deleted"


_RARE: Final = " UNION ALL ".join(
    f"SELECT FROM {table(kind)} WHERE {_within_show(kind)}"
    for kind in members().values()
    if kind.is_rare
)
_ANY_RARE: Final = f"EXISTS ({_RARE})"
SHOW_BY_UUID: Final = statement(_show("$1::uuid", TAG), SHOW)
"""The whole show of the production with uuid $1, in one snapshot: a column for each collection that
$2 names (NULL all), with the bytes of its list, NULL for the others, which cost nothing; the
``production``, NULL where there is none; and the ``tag`` of the lists."""
SHOW_BY_LABEL: Final = statement(_show(LABELLED, TAG_BY_LABEL), SHOW)
"""The same for the production labelled $1; several such are a cardinality error."""
COMMON_BY_UUID: Final = statement(_show("$1::uuid", TAG, common=True), SHOW)
"""The same of all collections but those of rare types, and whether there is ``more``: a row of one.
PostgreSQL begins each list of a statement, which for an empty one is most of its cost."""
COMMON_BY_LABEL: Final = statement(_show(LABELLED, TAG_BY_LABEL, common=True), SHOW)
"""The same for the production labelled $1."""
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
