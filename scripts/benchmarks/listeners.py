"""Connections that listen to announcements, as processes of the service do."""

from typing import Any

import uvloop

from app.sql.writes import CHANNEL
from scripts.benchmarks import show
from scripts.benchmarks.aside import answer


class Listeners:
    """Listening connections; they stay open until this process ends."""

    def __init__(self) -> None:
        self._connections: list[Any] = []
        self.count = 0

    async def do(self, order: dict[str, Any]) -> int:
        """Open the connections that the order asks for; return the announcements so far."""
        for _ in range(order.get("listeners", 0)):
            connection = await show.connect(order["database_url"])
            await connection.add_listener(CHANNEL, self._hear)
            self._connections.append(connection)
        return self.count

    def _hear(self, *_: object) -> None:
        self.count += 1


if __name__ == "__main__":
    uvloop.run(answer(Listeners().do))
