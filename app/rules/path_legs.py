"""A path as stops and cables, the legs that state it, and the older members that show it. Pure.

A leg is a cable from a device's port to another's. Between two legs lies a device that both name.
The older members show the source, the first device between, and the destination; what they change
goes to these stops, and to no other.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from app.rules.labels import folded

Members = Mapping[str, Any]
CABLE: Final = (
    "uuid", "id", "index", "cableType", "cableLabel", "length", "lengthUnit", "snakeUuid",
    "channel", "state", "note",
)  # fmt: skip
_DEVICE: Final = ("DeviceType", "DeviceId", "DeviceUuid")
_PORT: Final = ("Port", "PortUuid")
_LAST_NUMBER: Final = re.compile(r"([0-9]{1,9})\D*$")


class LegRun(NamedTuple):
    """A cable as it is compared: device and port at each end, and the channels that it rides."""

    start: tuple[str, str]
    channels: tuple[tuple[Any, Any], ...]
    end: tuple[str, str]


class PathWords(NamedTuple):
    """What the older members call the devices that have members of their own."""

    source: str = ""
    snake: str = ""


NO_WORDS: Final = PathWords()


@dataclass
class LegStop:
    """A device on a path: its type, label and uuid, and the ports (name, uuid) that are used."""

    device: tuple[Any, Any, Any] = (None, None, None)
    enters: tuple[Any, Any] = (None, None)
    leaves: tuple[Any, Any] = (None, None)

    @property
    def is_named(self) -> bool:
        """Whether anybody said which device it is."""
        return bool(self.device[1] or self.device[2])


@dataclass
class PathLegs:
    """The stops of a path, and the cables between them: one less."""

    stops: list[LegStop] = field(default_factory=list)
    cables: list[dict[str, Any]] = field(default_factory=list)
    words: PathWords = NO_WORDS

    @classmethod
    def of(cls, legs: Sequence[Members], words: PathWords = NO_WORDS) -> "PathLegs":
        """Read legs. An end that says nothing is what the leg beside it says."""
        path = cls([LegStop()], words=words)
        for leg in legs:
            before, after = path.stops[-1], LegStop(_device(leg, "to"), _port(leg, "to"))
            if not before.is_named:
                before.device = _device(leg, "from")
            before.leaves = _port(leg, "from")
            path.stops.append(after)
            path.cables.append({name: leg[name] for name in CABLE if name in leg})
        return path

    def legs(self) -> list[dict[str, Any]]:
        """Return the legs that state the path."""
        pairs = zip(self.stops, self.cables, self.stops[1:], strict=False)
        return [
            {**cable, **_end("from", start.device, start.leaves), **_end("to", end.device,
                                                                         end.enters)}
            for start, cable, end in pairs
        ]  # fmt: skip

    @property
    def _source(self) -> LegStop | None:
        first = self.stops[0]
        return first if first.is_named and first.device[0] == self.words.source else None

    def _between(self) -> int | None:
        """Return the place of the stop that the older members call the one between."""
        first = 1 if self._source else 0
        places = range(first, len(self.stops) - 1)
        return next((place for place in places if self.stops[place].is_named), None)

    def runs(self) -> list["LegRun"]:
        """Return the cables from a named device to the next; legs that meet in none are one."""
        runs, start, channels = [], self.stops[0], list[tuple[Any, Any]]()
        for cable, end in zip(self.cables, self.stops[1:], strict=False):
            if cable.get("snakeUuid"):
                channels.append((cable["snakeUuid"], cable.get("channel")))
            if end.is_named or end is self.stops[-1]:
                out, into = (start.device, start.leaves), (end.device, end.enters)
                runs.append(LegRun(_place(*out), tuple(channels), _place(*into)))
                start, channels = end, []
        return runs

    def older_members(self) -> dict[str, Any]:
        """Return the older members, by field, that show the path. An open end says nothing."""
        source, place, last = self._source, self._between(), self.stops[-1]
        port = source.leaves if source else (None, None)
        is_source_output = bool(port[1])
        members = {
            "source_uuid": source.device[2] if source else None,
            "source_output_id": port[0],
            "source_output_uuid": port[1] if is_source_output else None,
            "destination_id": last.device[1], "destination_uuid": last.device[2],
        }  # fmt: skip
        if last.device[0]:
            members["destination_type"] = last.device[0]
        between = self.stops[place] if place is not None else self._first_snake()
        type_, label, uuid = between.device
        return members | {
            "intermediate_type": type_, "intermediate_id": label, "intermediate_uuid": uuid,
            "intermediate_input": between.enters[0], "intermediate_output": between.leaves[0],
        }  # fmt: skip

    def _first_snake(self) -> LegStop:
        """Return the snake of the first leg as a stop: a path without a device may ride one."""
        cable = self.cables[0] if self.cables else {}
        uuid, channel = cable.get("snakeUuid"), cable.get("channel")
        if not uuid:
            return LegStop()
        return LegStop((self.words.snake, None, uuid), (f"CH {channel}" if channel else None, None))

    def change(self, before: Members, after: Members) -> None:
        """Change what the older members ``before`` and ``after`` a write say differently."""
        names = {name for name in after if after[name] != before.get(name)}
        if names & {"source_uuid", "source_output_id", "source_output_uuid"}:
            port = _changed_port(after, before, "source_output_id", "source_output_uuid")
            self._set_source(after.get("source_uuid"), port)
        if any(name.startswith("intermediate_") for name in names):
            self._set_between(before, after)
        if any(name.startswith("destination_") for name in names):
            device = _older_device(after, "destination")
            same = device[1:] == self.stops[-1].device[1:]
            self.stops[-1] = LegStop(device, self.stops[-1].enters if same else (None, None))

    def _set_source(self, uuid: Any, port: tuple[Any, Any]) -> None:
        first = self.stops[0]
        stop = LegStop((self.words.source, None, uuid), leaves=port) if uuid else LegStop()
        if self._source or not first.is_named:
            self.stops[0] = stop
        elif uuid:
            self.stops.insert(0, stop)
            self.cables.insert(0, {})

    def _set_between(self, before: Members, after: Members) -> None:
        device, place = _older_device(after, "intermediate"), self._between()
        if place is None and self.cables[0].get("snakeUuid"):
            self.cables[0] |= {"snakeUuid": None, "channel": None}
        if not any(device[1:]):
            if place:
                del self.stops[place], self.cables[place]
            elif place == 0:
                self.stops[0] = LegStop()
            return
        if device[0] == self.words.snake and device[2]:
            named = after.get("intermediate_input") or after.get("intermediate_output")
            number = _LAST_NUMBER.search(str(named or ""))
            ride = {"snakeUuid": device[2], "channel": int(number[1]) if number else None}
            self.cables[0] |= ride
            return
        if place is None:
            place = 1
            self.stops.insert(1, LegStop())
            self.cables.insert(1, {})
        stop = self.stops[place]
        is_same = stop.device[1:] == device[1:]
        ports = []
        for name, port in (("input", stop.enters), ("output", stop.leaves)):
            member = f"intermediate_{name}"
            is_named_anew = after.get(member) != before.get(member)
            ports.append(port if is_same and not is_named_anew else (after.get(member), None))
        self.stops[place] = LegStop(device, *ports)


def _place(device: tuple[Any, Any, Any], port: tuple[Any, Any]) -> tuple[str, str]:
    """Return what says where a cable ends; "" where nobody does."""
    return str(device[2] or folded(device[1] or "")), str(port[1] or folded(port[0] or ""))


def _device(leg: Members, end: str) -> tuple[Any, Any, Any]:
    type_, label, uuid = (leg.get(f"{end}{name}") for name in _DEVICE)
    return type_, label, uuid


def _port(leg: Members, end: str) -> tuple[Any, Any]:
    name, uuid = (leg.get(f"{end}{name}") for name in _PORT)
    return name, uuid


def _end(end: str, device: tuple[Any, ...], port: tuple[Any, ...]) -> dict[str, Any]:
    names = (*_DEVICE, *_PORT)
    return {f"{end}{n}": v for n, v in zip(names, (*device, *port), strict=True)}


def _older_device(members: Members, word: str) -> tuple[Any, Any, Any]:
    type_, label, uuid = (members.get(f"{word}_{name}") for name in ("type", "id", "uuid"))
    return type_, label, uuid


def _changed_port(after: Members, before: Members, name: str, uuid: str) -> tuple[Any, Any]:
    """Return a port of the older members: by its uuid, if that is not the former port's."""
    is_renamed = after.get(name) != before.get(name) and after.get(uuid) == before.get(uuid)
    return after.get(name), None if is_renamed else after.get(uuid)
