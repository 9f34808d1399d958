"""The legs of a connection read into the stops that its path states."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.rules.path_legs import LegStop, PathLegs
from app.signal.graph.path_stops import ConnectionPath, PathStop
from app.signal.graph.show_devices import ShowDevices
from app.signal.graph.snakes import metres_of


def read_legs(legs: Sequence[Mapping[str, Any]], devices: ShowDevices) -> ConnectionPath:
    """Return the path that legs state: their devices, and the channels that they ride."""
    path, missing = PathLegs.of(legs), dict[str, str]()
    stops = [*_stop(path.stops[0], devices, missing)]
    for cable, end in zip(path.cables, path.stops[1:], strict=True):
        metres = metres_of(cable)
        snake = cable.get("snakeUuid")
        if snake:
            stop = _device(snake, snake, devices, missing)
            stop.channel, stop.metres, metres = cable.get("channel"), metres, None
            stops.append(stop)
        for stop in _stop(end, devices, missing):
            stop.metres = metres
            stops.append(stop)
    return ConnectionPath(stops, missing)


def _stop(stop: LegStop, devices: ShowDevices, missing: dict[str, str]) -> list[PathStop]:
    """Return a stop as one of the graph; none of an end that nobody named."""
    if not stop.is_named:
        return []
    type_, label, uuid = stop.device
    if uuid:
        reading = _device(uuid, label or uuid, devices, missing)
    else:
        device = devices.labelled(label, type_)
        reading = PathStop(device, "" if device else label)
    reading.enters = stop.enters[1] or stop.enters[0]
    reading.leaves = stop.leaves[1] or stop.leaves[0]
    return [reading]


def _device(uuid: str, label: str, devices: ShowDevices, missing: dict[str, str]) -> PathStop:
    device = devices.by_uuid.get(uuid)
    if device is not None:
        return PathStop(device)
    missing[uuid] = label
    return PathStop(None, label, is_missing=True)
