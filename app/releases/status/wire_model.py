"""The base of all models of the migration status, and their times."""

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
    """A model with camelCase members, made of rows or of objects with these attributes."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, extra="ignore", from_attributes=True
    )

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values, as they are on the wire."""
        return self.model_dump(mode="json", by_alias=True)
