"""What the rows of a type are to a signal."""

from typing import Literal

SignalRole = Literal[
    "ORIGIN", "CAMERA", "CONTROL_UNIT", "PASSING", "PROCESSING", "SINK", "TRUNK", "PORT", "PATH", ""
]
"""A signal begins at an origin or a camera, and ends at a sink. A control unit has one camera. A
device that is passing leads on what it gets, one that is processing makes another format of it. A
trunk has channels. Ports belong to devices, and paths join them. "" has nothing to do with it."""
