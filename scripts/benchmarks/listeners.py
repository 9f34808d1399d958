"""Connections that listen to what is announced, as so many processes of the service do."""

from typing import Any

import uvloop

from app.sql.writes import CHANNEL
from scripts.benchmarks import show
from scripts.benchmarks.aside import answer


class Listeners:
    """They hear until this process ends."""

    def __init__(self) -> None:
        self._held: list[Any] = []
        self.heard = 0

    async def do(self, order: dict[str, Any]) -> int:
        """Listen with so many connections, where it is asked; give how much was heard so far."""
        for _ in range(order.get("listeners", 0)):
            connection = await show.connect(order["database_url"])
            await connection.add_listener(CHANNEL, self._hear)
            self._held.append(connection)
        return self.heard

    def _hear(self, *_: object) -> None:
        self.heard += 1


if __name__ == "__main__":
    uvloop.run(answer(Listeners().do))
