"""Loads a whole show from a JSON file, in one transaction, and writes one: all of it or nothing.

The file holds ``production`` (an object) and, each optional, one array per collection under its
name in camel case: ``sources``, ``cableSnakes``, ``checklistItems`` … Members have their names
of the wire; ``productionId`` is filled in. Rows come out of lists in the order of the file.
``format`` is the number of this shape, 1 where it is absent.
"""

import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import from_json
from uuid_utils.compat import uuid7

from app.cli.startup import BadShow
from app.database.database import Database
from app.database.url import DatabaseUrl
from app.entities import discovered, root
from app.errors import DuplicateId, DuplicateUuid, SignalbookError
from app.model.entity import Row
from app.model.schemas import create_schema
from app.rules.json_text import read_json
from app.settings import Settings
from app.store import read as read_store
from app.store.create import create
from app.store.edit import edit_of
from app.store.write_context import WriteContext

_ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(7305791, 2)"
_BESIDE: Final = "To load the show beside the one that is here: load --as-copy."
_LABEL: Final = ("id", "productionId")
FORMAT: Final = 1
STANDARD_INPUT: Final = Path("-")
SAMPLE: Final = Path(__file__).parents[1] / "sample" / "show.json"


@asynccontextmanager
async def opened(settings: Settings, url: str) -> AsyncIterator[Database]:
    """Yield the database, open as the service opens it."""
    database = Database(DatabaseUrl.parse(url), settings)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


async def load(
    database: Database, show: Mapping[str, Any], say: Callable[[str], None] = print
) -> str:
    """Load a show, as ``read`` gives it, and return its production's label.

    Raises BadShow, and what the database raises. Loading a show twice makes two productions.
    """
    try:
        async with database.transaction() as connection:
            return await _load(WriteContext(connection, locked=True), show, say)
    except DuplicateUuid as error:
        raise BadShow(f"{error.message} {_BESIDE}") from None


async def load_sample_if_empty(database: Database, say: Callable[[str], None]) -> None:
    """Load the sample show into a database that has never had a production, once."""
    async with database.transaction() as connection:
        await connection.execute(_ONE_AT_A_TIME)
        if await connection.fetchval("SELECT NOT EXISTS (SELECT FROM productions)"):
            await _load(WriteContext(connection, locked=True), read(SAMPLE), say)


async def _load(context: WriteContext, show: Mapping[str, Any], say: Callable[[str], None]) -> str:
    production = await _create(context, root(), show["production"], "production")
    label = str(production["id"])
    counts = await _create_all(context, show, label)
    contents = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "empty"
    say(f"Loaded {production['showName']!r} as {label!r}: {contents}.")
    return label


def read(file: Path) -> dict[str, Any]:
    """Return what a file, or with "-" standard input, holds. Raises BadShow if it is no show."""
    name = "standard input" if file == STANDARD_INPUT else str(file)
    try:
        content = sys.stdin.buffer.read() if file == STANDARD_INPUT else file.read_bytes()
        show = read_json(content)
    except OSError as error:
        raise BadShow(f"{name}: {error.strerror}") from None
    except ValueError as error:
        raise BadShow(f"{name} is not JSON: {error}") from None
    if not isinstance(show, dict) or not isinstance(show.get("production"), dict):
        raise BadShow(f"{name} has no object named 'production'")
    if show.get("format", FORMAT) != FORMAT:
        raise BadShow(
            f"{name} is of format {show['format']!r}, and this version reads {FORMAT}: load it "
            "with the version that wrote it, or a newer one"
        )
    return show


async def export(database: Database, production: str) -> str:
    """Return a show as ``load`` reads it. Raises NotFound and AmbiguousId.

    What the service counts itself, such as versions and times, is in it and is not read again.
    """
    lists = (await read_store.show(database, production)).members
    show = {name: from_json(rows) for name, rows in lists.items()}
    return json.dumps({"format": FORMAT, **show}, indent=1, ensure_ascii=False)


def with_new_uuids(show: Mapping[str, Any]) -> dict[str, Any]:
    """Return a show whose rows, and the parts in their lists, all have new uuids.

    What refers to one of them refers to the new one. The show itself gets the next free label.
    """
    new = {uuid.lower(): str(uuid7()) for uuid in _own_uuids(show)}
    unnamed = {name: value for name, value in show["production"].items() if name not in _LABEL}

    def replaced(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: replaced(each) for name, each in value.items()}
        if isinstance(value, list):
            return [replaced(each) for each in value]
        return new.get(value.lower(), value) if isinstance(value, str) else value

    return dict(replaced({**show, "production": unnamed}))


def _own_uuids(value: Any) -> Iterator[str]:
    """Yield the uuids that rows and parts of them bear."""
    if isinstance(value, dict):
        if isinstance(uuid := value.get("uuid"), str) and uuid:
            yield uuid
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _own_uuids(each)


async def _create_all(
    context: WriteContext, show: Mapping[str, Any], production: str
) -> Counter[str]:
    """Create the rows, those that others refer to first."""
    kinds = [kind for kind in discovered().values() if kind is not root()]
    counts: Counter[str] = Counter()
    for kind in sorted(kinds, key=lambda k: (bool(k.device_references), bool(k.references()))):
        name = to_camel(kind.collection.replace("-", "_"))
        rows = show.get(name, [])
        if not isinstance(rows, list):
            raise BadShow(f"{name} is not an array")
        for index, row in enumerate(rows):
            await _create(context, kind, row, f"{name}.{index}", production)
        counts[kind.collection] = len(rows)
    return counts


async def _create(
    context: WriteContext, kind: type[Row], row: Any, where: str, production: str | None = None
) -> Any:
    if not isinstance(row, dict):
        raise BadShow(f"{where} is not an object")
    scope = {"productionId": production} if production else {}
    try:
        body = create_schema(kind).model_validate({**row, **scope})
        return from_json(await create(context, kind, edit_of(kind, body)))
    except ValidationError as wrong:
        first = wrong.errors(include_input=False)[0]
        path = ".".join(map(str, first["loc"]))
        raise BadShow(f"{where}.{path}: {first['msg']}") from None
    except DuplicateId as error:
        hint = "" if production else f" {_BESIDE}"
        raise BadShow(f"{where}: {error.message}{hint}") from None
    except SignalbookError as error:
        raise BadShow(f"{where}: {error.message}") from None
