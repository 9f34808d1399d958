"""The statements by which a socket finds the production whose room it wants to join."""

from typing import Final

# The live production with uuid $1, or labelled $1; two rows where several are.
_PLACE: Final = "SELECT uuid, id, change_seq FROM productions WHERE"
PLACE: Final = f"{_PLACE} uuid = $1 AND NOT is_deleted"
PLACE_BY_LABEL: Final = f"{_PLACE} id = $1 AND NOT is_deleted LIMIT 2"
STATEMENTS: Final = (PLACE, PLACE_BY_LABEL)
