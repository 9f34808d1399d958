"""What requests and answers say of equipment: camelCase in, snake_case out, as pages read it."""

from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic import StringConstraints as Text
from pydantic.alias_generators import to_camel

from app.access.sender import Sender
from app.api.json_requests import actor_in
from app.api.openapi import AnswerModel
from app.installation.categories import tidy_category
from app.installation.equipment import DeviceEdit
from app.model.fields import NO_NUL, MaybeLine, Name, blank_or, storable_json
from app.model.schemas import DeleteBody, MaybeVersion, WireMoment

MOST_PORTS: Final = 1_200
"""Of one direction; the largest router has 1,152."""
MOST_CARD_PORTS: Final = 200
MOST_SLOTS: Final = 200
MOST_FORMATS: Final = 1_000


def _blank_is(kind: Any, make: Callable[[], Any]) -> BeforeValidator:
    """Let null and "" stand for a value, in the schema as well."""
    return BeforeValidator(
        lambda value: make() if value is None or value == "" else value,
        json_schema_input_type=kind | Literal[""] | None,
    )


def _tidy_architecture(value: object) -> object:
    return value.lower().replace("_", "-") if isinstance(value, str) else value


_Flag = Annotated[bool, Field(strict=True)]
_Slots = Annotated[int, Field(strict=True, ge=0, le=MOST_SLOTS)]
_Line = Annotated[str, Text(max_length=1_000, pattern=NO_NUL)]
_Object = dict[str, Any]
_Items = Annotated[list[Any], Field(max_length=MOST_FORMATS)]
Category = Annotated[
    str, Text(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9 _-]*$"), AfterValidator(tidy_category)
]
Architecture = Annotated[Literal["direct", "card-based"], BeforeValidator(_tidy_architecture)]


class _EquipmentPart(BaseModel):
    """A part of a device. Members that are unknown are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)


class EquipmentPortInput(_EquipmentPart):
    """A connector of a device: the one with its uuid or id, else with its direction and label.

    Members that are absent stay as that one has them.
    """

    id: MaybeLine = None
    """The id that an answer gave it. Of a new one it may be anything: it gets another."""
    uuid: MaybeLine = None
    """The uuid that an answer gave it."""
    io_type: Annotated[_Line, _blank_is(_Line, str)] = Field("", alias="type")
    """The kind of port as people choose it: "HDMI", "12G-SDI"."""
    label: MaybeLine = None
    """What stands beside it on the device: "SDI IN 1"."""
    format: MaybeLine = None
    """The format that is on it, where the device has one for each port."""
    connector: MaybeLine = None
    """The socket: "BNC", "HDMI", "LC"."""
    family: MaybeLine = None
    """The kind of signal: a BNC may carry "SDI" or "REFERENCE"."""
    link: MaybeLine = None
    """The fastest link that it carries: "12G"; of HDMI and DisplayPort the version."""
    most: MaybeLine = None
    """The largest format that it takes: "2160p60"."""
    direction: Annotated[Literal["both"] | None, blank_or(Literal["both"])] = None
    """"both" where signals enter and leave by it."""
    loop: MaybeLine = None
    """The label of the input that this output repeats."""


_Ports = Annotated[list[EquipmentPortInput], Field(max_length=MOST_PORTS)]
_CardPorts = Annotated[list[EquipmentPortInput], Field(max_length=MOST_CARD_PORTS)]


class EquipmentCardInput(_EquipmentPart):
    """A card of a device: the one in its slot."""

    id: MaybeLine = None
    """What the page calls it; the slot counts."""
    slot_number: _Slots
    """The slot that it is in."""
    inputs: Annotated[_CardPorts, _blank_is(_CardPorts, list)] = Field(default_factory=list)
    """Its inputs in their order; absent, those of the card in this slot stay."""
    outputs: Annotated[_CardPorts, _blank_is(_CardPorts, list)] = Field(default_factory=list)
    """Its outputs, as its inputs."""


def _refuse_shared_slots(cards: list[EquipmentCardInput]) -> list[EquipmentCardInput]:
    slots = Counter(card.slot_number for card in cards)
    if shared := [slot for slot, count in slots.items() if count > 1]:
        raise ValueError(f"a slot takes one card, and several are in slot {shared[0]}")
    return cards


_Cards = Annotated[list[EquipmentCardInput], Field(max_length=MOST_SLOTS)]


class EquipmentBody(DeleteBody):
    """What a request may say of a device."""

    model_config = ConfigDict(alias_generator=to_camel)

    io_architecture: Architecture = "direct"
    """Whether its ports are its own ("direct") or on cards ("card-based")."""
    inputs: Annotated[_Ports, _blank_is(_Ports, list)] = Field(default_factory=list)
    """All inputs in their order. Absent, they stay."""
    outputs: Annotated[_Ports, _blank_is(_Ports, list)] = Field(default_factory=list)
    """All outputs, as the inputs."""
    card_slots: Annotated[_Slots | None, blank_or(_Slots)] = None
    """How many cards it takes."""
    cards: Annotated[_Cards, AfterValidator(_refuse_shared_slots), _blank_is(_Cards, list)] = Field(
        default_factory=list
    )
    """All cards, one for a slot. Absent, they stay."""
    device_formats: Annotated[_Items, AfterValidator(storable_json), _blank_is(_Items, list)] = (
        Field(default_factory=list)
    )
    """The formats that the device as a whole can have."""
    format_by_io: Annotated[_Flag, _blank_is(_Flag, lambda: True)] = Field(
        default=True, alias="formatByIO"
    )
    """Whether each port has its format, and not the device as a whole."""
    is_secondary_device: Annotated[_Flag, _blank_is(_Flag, bool)] = False
    """Whether it stands behind a source or before a destination, as a converter does."""
    specs: Annotated[_Object, AfterValidator(storable_json), _blank_is(_Object, dict)] = Field(
        default_factory=dict
    )
    """What else is known of it, in any shape."""

    def edit(self, sender: Sender, if_match: bytes = b"") -> DeviceEdit:
        """Return what it says, as an edit."""
        names = {*type(self).model_fields} - {*DeleteBody.model_fields, "version"}
        members = self.model_dump(exclude_unset=True, include=names)
        version = getattr(self, "version", None)
        return DeviceEdit(members, version, if_match, actor_in(self, sender).row_value)


class EquipmentCreate(EquipmentBody):
    """A device to be added to what everybody can choose."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "category": "CONVERTER", "manufacturer": "Example", "model": "HD Cross",
        "inputs": [{"type": "3G-SDI", "label": "SDI IN"}],
        "outputs": [{"type": "HDMI", "label": "HDMI OUT"}], "userName": "Anna",
    }})  # fmt: skip

    category: Category
    """What it is, in any case: "CAMERA", "led tile"."""
    manufacturer: Name
    """Who makes it."""
    model: Name
    """The maker's name for it."""


