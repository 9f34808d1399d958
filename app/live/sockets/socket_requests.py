"""What clients may send over a socket."""

import json
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from app.access.caller import Caller
from app.errors import Invalid
from app.model.fields import NO_NUL, blank_to_none
from app.model.schemas import Key

SYSTEM: Final = "system"
"""The user of what no user sends."""
_Name = Annotated[str, Field(max_length=200, pattern=NO_NUL)]
_MaybeName = Annotated[_Name | None, BeforeValidator(blank_to_none)]


class SocketRequest(BaseModel):
    """The user who sends it; without one it is the system, as in the change log."""

    model_config = ConfigDict(strict=True)

    userId: _MaybeName = None
    userName: _MaybeName = None

    @classmethod
    def read(cls, args: tuple[Any, ...]) -> Self:
        """Validate an event's first argument. Raises Invalid, which never contains the value."""
        try:
            return cls.model_validate(args[0] if args else {})
        except ValidationError as invalid:
            errors = [
                {"path": ".".join(map(str, error["loc"])) or "payload", "message": error["msg"]}
                for error in invalid.errors(include_input=False, include_url=False)[:20]
            ]
        raise Invalid(errors)

    def sent_by(self, caller: Caller) -> Self:
        """Return it as the caller's: the user it names counts only with a shared credential."""
        if caller.is_shared:
            return self
        return self.model_copy(update={"userId": caller.user_id, "userName": caller.user_name})

    @property
    def person(self) -> tuple[str, str]:
        return self.userId or SYSTEM, self.userName or "System"


class Leave(SocketRequest):
    """Watch a production no longer."""

    productionId: Key


class Join(Leave):
    """Watch a production, and first get what was logged ``since`` a number."""

    since: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None


class ChangeAnnouncement(Leave):
    """Something for the others who watch a production."""

    changeType: _MaybeName = None
    data: Any = None

    def text(self) -> str:
        """Return what the others get, as JSON. Raises Invalid for what cannot be JSON."""
        members = self.model_dump(exclude_unset=True)
        try:
            text = json.dumps(members, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            text.encode()
        except (ValueError, TypeError, RecursionError):
            raise Invalid.at("data", "cannot be written as JSON") from None
        return text
