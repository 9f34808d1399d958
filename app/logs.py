"""Structured logging: one line an event, for people in development and for machines elsewhere."""

import json
import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from typing import Any

import structlog
from pydantic_core import to_json

from app import json_lines
from app.database.tls import BadDatabaseUrl
from app.database.url import DatabaseUrl
from app.masking import hide, masked
from app.settings import Settings


def _as_json(_: object, __: str, event: MutableMapping[str, Any]) -> bytes:
    """Render a log line as JSON, also one with values that JSON does not know."""
    try:
        return to_json(event, fallback=repr)
    except ValueError:
        return json.dumps(event, default=repr).encode()


class _MaskingFormatter(logging.Formatter):
    """Formats what libraries log for people, without credentials."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


def _mask(_: object, __: str, line: Any) -> str | bytes:
    """Hide credentials in a rendered line."""
    return masked(line.decode()).encode() if isinstance(line, bytes) else masked(line)


def _secrets(settings: Settings) -> Iterator[str]:
    """Yield what the settings hold and nobody may read."""
    for token in (settings.access_token, settings.operator_token):
        if token is not None:
            yield token.get_secret_value()
    for pepper in settings.peppers.values():
        yield pepper.decode()
    for url in (settings.database_url, settings.database_unpooled_url):
        if url is not None:
            with suppress(BadDatabaseUrl):  # whoever connects says what is wrong with it
                yield DatabaseUrl.parse(url.get_secret_value()).password or ""


def configure(settings: Settings) -> None:
    """Set up logging for the whole process, from the settings; lines go to standard error."""
    hide(_secrets(settings))
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
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_MaskingFormatter(logging.BASIC_FORMAT))
        logging.basicConfig(level=libraries, handlers=[handler], force=True)
    structlog.configure(
        processors=[structlog.processors.add_log_level, stamp, *last, _mask],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
