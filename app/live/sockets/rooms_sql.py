"""The statements that find the production whose room a socket wants to join.

They stand apart from the rooms, so that the gate can read them without loading Socket.IO.
"""

from typing import Final

from app.sql.registry import statement

# The live production with uuid $1, or labelled $1; two rows if several are.
_PRODUCTION: Final = "SELECT uuid, id, change_seq FROM productions WHERE"
BY_UUID: Final = statement(f"{_PRODUCTION} uuid = $1 AND NOT is_deleted")
BY_LABEL: Final = statement(f"{_PRODUCTION} id = $1 AND NOT is_deleted LIMIT 2")
