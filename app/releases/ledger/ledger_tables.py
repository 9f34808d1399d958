"""The gate's own tables. They are outside the revisions, so that they exist before the first one.

All are named ``release_…``, which drift detection leaves alone. The service's role reads them all,
and writes no more than what the running service finds out (``release_signals``, ``release_looks``)
and what operators decide there (``release_decisions``).
"""

from typing import Final

from app.releases.migrations.backfill_cursors import CURSORS

TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS release_runs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  word text NOT NULL,
  who text NOT NULL,
  why text,
  head text NOT NULL,
  needed text NOT NULL,
  before text,
  after text,
  digest text,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamptz,
  verdict text,
  exit_code integer,
  words text
)""",
    """CREATE TABLE IF NOT EXISTS release_stages (
  run bigint NOT NULL REFERENCES release_runs,
  position integer NOT NULL,
  stage text NOT NULL,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamptz,
  outcome text,
  words text,
  evidence jsonb NOT NULL DEFAULT '{}',
  PRIMARY KEY (run, position)
)""",
    # Times in seconds; "stall" is the longest that anyone waited for this statement of ours.
    """CREATE TABLE IF NOT EXISTS release_statements (
  run bigint NOT NULL REFERENCES release_runs,
  position integer NOT NULL,
  stage text NOT NULL,
  kind text NOT NULL,
  sql text NOT NULL,
  lock text NOT NULL DEFAULT '',
  started_at timestamptz NOT NULL,
  seconds double precision,
  predicted double precision,
  tries integer NOT NULL DEFAULT 1,
  stall double precision NOT NULL DEFAULT 0,
  error text,
  PRIMARY KEY (run, position)
)""",
    """CREATE TABLE IF NOT EXISTS release_plans (
  digest text PRIMARY KEY,
  plan jsonb NOT NULL,
  offline_hash text NOT NULL,
  state text NOT NULL DEFAULT 'proposed',
  proposed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
)""",
    """CREATE TABLE IF NOT EXISTS release_rehearsals (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run bigint NOT NULL REFERENCES release_runs,
  digest text NOT NULL REFERENCES release_plans,
  finished_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  passed boolean NOT NULL,
  evidence jsonb NOT NULL
)""",
    """CREATE TABLE IF NOT EXISTS release_decisions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  digest text NOT NULL REFERENCES release_plans,
  rehearsal bigint REFERENCES release_rehearsals,
  decision text NOT NULL CHECK (decision IN ('approved', 'withheld')),
  who text NOT NULL,
  why text NOT NULL,
  destroys text,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
)""",
    """CREATE TABLE IF NOT EXISTS release_revisions (
  revision text PRIMARY KEY,
  hash text NOT NULL,
  run bigint REFERENCES release_runs,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)""",
    """CREATE TABLE IF NOT EXISTS release_soaks (
  digest text PRIMARY KEY REFERENCES release_plans,
  "table" text,
  phase text NOT NULL,
  revisions text[] NOT NULL,
  started_at timestamptz NOT NULL,
  seconds double precision NOT NULL,
  ended_at timestamptz,
  ended text
)""",
    """CREATE TABLE IF NOT EXISTS release_signals (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind text NOT NULL,
  code text NOT NULL,
  words text NOT NULL,
  source text NOT NULL,
  count integer NOT NULL DEFAULT 1,
  at timestamptz NOT NULL,
  last_at timestamptz NOT NULL
)""",
    """CREATE TABLE IF NOT EXISTS release_overrides (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run bigint NOT NULL REFERENCES release_runs,
  rule text NOT NULL,
  who text NOT NULL,
  why text NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
)""",
    # "acquainted": tables that were there at adoption; "expected": {revision, snapshot} for drift
    # checks while serving; "image": {statements} of the last deploy. They decide what the gate
    # does, so the service may only read them.
    """CREATE TABLE IF NOT EXISTS release_facts (
  name text PRIMARY KEY,
  value jsonb NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
)""",
    # "recheck": whose turn it is to look for drift while serving, and {at} of the last such look;
    # "drift": {at, revision, findings} of the last look, the gate's or the service's.
    """CREATE TABLE IF NOT EXISTS release_looks (
  name text PRIMARY KEY,
  value jsonb NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
)""",
    CURSORS,
)

# Columns that came later, each added to a ledger that was made before it: its table, its name, how.
ADDED: Final = (
    # {pid, application, state, at} of whom the statement last waited for.
    ("release_statements", "blocker", "ALTER TABLE release_statements ADD COLUMN blocker jsonb"),
)
LACKING: Final = """SELECT NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass($1)
  AND attname = $2 AND attnum > 0 AND NOT attisdropped)"""

NAMES: Final = tuple(sql.split()[5] for sql in TABLES)
WRITTEN_BY_THE_SERVICE: Final = {
    "release_signals": "INSERT, UPDATE",
    "release_looks": "INSERT, UPDATE",
    "release_decisions": "INSERT",
}


def grants(role: str) -> tuple[str, ...]:
    """Return the grants that the service's role needs; ``role`` is quoted."""
    return (
        f"GRANT SELECT ON {', '.join(NAMES)} TO {role}",
        *(f"GRANT {what} ON {name} TO {role}" for name, what in WRITTEN_BY_THE_SERVICE.items()),
    )
