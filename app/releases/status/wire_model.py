"""What all members of the migration status share on the wire."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

from app.timestamps import wire_moment

Moment = Annotated[
    datetime,
    PlainSerializer(wire_moment, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class WireModel(BaseModel):
    """What all of them share."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, extra="ignore")

    def as_json(self) -> dict[str, Any]:
        """Give it as JSON values, as they are on the wire."""
        return self.model_dump(mode="json", by_alias=True)
