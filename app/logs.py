"""Structured logging: one line an event, for people in development and for machines elsewhere."""

import logging
import sys
from typing import Any

import structlog

from app.settings import Settings


def configure(settings: Settings) -> None:
    """Set up logging for the whole process, from the settings; lines go to standard error."""
    level = logging.getLevelNamesMapping()[settings.log_level]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if settings.log_format == "json":
        last: list[Any] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    else:
        # A plain traceback: a richer one shows the values of variables, credentials among them.
        last = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # What libraries say: only what went wrong, in the same place.
    logging.basicConfig(level=max(level, logging.WARNING), stream=sys.stderr, force=True)
