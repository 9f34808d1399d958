"""The part of ``release status`` that needs the migrations: a look for drift on the spot."""

from typing import Any

from app.releases.status.look import looked


async def run(*, url: str, found: dict[str, Any], role: str | None) -> dict[str, Any]:
    """Return the status with the drift of this moment, where one can look."""
    return await looked(url, found, role=role)
