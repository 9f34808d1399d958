"""How an instant is written on the wire. Pure: it loads nothing beyond the standard library."""

from datetime import UTC, datetime


def wire_moment(moment: datetime) -> str:
    """Write an instant as the contract does: UTC, milliseconds, ``Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
