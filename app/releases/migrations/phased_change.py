"""The phased change of one table, in two or three revisions.

- ``Expand`` adds the new columns beside the old, keeps both in step and fills them;
- ``Switch`` makes ``uuid`` the primary key, in one brief transaction;
- ``ExpandAndSwitch`` does both in one revision, where a table is small;
- ``Contract`` drops the old columns, once the older service is retired: no way back from here.

Until its contract a table serves both services: by ``id`` and text keys, and by ``uuid``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.releases.migrations import ddl
from app.releases.migrations.backfill import Backfill, fill
from app.releases.migrations.catalogue import ForeignKey, foreign_keys_on, key_column
from app.releases.migrations.column_sync import Link, Pair, TextList, keep_in_step, let_go
from app.releases.migrations.ddl import LIVE, NOW, Index
from app.releases.migrations.migration_session import ACROSS_TABLES
from app.releases.migrations.steps import Steps, beside
from app.releases.verdict import MigrationError

KEY: Final = Index("uuid", unique=True)
LABEL: Final = Index("id", unique=True)
# What every list and every look-up by label reads.
LISTED: Final = (Index("production_uuid, created_at, uuid", LIVE), Index("id", LIVE))


class PointOfNoReturn(MigrationError):
    """The old columns are gone, and with them the way back."""


def production_of(table: str) -> Link:
    """Return the link that every table of a production has."""
    return Link(table, "production", "productions")


@dataclass(frozen=True, kw_only=True)
class Expand:
    """Add a table's ``uuid`` key, its other new columns, and its children's links to it.

    ``links`` are the table's own, to parents that have their key already; ``children`` are links
    of other tables to this one. ``lists`` are text columns that become ``jsonb`` lists.
    ``stamped`` columns had no default, and get the time of writing.
    """

    table: str
    columns: Mapping[str, str] = field(default_factory=dict)
    links: Sequence[Link] = ()
    lists: Sequence[TextList] = ()
    children: Sequence[Link] = ()
    stamped: Sequence[str] = ("updated_at",)

    def upgrade(self) -> None:
        """Add the new columns and fill them, so that the table has both keys."""
        with beside() as steps:
            self._widen(steps)
            self._fill(steps)
            if key_column(steps, self.table) != "uuid":  # else it is switched, and this its index
                ddl.build_index(steps, self.table, KEY)
            ddl.build_index(steps, self.table, LABEL)
            # The builds waited for every transaction that had begun to write; what those left
            # unfilled is filled now, and nothing can come after.
            self._fill(steps)
            ddl.set_not_null(steps, self.table, "uuid")
            for link in self.links:
                _tie(steps, link)
            ddl.analyze(steps, self.table)
            for child in self.children:
                _succeed(steps, child)

    def downgrade(self) -> None:
        """Drop the new columns; the old ones still hold every value."""
        with beside() as steps:
            for child in self.children:
                without = ddl.drop_columns(child.table, [child.new])
                steps.brief(*let_go(child), without, lock_timeout=ACROSS_TABLES)
            new_columns = [pair.new for pair in self._pairs()] + ["uuid", *self.columns]
            steps.brief(
                *let_go(*self._pairs()),
                ddl.drop_columns(self.table, new_columns),
                *self._defaults("DROP DEFAULT"),
                lock_timeout=ACROSS_TABLES,
            )
            ddl.drop_index(steps, LABEL.name(self.table))

    def _widen(self, steps: Steps) -> None:
        news = {link.new: "uuid" for link in self.links} | {x.new: "jsonb" for x in self.lists}
        ddl.add_key(steps, self.table)
        if added := {**news, **self.columns}:
            ddl.add_columns(steps, self.table, added)
        if defaults := self._defaults(f"SET DEFAULT {NOW}"):
            steps.brief(*defaults)
        for pair in self._pairs():
            steps.brief(*keep_in_step(pair), lock_timeout=ACROSS_TABLES)

    def _fill(self, steps: Steps) -> None:
        values = {"uuid": "gen_random_uuid()"} | {pair.new: pair.fill() for pair in self._pairs()}
        pending = ["t.uuid IS NULL", *(_unfilled(pair) for pair in self._pairs())]
        fill(steps, Backfill(self.table, values, " OR ".join(pending)))

    def _pairs(self) -> list[Pair]:
        return [*self.links, *self.lists]

    def _defaults(self, change: str) -> list[str]:
        return [f"ALTER TABLE {self.table} ALTER COLUMN {c} {change}" for c in self.stamped]


@dataclass(frozen=True, kw_only=True)
class Switch:
    """Make ``uuid`` the primary key; the index on ``id`` stays, for look-ups and ON CONFLICT.

    ``children`` lose their older foreign key to this table: the one on ``uuid`` stands already.
    Foreign keys of tables that are not ours move to the index on ``id`` and stay in force.
    """

    table: str
    children: Sequence[Link] = ()

    def upgrade(self) -> None:
        """Change the primary key to ``uuid``."""
        with beside() as steps:
            keys = foreign_keys_on(steps, LABEL.name(self.table))
            moved = [key for key in keys if key.marked]
            if key_column(steps, self.table) != "uuid":
                moved = self._switch(steps)
            _validate_again(steps, moved)

    def _switch(self, steps: Steps) -> list[ForeignKey]:
        """Swap the keys; return the foreign keys that were moved and must be validated again."""
        older = {f"{child.table}_{child.old}_fkey": child.table for child in self.children}
        there = foreign_keys_on(steps, f"{self.table}_pkey")
        others = [key for key in there if key.name not in older]
        valid = [other for other in others if other.valid]
        steps.brief(
            *(_drop(table, key) for key, table in older.items()),
            *self._swap(KEY, others),
            # Only we know that it was valid before; a killed run must leave that behind.
            *(other.mark() for other in valid),
            lock_timeout=ACROSS_TABLES,
        )
        return valid

    def downgrade(self) -> None:
        """Change it back to ``id``, and restore the children's older foreign keys."""
        with beside() as steps:
            if key_column(steps, self.table) != "id":
                # A twin of the key's index, for the foreign keys that must not go with it.
                ddl.build_index(steps, self.table, KEY)
                there = foreign_keys_on(steps, f"{self.table}_pkey")
                steps.brief(*self._swap(LABEL, there), lock_timeout=ACROSS_TABLES)
            _validate_again(steps, foreign_keys_on(steps, KEY.name(self.table)))
            ddl.build_index(steps, self.table, LABEL)
            for link in self.children:
                actions = f"ON UPDATE CASCADE ON DELETE {link.on_delete}"
                ddl.add_foreign_key(
                    steps, link.table, link.old, link.parent, key="id", actions=actions
                )

    def _swap(self, to: Index, moved: Sequence[ForeignKey]) -> list[str]:
        """Change the primary key; foreign keys on the old one are moved to its successor."""
        key = f"{self.table}_pkey"
        return [
            *(_drop(other.table, other.name) for other in moved),
            _drop(self.table, key),
            f"""ALTER TABLE {self.table}
  ADD CONSTRAINT {key} PRIMARY KEY USING INDEX {to.name(self.table)}""",
            *(_add_unchecked(other) for other in moved),
        ]


