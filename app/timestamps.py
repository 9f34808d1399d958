"""The wire format of an instant. Standard library only."""

from datetime import UTC, datetime


def wire_moment(moment: datetime) -> str:
    """Return an instant as the contract writes it: UTC, milliseconds, ``Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
