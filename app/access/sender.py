"""Who a write is attributed to: the holder of the credential, or whom a shared one names."""

from dataclasses import dataclass

from app.access.caller import Caller
from app.changelog.log import Actor


@dataclass(frozen=True)
class Sender:
    """Who sends a request, and the id that the request log uses for it."""

    caller: Caller
    request_id: str | None = None

    def actor(
        self, user_id: str | None = None, user_name: str | None = None,
        modified_by: str | None = None,
    ) -> Actor:  # fmt: skip
        """Return who writes. What a body says of it counts only where several people may call."""
        caller = self.caller
        if caller.is_shared:
            return Actor(user_id, user_name, modified_by, self.request_id, caller.subject)
        person = caller.user_id, caller.user_name
        return Actor(*person, None, self.request_id, caller.subject, is_proven=True)