@dataclass(frozen=True, kw_only=True)
class ExpandAndSwitch(Expand):
    """Both in one revision, for a small table that no other points at."""

    def upgrade(self) -> None:
        super().upgrade()
        Switch(table=self.table).upgrade()

    def downgrade(self) -> None:
        Switch(table=self.table).downgrade()
        super().downgrade()


@dataclass(frozen=True, kw_only=True)
class AddKey:
    """Add a ``uuid`` and other new columns to a table whose text key stays its primary key."""

    table: str
    columns: Mapping[str, str]

    def upgrade(self) -> None:
        """Add the columns, and fill the key."""
        with beside() as steps:
            ddl.add_key(steps, self.table)
            ddl.add_columns(steps, self.table, self.columns)
            missing = Backfill(self.table, {"uuid": "gen_random_uuid()"}, "t.uuid IS NULL")
            fill(steps, missing)
            ddl.build_index(steps, self.table, KEY)
            fill(steps, missing)  # of those who had begun to write before the default stood
            ddl.set_not_null(steps, self.table, "uuid")

    def downgrade(self) -> None:
        """Drop them."""
        with beside() as steps:
            steps.brief(ddl.drop_columns(self.table, ["uuid", *self.columns]))


@dataclass(frozen=True, kw_only=True)
class Contract:
    """Drop what only the older service used, give times their zone, build the final indexes.

    ``zoned`` are all times, ``stamped`` those with a default; ``obsolete`` are indexes to drop
    when the final ones stand.
    """

    table: str
    links: Sequence[Link] = ()
    lists: Sequence[TextList] = ()
    zoned: Sequence[str] = ("created_at", "updated_at", "synced_at")
    stamped: Sequence[str] = ("created_at", "updated_at")
    indexes: Sequence[Index] = LISTED
    obsolete: Sequence[str] = ()

    def upgrade(self) -> None:
        """Drop, convert and index; every step may be run again."""
        with beside() as steps:
            self._drop_old(steps)
            ddl.drop_index(steps, LABEL.name(self.table))
            ddl.give_zone(steps, self.table, self.zoned, self.stamped)
            for index in self.indexes:
                ddl.build_index(steps, self.table, index)
            for name in self.obsolete:
                ddl.drop_index(steps, name)
            ddl.analyze(steps, self.table)

    def downgrade(self) -> None:
        """Raise PointOfNoReturn: the old columns cannot be filled again."""
        raise PointOfNoReturn(
            f"The older columns of {self.table} are gone, so there is no way back before this "
            "revision: restore a backup, or mend forward with a new revision."
        )

    def _drop_old(self, steps: Steps) -> None:
        """Drop triggers and columns at once: between the two, new rows would lack the old key."""
        pairs: list[Pair] = [*self.links, *self.lists]
        others = foreign_keys_on(steps, LABEL.name(self.table))
        for other in others:
            steps.say(
                f"Dropping foreign key {other.name} of {other.table}, which is not ours and keeps "
                f"its rows: {self.table}.id is a label from now on and may repeat."
            )
        statements = [*(_drop(other.table, other.name) for other in others), *let_go(*pairs)]
        if pairs:
            statements.append(ddl.drop_columns(self.table, [pair.old for pair in pairs]))
        if statements:
            steps.brief(*statements, lock_timeout=ACROSS_TABLES)


