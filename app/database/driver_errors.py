"""Translates what asyncpg raises into the errors that the service answers with."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from asyncpg import exceptions as pg

from app import errors
from app.database.dial import UNANNOUNCED

CLOSED_WHILE_IDLE: Final = (
    pg.ConnectionDoesNotExistError, pg.AdminShutdownError, pg.InternalClientError, ConnectionError,
)  # fmt: skip
"""What the driver raises when the server had closed the connection before the statement."""
_AWAY: Final = (
    OSError, pg.PostgresConnectionError, pg.CannotConnectNowError, pg.InterfaceError,
    pg.OperatorInterventionError, pg.InvalidAuthorizationSpecificationError,
    pg.InvalidCatalogNameError, pg.InternalClientError, pg.InvalidTransactionStateError,
)  # fmt: skip
_BUSY: Final = (
    TimeoutError, pg.LockNotAvailableError, pg.QueryCanceledError, pg.TransactionRollbackError,
    pg.InsufficientResourcesError, pg.InvalidCachedStatementError,
)  # fmt: skip
# A pooler has moved us to another session, or somebody else into ours.
_MIXED_SESSIONS: Final = (
    pg.InvalidSQLStatementNameError, pg.DuplicatePreparedStatementError, pg.InvalidCursorNameError,
    pg.DuplicateCursorError,
)  # fmt: skip
# The same, in the words with which poolers close a connection.
_MIXED_SESSION_WORDS: Final = ("bind message", "prepared statement", "pooling mode")
# The index of a field that is unique in a production, and what the older service called it.
_UNIQUE_FIELD: Final = re.compile(r"_production_(?:uuid|id)_(\w+)_key$")
_FULL_POOLER_WORDS: Final = ("no more connections allowed", "max_client_conn")
# The schemas let no value through that is NULL where it must not be, or that breaks a CHECK.
_MISMATCH: Final = (
    pg.SyntaxOrAccessError, pg.InvalidSchemaNameError, pg.FeatureNotSupportedError,
    pg.NotNullViolationError, pg.CheckViolationError,
)  # fmt: skip
# The first match counts: the first three are resource errors too, but waiting does not mend them.
_ANSWERS: Final = (
    (pg.DiskFullError, errors.DiskFull,
     "The database's disk is full: nothing can be written until somebody makes room on it."),
    (pg.OutOfMemoryError, errors.OutOfMemory,
     "The database has no memory left for this: try again later, and look at its server."),
    (pg.TooManyConnectionsError, errors.TooManyConnections,
     "The database lets no further connection in: raise its limit, or lower POOL_SIZE."),
    (_BUSY, errors.Busy, "The database is busy: try again in a moment."),
    (_AWAY, errors.DatabaseAway, "The database does not answer: try again in a moment."),
    (_MISMATCH, errors.SchemaMismatch, "The database lacks what this version needs: see /health."),
)  # fmt: skip


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors in place of the driver's."""
    try:
        yield
    except Exception as error:
        if ours := translate(error):
            raise ours from error
        raise


def translate(error: Exception) -> errors.SignalbookError | None:
    """Return our error for one that the driver raised, None if it is not the driver's."""
    of_kind = (ours(text) for theirs, ours, text in _ANSWERS if isinstance(error, theirs))
    return _data_error(error) or _pooler_error(error) or next(of_kind, None)


def _data_error(error: Exception) -> errors.SignalbookError | None:
    """Return our error for a value that the database, or the driver, does not take."""
    if isinstance(error, pg.UniqueViolationError):
        return _duplicate(error)
    if isinstance(error, pg.CardinalityViolationError):
        return errors.AmbiguousId("Several live rows hold that label: use the uuid.")
    if isinstance(error, pg.ForeignKeyViolationError):
        return errors.Conflict("What this refers to has just been removed: reload and try again.")
    cannot_be_encoded = isinstance(error, pg.InterfaceError) and isinstance(error, ValueError)
    if isinstance(error, pg.DataError) or cannot_be_encoded:
        return errors.Invalid.at("body", "a value does not fit its column")
    return None


def _duplicate(error: pg.UniqueViolationError) -> errors.Conflict:
    """Return our error for a value that another row has."""
    index = error.constraint_name or ""
    if index.endswith("_pkey"):
        return errors.DuplicateUuid(_uuid_words(error))
    if field := _UNIQUE_FIELD.search(index):
        return errors.DuplicateValue(
            f"Another row of this production has that {field[1]}: change one of the two."
        )
    return errors.DuplicateId("That label is taken: choose another.")


def _uuid_words(error: pg.UniqueViolationError) -> str:
    """Return words for a uuid that the client made and that is a row's; PostgreSQL names both."""
    uuid = re.search(r"=\(([0-9a-f-]{36})\)", error.detail or "")
    row = f"a row of {error.table_name}" if error.table_name else "a row"
    return (
        f"The uuid {uuid[1] if uuid else 'that was sent'} is already that of {row}, perhaps a "
        "deleted one: change or restore that row, or make a new uuid for another one."
    )


def _pooler_error(error: Exception) -> errors.SignalbookError | None:
    """Return our error for sessions that a pooler has mixed up, or for a pooler that is full."""
    words = str(error) if isinstance(error, pg.PostgresConnectionError) else ""
    if isinstance(error, _MIXED_SESSIONS) or any(word in words for word in _MIXED_SESSION_WORDS):
        return errors.PoolerInTheWay(UNANNOUNCED)
    if any(word in words for word in _FULL_POOLER_WORDS):
        full = "The pooler lets no further client in: raise max_client_conn."
        return errors.TooManyConnections(full)
    return None
