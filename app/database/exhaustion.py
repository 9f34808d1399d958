"""The errors of a database server that has run out of something (see ``app.errors``)."""

from collections.abc import Mapping
from typing import ClassVar

from app.errors import Unavailable


class TooManyConnections(Unavailable):
    """PostgreSQL lets no further connection in: its own limit, the role's or the database's."""

    code = "TOO_MANY_CONNECTIONS"
    headers: ClassVar[Mapping[str, str]] = {"retry-after": "5"}


class OutOfMemory(Unavailable):
    """PostgreSQL has no memory left for the statement."""

    code = "OUT_OF_MEMORY"
    headers: ClassVar[Mapping[str, str]] = {"retry-after": "10"}


class DiskFull(Unavailable):
    """The disk of the database is full: nothing can be written until somebody makes room."""

    code = "DISK_FULL"
    headers: ClassVar[Mapping[str, str]] = {"retry-after": "60"}