def _tie(steps: Steps, link: Link) -> None:
    """Index a filled link, set it NOT NULL where it is required, and add its foreign key."""
    ddl.build_index(steps, link.table, Index(link.new))
    fill(steps, _filling(link))
    if link.on_delete == "CASCADE":
        ddl.set_not_null(steps, link.table, link.new)
    actions = f"ON DELETE {link.on_delete}"
    ddl.add_foreign_key(steps, link.table, link.new, link.parent, actions=actions)


def _succeed(steps: Steps, link: Link) -> None:
    """Add a child's link by uuid: column, triggers, values, index, foreign key."""
    ddl.add_columns(steps, link.table, {link.new: "uuid"})
    steps.brief(*keep_in_step(link), lock_timeout=ACROSS_TABLES)
    fill(steps, _filling(link))
    _tie(steps, link)


def _filling(link: Link) -> Backfill:
    return Backfill(link.table, {link.new: link.fill()}, _unfilled(link))


def _unfilled(pair: Pair) -> str:
    return f"(t.{pair.new} IS NULL AND t.{pair.old} IS NOT NULL)"


def _drop(table: str, constraint: str) -> str:
    return f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {constraint}"


def _add_unchecked(key: ForeignKey) -> str:
    definition = key.definition.removesuffix(" NOT VALID")
    return f"ALTER TABLE {key.table} ADD CONSTRAINT {key.name} {definition} NOT VALID"


def _validate_again(steps: Steps, keys: Sequence[ForeignKey]) -> None:
    for key in keys:
        steps.patient(f"ALTER TABLE {key.table} VALIDATE CONSTRAINT {key.name}")
        steps.brief(f"COMMENT ON CONSTRAINT {key.name} ON {key.table} IS NULL")
