"""The statements that find the production whose room a socket wants to join.

They stand apart from the rooms, so that the gate can read them without loading Socket.IO.
"""

from typing import Final

from app.sql.registry import statement
from app.sql.writes import FORMER

# The live production with uuid $1, or labelled $1; two rows if several are.
_WHERE: Final = "FROM productions AS place WHERE"
BY_UUID: Final = statement(f"SELECT uuid, id, change_seq {_WHERE} uuid = $1 AND NOT is_deleted")
BY_LABEL: Final = statement(
    f"SELECT uuid, id, change_seq{FORMER} {_WHERE} id = $1 AND NOT is_deleted LIMIT 2"
)
BY_SPELLINGS: Final = statement(
    f"SELECT uuid, id, change_seq {_WHERE} id = ANY ($1::text[]) AND NOT is_deleted LIMIT 2"
)
