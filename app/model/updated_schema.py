"""The model of an update's answer, which also says who else has the new label."""

from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from app.model.entity import Row
from app.model.schemas import read_schema


class LabelHolder(BaseModel):
    """A row that has a label."""

    model_config = ConfigDict(extra="forbid")

    uuid: str
    """The key of the row."""
    id: str
    """Its label."""


@cache
def updated_schema(entity: type[Row]) -> type[BaseModel]:
    """Return the model of an update's answer; ``labelClash`` lists who else has the new label."""
    clash: Any = (list[LabelHolder], Field(default_factory=list))
    name = f"{entity.__name__}Updated"
    return create_model(
        name, __base__=read_schema(entity), __doc__=entity.__doc__, labelClash=clash
    )
