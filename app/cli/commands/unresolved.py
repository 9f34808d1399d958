"""``python -m app unresolved``: what rows name by a text that leads to no row of their show."""

from collections.abc import Iterator
from typing import Any

import typer
from pydantic_core import from_json

from app.cli.load_show import opened
from app.cli.startup import answered
from app.entities import discovered
from app.model.entity import Row
from app.releases.migrations import alembic_runner as migrations
from app.releases.migrations.guard import raise_unless_deployable
from app.settings import Settings
from app.sql.projection import live, projection


def run() -> None:
    """Print a line for each end of each live row; exit with 0."""
    lines = answered(_lines)
    for line in lines:
        typer.echo(line)
    typer.echo(
        f"{len(lines)} ends are kept as text only." if lines else "Every end leads to a row."
    )


async def _lines(settings: Settings, url: str) -> list[str]:
    raise_unless_deployable(await migrations.current(url))
    async with opened(settings, url) as database, database.connection() as connection:
        return [
            line
            for entity in discovered().values()
            if entity.ends()
            for record in await connection.fetch(_statement(entity))
            for line in _described(from_json(record["body"]))
        ]


def _statement(entity: type[Row]) -> str:
    rows = projection(entity, live(entity))
    return (
        f"SELECT row_to_json(entity) AS body FROM ({rows}) AS entity "
        'WHERE cardinality(unresolved) > 0 ORDER BY entity."productionId", entity.id'
    )


def _described(row: dict[str, Any]) -> Iterator[str]:
    for end in row["unresolved"]:
        kind, label = row.get(f"{end}Type"), row[f"{end}Id"]
        of_type = f" of type {kind!r}" if kind else ""
        yield f"{row['productionId']}  {row['id']}  {row['uuid']}: {end} {label!r}{of_type}"
