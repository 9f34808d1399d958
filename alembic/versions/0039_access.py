"""Access: tokens, memberships, sessions of pages, the audit, and counts of refusals.

Revision 0039_access, after 0038_projection_surfaces.
"""

from app.releases.migrations.catalogue import key_column
from app.releases.migrations.ddl import Index, add_foreign_key, build_index
from app.releases.migrations.migration_session import ACROSS_TABLES
from app.releases.migrations.steps import beside

revision = "0039_access"
down_revision = "0038_projection_surfaces"
branch_labels = None
depends_on = None

phase = "expand"
table = None

TABLES = {
    "access_tokens": """CREATE TABLE access_tokens (
    key text NOT NULL,
    secret_hash bytea NOT NULL,
    pepper text NOT NULL,
    label text NOT NULL,
    user_id text NOT NULL,
    user_name text NOT NULL,
    role text NOT NULL,
    every_production boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    created_by text NOT NULL,
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT access_tokens_pkey PRIMARY KEY (key)
)""",
    "access_memberships": """CREATE TABLE access_memberships (
    subject text NOT NULL,
    production_uuid uuid NOT NULL,
    role text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    created_by text NOT NULL,
    CONSTRAINT access_memberships_pkey PRIMARY KEY (subject, production_uuid)
)""",
    "page_sessions": """CREATE TABLE page_sessions (
    uuid uuid NOT NULL,
    subject text NOT NULL,
    user_id text NOT NULL,
    user_name text NOT NULL,
    role text,
    created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT page_sessions_pkey PRIMARY KEY (uuid)
)""",
    "access_audit": """CREATE TABLE access_audit (
    uuid uuid NOT NULL DEFAULT gen_random_uuid(),
    at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    event text NOT NULL,
    outcome text NOT NULL,
    subject text,
    user_id text,
    user_name text,
    address text,
    request_id text,
    details jsonb,
    CONSTRAINT access_audit_pkey PRIMARY KEY (uuid)
)""",
    "access_counts": """CREATE TABLE access_counts (
    bucket text NOT NULL,
    refusals integer NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT access_counts_pkey PRIMARY KEY (bucket)
)""",
}
INDEXES = {
    "access_memberships": "production_uuid",
    "page_sessions": "expires_at",
    "access_audit": "at, uuid",
    "access_counts": "expires_at",
}
# A day is the least: who empties the audit cannot hide what they did today. Nobody but the
# transaction that wrote a row has seen it before its commit, so that it may take the row back.
# "xmin" has 32 bits of the transaction's number, and pg_xact_status takes all 64.
KEEP = """CREATE OR REPLACE FUNCTION signalbook_keep_audit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrap CONSTANT bigint := 4294967296;
    now CONSTANT bigint := pg_current_xact_id()::text::bigint;
    writer bigint;
BEGIN
    IF TG_OP <> 'TRUNCATE' THEN
        writer := now - now % wrap + OLD.xmin::text::bigint;
        IF writer > now + wrap / 2 THEN
            writer := writer - wrap;
        END IF;
        IF TG_OP = 'DELETE' AND OLD.at < CURRENT_TIMESTAMP - interval '1 day' THEN
            RETURN OLD;
        ELSIF writer > 0 AND pg_xact_status(writer::text::xid8) = 'in progress' THEN
            RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
        END IF;
    END IF;
    RAISE EXCEPTION 'The audit is only written to: % of access_audit is refused.', TG_OP
        USING ERRCODE = 'insufficient_privilege',
        HINT = 'Rows older than a day may be deleted; none may be changed.';
END
$$"""
ROWS = """CREATE OR REPLACE TRIGGER access_audit_rows BEFORE UPDATE OR DELETE ON access_audit
    FOR EACH ROW EXECUTE FUNCTION signalbook_keep_audit()"""
WHOLE = """CREATE OR REPLACE TRIGGER access_audit_whole BEFORE TRUNCATE ON access_audit
    FOR EACH STATEMENT EXECUTE FUNCTION signalbook_keep_audit()"""


def upgrade() -> None:
    """Create them beside, since a foreign key locks productions for a moment, with retries."""
    with beside() as steps:
        for name, sql in TABLES.items():
            if key_column(steps, name) is None:
                steps.brief(sql)
        add_foreign_key(
            steps, "access_memberships", "production_uuid", "productions",
            actions="ON DELETE CASCADE",
        )  # fmt: skip
        for name, columns in INDEXES.items():
            build_index(steps, name, Index(columns))
        steps.brief(KEEP, ROWS, WHOLE)


def downgrade() -> None:
    """Drop them: all tokens, sessions and what was noted of them are gone."""
    with beside() as steps:
        for name in reversed(TABLES):
            steps.brief(f"DROP TABLE IF EXISTS {name}", lock_timeout=ACROSS_TABLES)
        steps.brief("DROP FUNCTION IF EXISTS signalbook_keep_audit()")
