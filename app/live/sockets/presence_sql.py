"""The SQL of presence: a row counts while a connection holds the lock of the row's process."""

from typing import Final

from app.sql.registry import statement

CHANNEL: Final = "signalbook_presence"
_LOCKS: Final = 7305792  # the first key of the lock; the second is the process's number

_ALIVE: Final = (
    "SELECT objid::int4 FROM pg_locks WHERE locktype = 'advisory' AND granted "
    f"AND classid = {_LOCKS} AND objsubid = 2 AND database = "
    "(SELECT oid FROM pg_database WHERE datname = current_database())"
)
_ANNOUNCED: Final = f"SELECT pg_notify('{CHANNEL}', room::text)"
# Take process number $1 for as long as the connection lives.
TAKE: Final = statement(f"SELECT pg_try_advisory_lock({_LOCKS}, $1::int4)")
# Let the server notice within half a minute that this machine is down or unreachable.
NOTICE: Final = statement(
    "SELECT set_config('tcp_keepalives_idle', '10', false), "
    "set_config('tcp_keepalives_interval', '5', false), "
    "set_config('tcp_keepalives_count', '4', false)"
)
# The sockets in the rooms $1, of processes that are alive.
SHOWN: Final = statement(
    "SELECT production_uuid AS room, socket_id, user_id, user_name FROM presence "
    f"WHERE production_uuid = ANY($1::uuid[]) AND process IN ({_ALIVE}) ORDER BY at, socket_id"
)
# Remove sockets $3 from rooms $2; put sockets $5 into rooms $4, of process $1, with the user ids $6
# and names $7. Announce the rooms that changed.
WRITE: Final = statement(
    "WITH gone AS (DELETE FROM presence USING unnest($2::uuid[], $3::text[]) AS past(room, socket) "
    "WHERE production_uuid = past.room AND socket_id = past.socket RETURNING production_uuid), "
    "came AS (INSERT INTO presence (production_uuid, socket_id, process, user_id, user_name) "
    "SELECT room, socket, $1::int4, who, called FROM unnest($4::uuid[], $5::text[], $6::text[], "
    "$7::text[]) AS new(room, socket, who, called) ON CONFLICT (production_uuid, socket_id) "
    "DO UPDATE SET process = excluded.process, user_id = excluded.user_id, "
    f"user_name = excluded.user_name RETURNING production_uuid) {_ANNOUNCED} FROM "
    "(SELECT production_uuid FROM gone UNION SELECT production_uuid FROM came) AS changed(room)"
)
# Remove the rows of dead processes; remove nothing while another process sweeps.
SWEEP: Final = statement(
    "WITH RECURSIVE mine AS MATERIALIZED "
    f"(SELECT pg_try_advisory_xact_lock({_LOCKS}, 0) AS locked), "
    "known AS ((SELECT process FROM presence WHERE process > 0 ORDER BY process LIMIT 1) "
    "UNION ALL SELECT "
    "(SELECT process FROM presence WHERE process > known.process ORDER BY process LIMIT 1) "
    "FROM known WHERE known.process IS NOT NULL), "
    "dead AS MATERIALIZED (SELECT process FROM known, mine WHERE locked AND process IS NOT NULL "
    f"AND process NOT IN ({_ALIVE})), "
    "gone AS (DELETE FROM presence WHERE process = ANY(ARRAY(SELECT process FROM dead)) "
    f"RETURNING production_uuid) {_ANNOUNCED} "
    "FROM (SELECT DISTINCT production_uuid FROM gone) AS changed(room)"
)
# Remove all rows of the processes $1.
LEAVE: Final = statement(
    "WITH gone AS (DELETE FROM presence WHERE process = ANY($1::int4[]) RETURNING production_uuid) "
    f"{_ANNOUNCED} FROM (SELECT DISTINCT production_uuid FROM gone) AS changed(room)"
)
