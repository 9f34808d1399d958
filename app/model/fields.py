"""The field types that an entity declaration is written in: one for each kind of value.

Each stands for a Python type, what a request may hold, and a PostgreSQL column. Those that begin
with ``Maybe`` are nullable: ``null`` and ``""`` both mean "no value", because forms send the empty
string. Types are strict: ``"12"`` is not a number and ``1`` is not a boolean.

PostgreSQL cannot store NUL in text, nor numbers beyond its column. The bounds refuse such a value
before any SQL runs, with its path in the body.
"""

import math
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, NoReturn
from uuid import UUID

import sqlalchemy as sa
from pydantic import AfterValidator, BeforeValidator, StringConstraints, WithJsonSchema
from pydantic import Field as Limits
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.rules.json_bounds import count_values
from app.rules.labels import tidy, tidy_label

INT4_MAX: Final = 2**31 - 1
# Distances, zooms, rates and lengths: far beyond any venue, still exact as float8.
NUMBER_MAX: Final = 1e9
# The last millisecond of the year 9999, as ECMAScript and ISO 8601 both can write it.
EPOCH_MS_MAX: Final = 253_402_300_799_999
# Characters of the longest text. A longer one is refused as it is: nobody tidies it first.
LONGEST: Final = 100_000
# What any client ever called a row. A label proper has 64.
LONGEST_LABEL: Final = 1_000
# Values in free JSON, so that neither a row nor its comparison with another is slow.
MOST_FREE_VALUES: Final = 20_000
# Levels of free JSON: parsers end at 200, and answers wrap a row in some more.
DEEPEST: Final = 100
# PostgreSQL's text cannot hold NUL.
NO_NUL: Final = r"^[^\x00]*$"
NO_CONTROLS: Final = r"^[^\x00-\x1f\x7f-\x9f]+$"
MAYBE_NO_CONTROLS: Final = r"^[^\x00-\x1f\x7f-\x9f]*$"
MOMENT_SCHEMA: Final[dict[str, Any]] = {
    "anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]
}


def blank_to_none(value: object) -> object:
    """Read the empty string of a form as "no value"."""
    return None if value == "" else value


def _tidy(value: object) -> object:
    return tidy(value) if isinstance(value, str) and len(value) <= LONGEST else value


def _tidy_label(value: object) -> object:
    """Tidy a label. Raises ValueError where nothing is left of what was typed."""
    if not isinstance(value, str) or not value or len(value) > LONGEST_LABEL:
        return value
    return tidy_label(value) or _refuse_blank()


def _refuse_blank() -> NoReturn:
    raise ValueError("only blanks or characters that nobody sees: type a text")


def _tidy_name(value: object) -> object:
    """Tidy a text that must say something. Raises ValueError where nothing is left of it."""
    return _tidy(value) or _refuse_blank() if isinstance(value, str) and value else value


def _tidy_or_none(value: object) -> object:
    return blank_to_none(_tidy(value))


def blank_or(kind: Any) -> BeforeValidator:
    """Let "" stand for no value, in the schema as well, where it is not of the ``kind`` itself."""
    return BeforeValidator(blank_to_none, json_schema_input_type=kind | Literal[""] | None)


def parse_moment(value: object) -> datetime:
    """Read ``YYYY-MM-DD`` or full ISO 8601 as an instant in UTC; no zone means UTC.

    Raises ValueError (a 422 with the field's path) for anything else, numbers included.
    """
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if not isinstance(value, str) or len(value) > 40:
        raise ValueError("a date is text: YYYY-MM-DD or ISO 8601")
    try:
        moment = datetime.fromisoformat(value.upper())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("not a date: send YYYY-MM-DD or ISO 8601") from None


def storable_json(value: Any) -> Any:
    """Return free JSON; raise ValueError for what cannot be stored, or is too much."""
    if count_values(value, MOST_FREE_VALUES) > MOST_FREE_VALUES:
        raise ValueError(f"more than {MOST_FREE_VALUES:,} values: keep fewer in one row")
    _refuse_unstorable(value)
    return value


