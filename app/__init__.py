"""Signalbook: the truth about the video equipment of live shows, served as JSON."""

from typing import Final

VERSION: Final = "0.1.0"
