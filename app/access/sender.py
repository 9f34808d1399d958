"""Who a write is attributed to: the holder of the credential, or whom a shared one names."""

from dataclasses import dataclass

from app.access.caller import Caller
from app.changelog.log import Actor


@dataclass(frozen=True)
class Sender:
    """Who sends a request, the id that the request log uses for it, and from which address."""

    caller: Caller
    request_id: str | None = None
    address: str | None = None

    def actor(
        self, user_id: str | None = None, user_name: str | None = None,
        modified_by: str | None = None,
    ) -> Actor:  # fmt: skip
        """Return who writes. What a body says of it counts only where several people may call."""
        caller = self.caller
        if caller.is_shared:
            person, is_proven = (user_id, user_name, modified_by), False
        else:
            person, is_proven = (caller.user_id, caller.user_name, None), True
        return Actor(*person, self.request_id, caller.subject, is_proven, self.address)
