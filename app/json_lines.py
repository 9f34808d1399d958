"""Turns what Python and libraries print by themselves into lines of JSON, like those of our log.

A machine that reads the log of a service can read neither a warning nor a traceback. This module
needs little but the standard library, so that it can begin before anything else is imported.
"""

import json
import logging
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final

from app.masking import masked

SERVICE: Final = logging.getLogger("signalbook")
"""Logs what the service says of itself when its own log may not be set up yet."""


class JsonFormatter(logging.Formatter):
    """Formats a record of the standard library's logging as a line of our log."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line. What JSON does not know stands in it as Python shows it."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat()
        line = {
            "event": _message(record), "logger": record.name, "level": record.levelname.lower(),
            "timestamp": moment.replace("+00:00", "Z"),
        }  # fmt: skip
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return masked(json.dumps(line))


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001  # a library's arguments do not fit its words
        return f"{record.msg} {record.args!r}"


def applies(environment: Mapping[str, str]) -> bool:
    """Whether the log is to be JSON, said from the environment before the settings are read."""
    values = {name.upper(): value.strip().lower() for name, value in environment.items()}
    form = values.get("LOG_FORMAT")
    return form == "json" or (form != "console" and values.get("ENVIRONMENT") == "production")


def capture() -> None:
    """Make lines of JSON of all that Python and libraries would print on standard error."""
    configure(logging.WARNING, logging.INFO)
    logging.raiseExceptions = False
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    sys.unraisablehook = _log_unraisable
    threading.excepthook = _log_of_thread


def configure(libraries: int, service: int) -> None:
    """Log to standard error as JSON, from these levels on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=libraries, handlers=[handler], force=True)
    SERVICE.setLevel(service)


def is_capturing() -> bool:
    """Whether ``capture`` was called."""
    return sys.excepthook is _log_uncaught


def _log_uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    SERVICE.critical("ended by an error", exc_info=(kind, error, traceback))


def _log_unraisable(failure: Any) -> None:
    error = failure.exc_value or failure.exc_type()
    words = failure.err_msg or "an exception that nobody could take"
    SERVICE.error("%s: %r", words, failure.object,
                  exc_info=(failure.exc_type, error, failure.exc_traceback))  # fmt: skip


def _log_of_thread(failure: threading.ExceptHookArgs) -> None:
    error = failure.exc_value or failure.exc_type()
    SERVICE.error("a thread ended by an error",
                  exc_info=(failure.exc_type, error, failure.exc_traceback))  # fmt: skip