def _refuse_unstorable(value: Any, path: str = "", depth: int = 0) -> None:
    """Raise ValueError for NUL, infinity, long numbers and what is nested beyond DEEPEST."""
    if depth == DEEPEST and isinstance(value, (dict, list)):
        raise ValueError(f"lists and objects may be nested {DEEPEST} deep")
    if isinstance(value, str) and "\x00" in value:
        raise ValueError(f"the text at {path or 'the top'} holds a NUL character")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"the number at {path or 'the top'} is not finite")
    if isinstance(value, dict):
        for key, inner in value.items():
            _refuse_unstorable(key, path)
            _refuse_unstorable(inner, f"{path}.{key}", depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _refuse_unstorable(inner, f"{path}.{index}", depth + 1)


def _maybe_moment(value: object) -> datetime | None:
    return None if value is None or value == "" else parse_moment(value)


_Line = Annotated[str, StringConstraints(max_length=1_000, pattern=NO_NUL)]
_Text = Annotated[str, StringConstraints(max_length=LONGEST, pattern=NO_NUL)]
_Number = Annotated[float, Limits(strict=True, ge=-NUMBER_MAX, le=NUMBER_MAX, allow_inf_nan=False)]
_Whole = Annotated[int, Limits(strict=True, ge=-INT4_MAX, le=INT4_MAX)]
_EpochMs = Annotated[int, Limits(strict=True, ge=0, le=EPOCH_MS_MAX)]
_Flag = Annotated[bool, Limits(strict=True)]

Label = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64, pattern=NO_CONTROLS),
    BeforeValidator(_tidy_label),
    Field(sa_type=sa.Text),
]
"""What people call a thing ("CAM 1"): 1 to 64 characters, no control characters."""

Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1_000, pattern=NO_NUL),
    BeforeValidator(_tidy_name),
    Field(sa_type=sa.Text),
]
"""A required text that must say something."""

Line = Annotated[_Line, BeforeValidator(_tidy), Field(sa_type=sa.Text)]
"""A required text that may be empty."""

Whole = Annotated[_Whole, Field(sa_type=sa.Integer)]
Flag = Annotated[_Flag, Field(sa_type=sa.Boolean)]

MaybeLine = Annotated[_Line | None, BeforeValidator(_tidy_or_none), Field(sa_type=sa.Text)]
MaybeText = Annotated[_Text | None, BeforeValidator(_tidy_or_none), Field(sa_type=sa.Text)]
MaybeNumber = Annotated[_Number | None, blank_or(_Number), Field(sa_type=sa.Double)]
MaybeWhole = Annotated[_Whole | None, blank_or(_Whole), Field(sa_type=sa.Integer)]
_Length = Annotated[float, Limits(strict=True, ge=0, le=NUMBER_MAX, allow_inf_nan=False)]
MaybeLength = Annotated[_Length | None, blank_or(_Length), Field(sa_type=sa.Double)]
"""A length in its own unit: a :data:`LengthUnit` stands beside it."""

_Unit = Literal["ft", "m"]
LengthUnit = Annotated[_Unit | None, blank_or(_Unit), Field(sa_type=sa.Text)]
MaybeEpochMs = Annotated[_EpochMs | None, blank_or(_EpochMs), Field(sa_type=sa.BigInteger)]
"""Milliseconds since 1970-01-01 UTC."""

MaybeFlag = Annotated[_Flag | None, blank_or(_Flag), Field(sa_type=sa.Boolean)]
MaybeUuid = Annotated[UUID | None, blank_or(UUID), Field(sa_type=sa.Uuid)]
MaybeMoment = Annotated[
    datetime | None,
    BeforeValidator(_maybe_moment),
    WithJsonSchema({"anyOf": [*MOMENT_SCHEMA["anyOf"], {"const": ""}, {"type": "null"}]}),
    Field(sa_type=sa.DateTime(timezone=True)),
]
"""An instant; a bare date in a request is UTC midnight."""

_Rows = list[dict[str, Any]]
_Storable: Final = AfterValidator(storable_json)
MaybeRows = Annotated[_Rows | None, blank_or(_Rows), _Storable, Field(sa_type=JSONB)]
"""Free JSON: an array of objects whose keys are the frontend's own."""

MaybeItems = Annotated[list[Any] | None, blank_or(list[Any]), _Storable, Field(sa_type=JSONB)]
"""Free JSON: an array of anything."""

MaybeJson = Annotated[
    Any, BeforeValidator(blank_to_none), _Storable, Field(sa_type=JSONB, nullable=True)
]
"""Free JSON of any shape."""
