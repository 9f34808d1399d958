"""Reads the catalogue: one TOML file a category, and refuses what cannot be true.

An entry has facts only, and the page that they were read from. What nobody could read there is
``verified = false``.
"""

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.rules.formats import parse_format
from app.rules.links import CARRIES, FASTEST, LINKS, link_for

FOLDER: Final = Path(__file__).with_name("catalogue")
Category = Literal[
    "CAMERA", "CCU", "PTZ", "COMPUTER", "MONITOR", "CAM_SWITCHER", "VISION_SWITCHER", "ROUTER",
    "CONVERTER", "DISTRIBUTION_AMPLIFIER", "RECORDER", "PROJECTOR", "LENS", "LED_PROCESSOR",
    "LED_TILE", "STREAM_ENCODER", "FRAME_SYNC", "SYNC_GENERATOR",
]  # fmt: skip
_Text = Annotated[str, Field(min_length=1, max_length=200)]


class BadEntry(Exception):
    """An entry of the catalogue cannot be true, or has no source; the message names it."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Port(_Entry):
    """A connector of a device, or ``count`` equal ones."""

    label: _Text
    """What stands beside it on the device: "SDI IN 1"; of several without the number."""
    direction: Literal["in", "out", "both"]
    """Whether a signal enters or leaves; "both" can be switched, or is a network's."""
    connector: str
    """The socket, a name of ``links.CARRIES``."""
    family: str
    """The kind of signal: BNC may carry SDI or reference."""
    link: str | None = None
    """The fastest link that it carries; None where its maker does not say."""
    most: str | None = None
    """The largest format: "2160p60"."""
    count: Annotated[int, Field(ge=1, le=1_152)] = 1
    """How many there are of it; the largest router has 1,152 outputs."""
    loop: str | None = None
    """The label of the input that this output repeats."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.family not in CARRIES.get(self.connector, ()):
            raise ValueError(f"no {self.connector} connector carries {self.family}")
        links = LINKS.get(self.family, ())
        if self.link is not None and self.link not in links:
            raise ValueError(f"{self.family} has the links {', '.join(links)}, not {self.link}")
        self._check_speed(links)
        if self.loop and self.direction == "in":
            raise ValueError("an input loops nothing through")
        return self

    def _check_speed(self, links: Sequence[str]) -> None:
        """Raise ValueError where the link or the largest format is faster than the socket."""
        fastest = FASTEST.get((self.connector, self.family))
        if self.link and fastest and links.index(self.link) > links.index(fastest):
            raise ValueError(f"a {self.connector} connector carries {fastest} at most")
        if self.most is None:
            return
        needed, offered = link_for(self.family, parse_format(self.most)), self.link or fastest
        if needed and offered and links.index(needed) > links.index(offered):
            raise ValueError(f"{self.most} needs {needed}, and this port offers {offered}")


class Card(_Entry):
    """A card of a device that takes cards."""

    model: _Text
    """The maker's name for it."""
    ports: tuple[Port, ...]
    """Its connectors."""


class Device(_Entry):
    """A device that can be chosen."""

    manufacturer: _Text
    """Who makes it."""
    model: _Text
    """The maker's name for it."""
    source: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    """The page that the ports were read from."""
    verified: bool
    """Whether they were read there; false: by memory, to be checked before anybody relies on it."""
    ports: tuple[Port, ...]
    """Its video, reference and network connectors."""
    slots: Annotated[int, Field(ge=1, le=64)] | None = None
    """How many cards it takes."""
    cards: tuple[Card, ...] = ()
    """The cards that there are for it."""
    frame_sync: bool = False
    """Whether its inputs have a frame synchroniser."""
    note: _Text | None = None
    """One more fact that a crew needs."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        inputs = {port.label for port in self.ports if port.direction != "out"}
        for port in self.ports:
            if port.loop and port.loop not in inputs:
                raise ValueError(f"{port.label} loops {port.loop} through, which is no input of it")
        labels = [port.label for port in self.ports]
        if len(labels) != len(set(labels)):
            raise ValueError("two of its ports have one label")
        if self.cards and not self.slots:
            raise ValueError("it has cards and no slots")
        return self


class CataloguePage(_Entry):
    """One file: the devices of a category."""

    category: Category
    devices: tuple[Device, ...]


def read_catalogue(folder: Path = FOLDER) -> list[CataloguePage]:
    """Return all pages. Raise BadEntry with the file and the entry that cannot be."""
    pages = [_read(file) for file in sorted(folder.glob("*.toml"))]
    names = [
        (d.manufacturer.casefold(), d.model.casefold()) for page in pages for d in page.devices
    ]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise BadEntry(f"in the catalogue twice: {sorted(doubled)}")
    return pages


def _read(file: Path) -> CataloguePage:
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
        return CataloguePage.model_validate(content)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadEntry(f"{file.name} is no TOML: {error}") from None
    except ValidationError as error:
        raise BadEntry(
            "\n".join(f"{file.name}: {line}" for line in _lines(content, error))
        ) from None


def _lines(content: Any, error: ValidationError) -> Iterator[str]:
    """Yield each fault behind the names of the device and the port that it is in."""
    for fault in error.errors(include_url=False):
        value, names = content, []
        for step in fault["loc"]:
            try:
                value = value[step]
            except (LookupError, TypeError):  # the member is missing
                break
            if isinstance(value, dict):
                names += [str(value[name]) for name in ("model", "label") if name in value]
        member = [str(step) for step in fault["loc"][-1:] if isinstance(step, str)]
        yield ": ".join([" · ".join(names), *member, fault["msg"]]).removeprefix(": ")
