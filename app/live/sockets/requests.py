"""What clients may ask over a socket: the shapes of their events, and of what they are answered."""

import json
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic import ValidationError as Faults

from app.errors import Invalid, SignalbookError
from app.model.fields import NO_NUL, blank_to_none
from app.model.schemas import Key

_Name = Annotated[str, StringConstraints(max_length=200, pattern=NO_NUL)]
_MaybeName = Annotated[_Name | None, BeforeValidator(blank_to_none)]
T = TypeVar("T", bound="SocketRequest")


class SocketRequest(BaseModel):
    """Who asks; a client that does not say is the system, as in the change log."""

    model_config = ConfigDict(strict=True)

    userId: _MaybeName = None
    userName: _MaybeName = None

    @property
    def person(self) -> tuple[str, str]:
        """The user's id and name."""
        return self.userId or "system", self.userName or "System"


class Leave(SocketRequest):
    """To watch a production no longer."""

    productionId: Key


class Join(Leave):
    """To watch a production, and to get first what was logged ``since`` a number."""

    since: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None


class ChangeAnnouncement(Leave):
    """Something to tell the others who watch a production."""

    changeType: _MaybeName = None
    data: Any = None

    def text(self) -> str:
        """Give what the others get, as JSON. Raises Invalid for what is no JSON."""
        members = self.model_dump(exclude_unset=True)
        try:
            text = json.dumps(members, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            text.encode()
        except (ValueError, TypeError, RecursionError):
            raise Invalid.at("data", "cannot be written as JSON") from None
        return text


def read(shape: type[T], args: tuple[Any, ...]) -> T:
    """Read the first argument of an event. Raises Invalid, naming what is wrong, not its value."""
    given = args[0] if args else {}
    try:
        return shape.model_validate(given)
    except Faults as wrong:
        faults = [
            {"path": ".".join(map(str, fault["loc"])) or "payload", "message": fault["msg"]}
            for fault in wrong.errors(include_input=False, include_url=False)[:20]
        ]
    raise Invalid(faults)


_SHOWN: Final = ("oldest", "latest", "resync", "candidates")


def error_ack(error: SignalbookError) -> dict[str, Any]:
    """Give what the acknowledgement of an event says of an error."""
    more = {name: value for name, value in error.members.items() if name in _SHOWN}
    return {"error": error.error, "message": error.message, "code": error.code, **more}
