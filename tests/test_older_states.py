"""An older service's database in another state than the one that is carried over."""

from typing import Final

import pytest

from app.cli.commands.drift import drift
from app.releases.verdict import Verdict
from tests.support.databases import execute
from tests.support.gates import Heard, adopted, ran

NEWER: Final = """INSERT INTO _prisma_migrations
    (id, checksum, finished_at, migration_name, applied_steps_count)
  SELECT gen_random_uuid()::text, md5(n::text), now(), '202506' || lpad(n::text, 2, '0')
    || '000000_more', 1 FROM generate_series(1, 14) n"""
ONE: Final = """INSERT INTO _prisma_migrations (id, checksum, finished_at, rolled_back_at,
    migration_name) VALUES (gen_random_uuid()::text, 'x', {finished}, {back},
    '20250701000000_lenses')"""
FEWER: Final = "DELETE FROM _prisma_migrations WHERE migration_name > '20240630'"
DIFFERENT: Final = "ALTER TABLE cameras ADD COLUMN lens_mount text"
RENAMED: Final = "ALTER TABLE source_outputs RENAME TO outputs"


@pytest.fixture
async def older(adopted_database: str) -> str:
    """Return a database as the older service has it; that it was adopted is forgotten."""
    await execute(adopted_database, "DROP TABLE alembic_version")
    await execute(adopted_database, "DELETE FROM release_facts; DELETE FROM release_revisions")
    return adopted_database


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ((NEWER, DIFFERENT), ("21 of its own migrations", "14 more", "20250614000000_more")),
        ((NEWER, RENAMED), ("21 of its own migrations", "14 more")),
        ((FEWER, "ALTER TABLE cameras DROP COLUMN lens_type"), ("applied 3", "not yet")),
        ((FEWER, "DROP TABLE events CASCADE"), ("applied 3", "not yet")),
        (("DELETE FROM _prisma_migrations", DIFFERENT), ("applied 0", "not yet")),
        ((ONE.format(finished="NULL", back="NULL"), DIFFERENT), ("_lenses", "never finished")),
        ((ONE.format(finished="NULL", back="NULL"),), ("_lenses", "never finished")),
        (("DROP TABLE _prisma_migrations", DIFFERENT), ("cameras.lens_mount", "cannot be read")),
        (("ALTER TABLE _prisma_migrations RENAME finished_at TO done", DIFFERENT),
         ("cameras.lens_mount", "cannot be read")),
    ],
)  # fmt: skip
async def test_another_state_is_refused_in_a_sentence_without_sql(
    older: str, sql: tuple[str, ...], words: tuple[str, ...]
) -> None:
    for statement in sql:
        await execute(older, statement)
    ended = await adopted(older)
    assert ended.verdict is Verdict.REFUSED, ended
    assert all(word in ended.words for word in words), ended.words
    assert "ALTER TABLE" not in ended.words
    assert "\n" not in ended.words


async def test_a_hands_damage_in_the_known_state_is_still_mended(older: str) -> None:
    await execute(older, ONE.format(finished="now()", back="now()"))  # rolled back: it counts not
    await execute(older, "ALTER TABLE cameras ALTER COLUMN name DROP NOT NULL")
    ended = await adopted(older)
    assert ended.verdict is Verdict.DRIFTED
    assert "ALTER TABLE cameras" in ended.words


async def test_the_same_schema_is_adopted_however_far_its_history_is(older: str) -> None:
    await execute(older, NEWER)
    assert (await adopted(older)).verdict is Verdict.DONE


async def test_what_the_older_service_changes_after_adoption_is_told_as_its_own(
    adopted_database: str,
) -> None:
    await execute(adopted_database, ONE.format(finished="now()", back="NULL"))
    assert "1 more of its own migrations" in (await adopted(adopted_database)).words
    await execute(adopted_database, DIFFERENT)
    heard = Heard()
    ended = await ran(adopted_database, heard=heard)
    assert ended.verdict is Verdict.DRIFTED
    assert "1 more of its own migrations" in ended.words
    assert "_lenses" in ended.words
    lines: list[str] = []
    await drift(adopted_database, lines.append)
    assert any("its work and no damage" in line for line in lines)
    assert not any("DROP COLUMN" in line for line in [*lines, *heard.lines, ended.words])


async def test_a_hands_change_after_adoption_is_told_with_its_mend(adopted_database: str) -> None:
    await execute(adopted_database, DIFFERENT)
    heard = Heard()
    assert "own migrations" not in (await ran(adopted_database, heard=heard)).words
    assert any("DROP COLUMN" in line for line in heard.lines)
