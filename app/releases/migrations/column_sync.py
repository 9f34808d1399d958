"""Triggers that keep an old column and its successor in step while both services write.

A pair is two columns of one row. Who writes one side finds the other filled in: the older service
writes ``ccu_id`` and ``ccu_uuid`` follows, the new service writes ``ccu_uuid`` and ``ccu_id``
follows. Where both change at once, the old side wins: the older service may not notice anything.

Each pair has the way from either column to the other: ``forward`` and ``back`` are PL/pgSQL that
sets one of NEW's, and ``fill`` is the successor's value over a row ``t``, for the backfill. What
else it needs, the statements of ``extra`` create, which may be run again.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Link:
    """A child's text reference to a parent's ``id``, succeeded by one to its ``uuid``.

    ``Link("cameras", "ccu", "ccus", "SET NULL")`` is ``cameras.ccu_id`` and ``cameras.ccu_uuid``.
    A link that dies with its parent (CASCADE) is one that every row must have.
    """

    table: str
    stem: str
    parent: str
    on_delete: Literal["CASCADE", "SET NULL"] = "CASCADE"

    @property
    def old(self) -> str:
        return f"{self.stem}_id"

    @property
    def new(self) -> str:
        return f"{self.stem}_uuid"

    @property
    def follow(self) -> str:
        """The parent's trigger that carries a changed ``id`` to the children's text."""
        return f"{self.parent}_id_to_{self.table}"

    def fill(self) -> str:
        return f"(SELECT p.uuid FROM {self.parent} p WHERE p.id = t.{self.old})"

    def forward(self) -> str:
        return self._look_up(self.new, "uuid", self.old, "id")

    def back(self) -> str:
        return self._look_up(self.old, "id", self.new, "uuid")

    def _look_up(self, target: str, source: str, own: str, key: str) -> str:
        # FOR KEY SHARE is what a foreign key takes too: the parent's id cannot change meanwhile.
        # A key that names no parent fails in a foreign key's words: the older service knows
        # those, and its own foreign key is gone after the switch.
        return f"""IF NEW.{own} IS NULL THEN
      NEW.{target} := NULL;
    ELSE
      SELECT p.{source} INTO NEW.{target} FROM {self.parent} p WHERE p.{key} = NEW.{own}
        FOR KEY SHARE;
      IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation',
          MESSAGE = 'insert or update on table "{self.table}" violates foreign key constraint'
            ' "{self.table}_{own}_fkey"',
          TABLE = '{self.table}', CONSTRAINT = '{self.table}_{own}_fkey';
      END IF;
    END IF;"""

    def extra(self) -> tuple[str, ...]:
        return (
            _function(
                self.follow,
                # By the text key, whose index stands: that of the uuid comes after the backfill.
                f"""  UPDATE {self.table} SET {self.old} = NEW.id WHERE {self.old} = OLD.id;
  RETURN NULL;""",
            ),
            f"""CREATE OR REPLACE TRIGGER {self.follow} AFTER UPDATE OF id ON {self.parent}
  FOR EACH ROW WHEN (OLD.id IS DISTINCT FROM NEW.id) EXECUTE FUNCTION {self.follow}()""",
        )

    def drop_extra(self) -> tuple[str, ...]:
        return (
            f"DROP TRIGGER IF EXISTS {self.follow} ON {self.parent}",
            f"DROP FUNCTION IF EXISTS {self.follow}()",
        )


@dataclass(frozen=True)
class TextList:
    """A text column that held a list as JSON, or any text; succeeded by a ``jsonb`` list."""

    table: str
    old: str

    @property
    def new(self) -> str:
        return f"{self.old}_list"

    def fill(self) -> str:
        return f"text_to_list(t.{self.old})"

    def forward(self) -> str:
        return f"NEW.{self.new} := text_to_list(NEW.{self.old});"

    def back(self) -> str:
        return f"NEW.{self.old} := NEW.{self.new}::text;"

    def extra(self) -> tuple[str, ...]:
        # PostgreSQL 15 has no IS JSON: the cast is tried. Its errors are of these two classes
        # (bad JSON, \u0000, a number beyond numeric; nesting beyond the stack).
        return (
            """CREATE OR REPLACE FUNCTION text_to_list(value text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE STRICT AS $list$
DECLARE
  parsed jsonb;
BEGIN
  parsed := value::jsonb;
  RETURN CASE jsonb_typeof(parsed) WHEN 'array' THEN parsed ELSE jsonb_build_array(parsed) END;
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
  RETURN jsonb_build_array(value);
END
$list$""",
        )

    def drop_extra(self) -> tuple[str, ...]:
        return ("DROP FUNCTION IF EXISTS text_to_list(text)",)


Pair = Link | TextList


def keep_in_step(pair: Pair) -> tuple[str, ...]:
    """Return the statements that start to keep the pair in step; each may be run again."""
    name = _name(pair)
    return (
        *pair.extra(),
        _function(name, _body(pair)),
        f"""CREATE OR REPLACE TRIGGER {name}
  BEFORE INSERT OR UPDATE OF {pair.old}, {pair.new} ON {pair.table}
  FOR EACH ROW EXECUTE FUNCTION {name}()""",
    )


def let_go(*pairs: Pair) -> list[str]:
    """Return the statements that stop keeping the pairs in step."""
    dropped = []
    for pair in pairs:
        name = _name(pair)
        dropped += [
            f"DROP TRIGGER IF EXISTS {name} ON {pair.table}",
            f"DROP FUNCTION IF EXISTS {name}()",
            *pair.drop_extra(),
        ]
    return dropped


def _name(pair: Pair) -> str:
    return f"{pair.table}_{pair.old}_sync"


def _body(pair: Pair) -> str:
    # The last condition knows the backfill: it fills an empty successor from a text that stands,
    # which needs no look-up and must not write the text anew.
    return f"""  IF TG_OP = 'INSERT' THEN
    IF NEW.{pair.new} IS NULL THEN
    {pair.forward()}
    ELSIF NEW.{pair.old} IS NULL THEN
    {pair.back()}
    END IF;
  ELSIF NEW.{pair.old} IS DISTINCT FROM OLD.{pair.old} THEN
    {pair.forward()}
  ELSIF NEW.{pair.new} IS DISTINCT FROM OLD.{pair.new}
    AND NOT (OLD.{pair.new} IS NULL AND OLD.{pair.old} IS NOT NULL) THEN
    {pair.back()}
  END IF;
  RETURN NEW;"""


def _function(name: str, body: str) -> str:
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $sync$\n"
        f"BEGIN\n{body}\nEND\n$sync$"
    )
