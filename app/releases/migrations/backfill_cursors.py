"""The table in which every backfill keeps how far it is, outside the revisions."""

from typing import Final

CURSORS: Final = """CREATE TABLE IF NOT EXISTS release_backfill (
  name text PRIMARY KEY,
  cursor text,
  done bigint NOT NULL DEFAULT 0,
  total bigint NOT NULL,
  started_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
  finished_at timestamptz
)"""
