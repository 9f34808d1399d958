"""Who sends a request, and where they may do what."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Final, Self
from uuid import UUID

_ANONYMOUS: Final = "anonymous"
ISSUER: Final = "issuer:"
"""What the subject of somebody whom an issuer names begins with; the issuer's subject follows."""


class Role(IntEnum):
    """What somebody may do. A higher role may all that a lower one may."""

    VIEWER = 1
    EDITOR = 2
    OPERATOR = 3

    @property
    def word(self) -> str:
        """The role as tokens, documents and the database write it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request.

    ``subject`` is stable and names the credential: ``token:<key>``, ``issuer:<sub>``,
    ``setting:ACCESS_TOKEN`` or ``anonymous``. ``role`` is the role everywhere, None where only
    ``memberships`` count, by production. ``is_shared`` when several people hold the credential, so
    that a body's ``userId`` is all that tells them apart. Who sends no credential counts so too.
    At ``expires_at`` the credential ends. ``session`` is the signed-in browser that it came by.
    """

    subject: str
    user_id: str | None
    user_name: str | None
    role: Role | None
    memberships: Mapping[UUID, Role]
    is_shared: bool = False
    expires_at: datetime | None = None
    session: UUID | None = None

    @classmethod
    def nobody(cls, role: Role | None) -> Self:
        """Return who calls without a credential, and may do what ``role`` says."""
        return cls(_ANONYMOUS, None, None, role, {}, is_shared=True)

    @property
    def is_anonymous(self) -> bool:
        """Whether no credential was sent."""
        return self.subject == _ANONYMOUS

    @property
    def sees_all(self) -> bool:
        """Whether every production is theirs to see."""
        return self.role is not None

    def role_in(self, production: UUID) -> Role | None:
        """Return the role in a production; None means that it does not exist for them."""
        member = self.memberships.get(production)
        roles = [role for role in (self.role, member) if role is not None]
        return max(roles, default=None)
