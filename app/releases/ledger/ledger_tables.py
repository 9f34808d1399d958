"""The gate's own tables. They are outside the revisions, so that they exist before the first one.

All are named ``release_…``, which drift detection leaves alone. The service's role reads them all,
and writes no more than what the running service finds out (``release_signals``, ``release_looks``)
and what operators decide there (``release_decisions``).
"""

from typing import Final

from app.releases.migrations.migration_session import CURSORS

_ID: Final = "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
_RUN: Final = "run bigint NOT NULL REFERENCES release_runs"
_NOW: Final = "timestamptz NOT NULL DEFAULT clock_timestamp()"
_NAMED: Final = f"name text PRIMARY KEY, value jsonb NOT NULL, at {_NOW}"

# Times in "release_statements" are in seconds; "stall" is the longest that anyone waited for this
# statement of ours. In "release_facts" are "acquainted": tables that were there at adoption;
# "expected": {revision, snapshot} for drift checks while serving; "image": {statements} of the last
# deploy. They decide what the gate does, so the service may only read them. In "release_looks" are
# "recheck": whose turn it is to look for drift while serving, and {at} of the last such look;
# "drift": {at, revision, findings} of the last look, the gate's or the service's.
_COLUMNS: Final = {
    "release_runs": f"""{_ID},
  word text NOT NULL, who text NOT NULL, why text, head text NOT NULL, needed text NOT NULL,
  before text, after text, digest text, started_at {_NOW},
  finished_at timestamptz, verdict text, exit_code integer, words text""",
    "release_stages": f"""{_RUN}, position integer NOT NULL, stage text NOT NULL,
  started_at {_NOW}, finished_at timestamptz,
  outcome text, words text, evidence jsonb NOT NULL DEFAULT '{{}}', PRIMARY KEY (run, position)""",
    "release_statements": f"""{_RUN}, position integer NOT NULL, stage text NOT NULL,
  kind text NOT NULL, sql text NOT NULL, lock text NOT NULL DEFAULT '',
  started_at timestamptz NOT NULL, seconds double precision, predicted double precision,
  tries integer NOT NULL DEFAULT 1, stall double precision NOT NULL DEFAULT 0, error text,
  PRIMARY KEY (run, position)""",
    "release_plans": f"""digest text PRIMARY KEY, plan jsonb NOT NULL, offline_hash text NOT NULL,
  state text NOT NULL DEFAULT 'proposed', proposed_at {_NOW}, changed_at {_NOW}""",
    "release_rehearsals": f"""{_ID}, {_RUN}, digest text NOT NULL REFERENCES release_plans,
  finished_at {_NOW}, passed boolean NOT NULL, evidence jsonb NOT NULL""",
    "release_decisions": f"""{_ID}, digest text NOT NULL REFERENCES release_plans,
  rehearsal bigint REFERENCES release_rehearsals,
  decision text NOT NULL CHECK (decision IN ('approved', 'withheld')),
  who text NOT NULL, why text NOT NULL, destroys text, at {_NOW}""",
    "release_revisions": f"""revision text PRIMARY KEY, hash text NOT NULL,
  run bigint REFERENCES release_runs, applied_at {_NOW}""",
    "release_soaks": """digest text PRIMARY KEY REFERENCES release_plans, "table" text,
  phase text NOT NULL, revisions text[] NOT NULL, started_at timestamptz NOT NULL,
  seconds double precision NOT NULL, ended_at timestamptz, ended text""",
    "release_signals": f"""{_ID}, kind text NOT NULL, code text NOT NULL, words text NOT NULL,
  source text NOT NULL, count integer NOT NULL DEFAULT 1,
  at timestamptz NOT NULL, last_at timestamptz NOT NULL""",
    "release_overrides": f"""{_ID}, {_RUN}, rule text NOT NULL, who text NOT NULL,
  why text NOT NULL, at {_NOW}""",
    "release_facts": _NAMED,
    "release_looks": _NAMED,
}
TABLES: Final = (
    *(f"CREATE TABLE IF NOT EXISTS {name} ({columns})" for name, columns in _COLUMNS.items()),
    CURSORS,
)

# Columns that came later, each added to a ledger that was made before it: its table, its name, how.
ADDED: Final = (
    # {pid, application, state, at} of whom the statement last waited for.
    ("release_statements", "blocker", "ALTER TABLE release_statements ADD COLUMN blocker jsonb"),
)
LACKING: Final = """SELECT NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass($1)
  AND attname = $2 AND attnum > 0 AND NOT attisdropped)"""

NAMES: Final = (*_COLUMNS, "release_backfill")
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
