"""``python -m tests.support.ungated``: what a careless helper would do, migrate past the gate."""

import asyncio
import os

from app.releases.migrations.alembic_runner import upgrade

if __name__ == "__main__":
    asyncio.run(upgrade(os.environ["DATABASE_URL"]))
