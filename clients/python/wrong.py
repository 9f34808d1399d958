"""What mypy refuses: each line that ends in an ignore is an error, or this file fails the check."""

from signalbook_client.models import CameraBulkRow, CameraCreate

# A member that cameras do not have, in a row of many.
unknown_member = CameraBulkRow(name="CAM", lens="22x7.6")  # type: ignore[call-arg]  # no member

# A member of another type.
wrong_type = CameraBulkRow(name="CAM", max_zoom="far")  # type: ignore[arg-type]  # not a number

# A row without its required member.
missing = CameraCreate(name="CAM")  # type: ignore[call-arg]  # of which show?
