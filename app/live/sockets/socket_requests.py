"""What clients may send over a socket, and what the acknowledgement of an error holds."""

import json
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from app.errors import Invalid, SignalbookError
from app.model.fields import NO_NUL, blank_to_none
from app.model.schemas import Key

_Name = Annotated[str, Field(max_length=200, pattern=NO_NUL)]
_MaybeName = Annotated[_Name | None, BeforeValidator(blank_to_none)]
T = TypeVar("T", bound="SocketRequest")


class SocketRequest(BaseModel):
    """The user who sends it; without one it is the system, as in the change log."""

    model_config = ConfigDict(strict=True)

    userId: _MaybeName = None
    userName: _MaybeName = None

    @property
    def person(self) -> tuple[str, str]:
        return self.userId or "system", self.userName or "System"


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


def read_request(schema: type[T], args: tuple[Any, ...]) -> T:
    """Validate the first argument of an event. Raises Invalid, which never contains the value."""
    payload = args[0] if args else {}
    try:
        return schema.model_validate(payload)
    except ValidationError as invalid:
        errors = [
            {"path": ".".join(map(str, error["loc"])) or "payload", "message": error["msg"]}
            for error in invalid.errors(include_input=False, include_url=False)[:20]
        ]
    raise Invalid(errors)


_ACK_MEMBERS: Final = ("oldest", "latest", "resync", "candidates")


def error_ack(error: SignalbookError) -> dict[str, Any]:
    """Return what the acknowledgement of an event says of an error."""
    more = {name: value for name, value in error.members.items() if name in _ACK_MEMBERS}
    return {"error": error.error, "message": error.message, "code": error.code, **more}
