"""An older image on a newer schema: what a trigger fills for it, and what nothing fills."""

from typing import Final

import pytest

from app.releases.schema.unfilled_columns import find_unfilled_columns
from tests.support.databases import column, execute

FILLS: Final = """CREATE FUNCTION fill_mount() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  {does} RETURN {row}; END $$"""
TRIGGER: Final = """CREATE TRIGGER fill_mount BEFORE INSERT ON {table} FOR EACH ROW
  EXECUTE FUNCTION fill_mount()"""
ADD: Final = "ALTER TABLE {table} ADD COLUMN mount text"
NOT_NULL: Final = "ALTER TABLE {table} ALTER COLUMN mount SET NOT NULL"
BODY: Final = {
    "always": "NEW.mount := 'PL';",
    "from another column": "NEW.mount := coalesce(NEW.mount, left(NEW.uuid::text, 8));",
    "from its parent": """NEW.mount := (SELECT id FROM productions p
      WHERE p.uuid = NEW.production_uuid);""",
    "never": "",
    "sometimes": "IF NEW.mount IS NULL AND now() < '2000-01-01' THEN NEW.mount := 'x'; END IF;",
}


async def grown(url: str, table: str, does: str, row: str = "NEW") -> None:
    """Add a column that must be filled, and a trigger."""
    await execute(url, FILLS.format(does=does, row=row))
    for sql in (ADD, TRIGGER):
        await execute(url, sql.format(table=table))
    await execute(url, f"UPDATE {table} SET mount = 'before'")
    await execute(url, NOT_NULL.format(table=table))


@pytest.mark.parametrize("how", ["always", "from another column", "from its parent"])
@pytest.mark.parametrize("filled", [False, True], ids=["empty", "with rows"])
async def test_what_a_trigger_fills_is_filled(own_database: str, how: str, filled: bool) -> None:
    if filled:
        await _with_rows(own_database)
    await grown(own_database, "cameras", BODY[how])
    assert await find_unfilled_columns(own_database) == {}
    counted = await column(own_database, "SELECT count(*) FROM cameras")
    assert counted == [int(filled)], "nothing stays of what was tried"
    assert await column(own_database, "SELECT count(*) FROM productions") == [int(filled)]


@pytest.mark.parametrize("how", ["never", "sometimes"])
@pytest.mark.parametrize("filled", [False, True], ids=["empty", "with rows"])
async def test_what_no_trigger_fills_is_refused(own_database: str, how: str, filled: bool) -> None:
    if filled:
        await _with_rows(own_database)
    await grown(own_database, "cameras", BODY[how])
    assert await find_unfilled_columns(own_database) == {
        "cameras": "must be filled and is not known to it: mount"
    }


async def test_without_a_trigger_it_is_refused(own_database: str) -> None:
    await execute(own_database, "ALTER TABLE sends ADD COLUMN mount text NOT NULL")
    assert await find_unfilled_columns(own_database) == {
        "sends": "must be filled and is not known to it: mount"
    }


@pytest.mark.parametrize("firing", ["DISABLE TRIGGER", "ENABLE REPLICA TRIGGER"])
async def test_a_trigger_that_does_not_fire_fills_nothing(own_database: str, firing: str) -> None:
    await grown(own_database, "cameras", BODY["always"])
    await execute(own_database, f"ALTER TABLE cameras {firing} fill_mount")
    assert "mount" in (await find_unfilled_columns(own_database))["cameras"]


async def test_of_two_columns_the_one_that_is_not_filled_is_named(own_database: str) -> None:
    await grown(own_database, "cameras", BODY["always"])
    await execute(own_database, "ALTER TABLE cameras ADD COLUMN weight int NOT NULL")
    assert (await find_unfilled_columns(own_database))["cameras"].endswith("known to it: weight")


async def test_a_check_of_a_new_column_is_looked_at(own_database: str) -> None:
    await execute(own_database, "ALTER TABLE cameras ADD COLUMN mount text CHECK (mount <> '')")
    assert await find_unfilled_columns(own_database) == {}, "NULL passes"
    await execute(own_database, "ALTER TABLE cameras ADD CHECK (mount IS NOT NULL) NOT VALID")
    assert "violates check constraint" in (await find_unfilled_columns(own_database))["cameras"]


async def test_a_trigger_that_takes_the_row_away_is_named(own_database: str) -> None:
    await grown(own_database, "cameras", "", row="NULL")
    assert "takes its new rows away" in (await find_unfilled_columns(own_database))["cameras"]


async def test_defaults_identities_and_generated_columns_need_nobody(own_database: str) -> None:
    await execute(
        own_database,
        "ALTER TABLE cameras ADD COLUMN a text NOT NULL DEFAULT 'x',"
        " ADD COLUMN b bigint GENERATED ALWAYS AS IDENTITY,"
        " ADD COLUMN c text NOT NULL GENERATED ALWAYS AS (name || 'x') STORED",
    )
    assert await find_unfilled_columns(own_database) == {}


async def _with_rows(url: str) -> None:
    await execute(url, "INSERT INTO productions (id, client, show_name) VALUES ('S', 'c', 's')")
    await execute(
        url,
        "INSERT INTO cameras (id, production_uuid, name) SELECT 'C 1', uuid, 'c' FROM productions",
    )
