"""Structured logging: one line an event, for people in development and for machines elsewhere."""

import json
import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from pydantic_core import to_json

from app import json_lines
from app.settings import Settings


def _as_json(_: object, __: str, event: MutableMapping[str, Any]) -> bytes:
    """Render a log line as JSON, also one with values that JSON does not know."""
    try:
        return to_json(event, fallback=repr)
    except ValueError:
        return json.dumps(event, default=repr).encode()


def configure(settings: Settings) -> None:
    """Set up logging for the whole process, from the settings; lines go to standard error."""
    level = logging.getLevelNamesMapping()[settings.log_level]
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    # Libraries log to the same place, only warnings and errors.
    libraries = max(level, logging.WARNING)
    if settings.json_logs:
        json_lines.configure(libraries, level)
        last: list[Any] = [structlog.processors.format_exc_info, _as_json]
        factory: Any = structlog.BytesLoggerFactory(sys.stderr.buffer)
    else:
        # Plain tracebacks: richer ones show the values of variables, such as credentials.
        colors, plain = sys.stderr.isatty(), structlog.dev.plain_traceback
        last = [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)]
        factory = structlog.PrintLoggerFactory(sys.stderr)
        logging.basicConfig(level=libraries, stream=sys.stderr, force=True)
    structlog.configure(
        processors=[structlog.processors.add_log_level, stamp, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
