"""Stage 11: the rows that ship with this image are in the live database."""

from typing import Final

from app.releases import product
from app.releases.connection.open_connection import open_connection
from app.releases.gate.run import Applied, Order, StageResult, serves_at

NAME: Final = "contents"
_PATIENCE: Final = "SET lock_timeout = '10s'"


async def run(order: Order, applied: Applied) -> StageResult:
    """Load what is missing, once this image can serve; what people have edited stays."""
    if not serves_at(applied.revision):
        return StageResult("what ships is loaded when this image can serve", skipped=True)
    async with open_connection(order.url) as connection:
        await connection.execute(_PATIENCE)
        return StageResult(await product.load_shipped(connection))