def _describe_update(schema: dict[str, Any]) -> None:
    """Say nothing of defaults, since what is absent stays as it is, and give an example."""
    for part in schema["properties"].values():
        part.pop("default", None)
    port = {"type": "HDMI", "label": "HDMI OUT", "format": "1080p59.94"}
    schema["example"] = {"version": 1, "outputs": [port], "userName": "Anna"}


class EquipmentUpdate(EquipmentBody):
    """What changes of a device: absent members stay untouched."""

    model_config = ConfigDict(json_schema_extra=_describe_update)

    category: Category = ""
    """What it is, in any case: "CAMERA", "led tile"."""
    manufacturer: Name = ""
    """Who makes it."""
    model: Name = ""
    """The maker's name for it."""
    is_deleted: _Flag = False
    """False brings an archived device back; true archives it."""
    version: MaybeVersion = None


class EquipmentPort(AnswerModel):
    """A connector of a device."""

    uuid: str
    """The key of the port, to which ports of shows refer. It stays when the device is edited."""
    id: str
    """The text key of the port."""
    port_type: Literal["INPUT", "OUTPUT"]
    """Whether signals enter by it or leave. One for both is where it is most needed."""
    io_type: str
    """The kind of port as people choose it: "HDMI", "12G-SDI"."""
    label: str | None
    """What stands beside it on the device: "SDI IN 1"."""
    format: str | None
    """The format that is on it, where the device has one for each port."""
    port_index: int | None
    """Its position among the ports of its direction."""
    connector: str | None = None
    """The socket: "BNC", "HDMI", "LC"."""
    family: str | None = None
    """The kind of signal: a BNC may carry "SDI" or "REFERENCE"."""
    link: str | None = None
    """The fastest link that it carries: "12G"; of HDMI and DisplayPort the version."""
    most: str | None = None
    """The largest format that it takes: "2160p60"."""
    direction: str | None = None
    """"both" where signals enter and leave by it."""
    loop: str | None = None
    """The label of the input that this output repeats."""


class EquipmentCard(AnswerModel):
    """A card of a device."""

    id: str
    """The text key of the card."""
    slot_number: int
    """The slot that it is in."""
    equipment_card_io: list[EquipmentPort]
    """Its connectors, inputs first."""


class Equipment(AnswerModel):
    """A device that everybody can choose; its members are written in snake_case."""

    uuid: str
    """The key of the device. That of a shipped one is the same in every installation."""
    id: str
    """The text key of the device; a row that an older service made has one of its kind."""
    category: str
    """What it is: "CAMERA", "LED_TILE"."""
    manufacturer: str
    """Who makes it."""
    model: str
    """The maker's name for it."""
    io_architecture: Literal["direct", "card-based"]
    """Whether its ports are its own ("direct") or on cards ("card-based")."""
    card_slots: int | None
    """How many cards it takes."""
    format_by_io: bool
    """Whether each port has its format, and not the device as a whole."""
    is_secondary_device: bool
    """Whether it stands behind a source or before a destination, as a converter does."""
    device_formats: list[Any]
    """The formats that the device as a whole can have."""
    specs: dict[str, Any]
    """What else is known of it. Of a shipped device: `source`, the page that its ports were read
    from, `verified`, whether they were read there, `frameSync`, `note`, `cards` that there are for
    it, and `shipped`, by which the next release knows it."""
    version: int
    """Raised by each write."""
    is_deleted: bool
    """Whether it is archived."""
    created_at: WireMoment
    """When it was made."""
    updated_at: WireMoment
    """When it was last written."""
    synced_at: WireMoment | None
    """The older service's; nothing new sets it."""
    last_modified_by: str | None
    """Who wrote it last; "signalbook" where it is as it was shipped."""
    equipment_io_ports: list[EquipmentPort]
    """Its connectors, inputs first."""
    equipment_cards: list[EquipmentCard]
    """The cards in its slots."""
