"""What a write of legs is refused with: rules of signal flow that can never be kept half-way."""

from app.errors import Conflict, Invalid


class InputInUse(Conflict, code="INPUT_IN_USE", error="Input in use"):
    """Another connection feeds that input; ``usedBy`` is which, ``lastModifiedBy`` whose it is."""


class ChannelInUse(Conflict, code="CHANNEL_IN_USE", error="Channel in use"):
    """Another connection rides that channel of a snake; members as of InputInUse."""


class SelfLoop(Invalid, code="SELF_LOOP", error="Cable back into its device"):
    """A leg leads from a device back into the same device."""


class SameDirection(Invalid, code="SAME_DIRECTION", error="Wrong direction"):
    """A leg enters an output, or leaves by an input."""


class ChannelOutOfRange(Invalid, code="CHANNEL_OUT_OF_RANGE", error="No such channel"):
    """A leg rides a channel that its snake does not have."""
