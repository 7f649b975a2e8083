"""Logs: human lines on a terminal, JSON by option, never a secret."""

import logging
import sys
from typing import Any

import structlog

from opencodeinterpreter.tools.errors import InputError


def configure_logs(level: str, as_json: bool) -> None:
    """Send structlog's lines of `level` and above to stderr; raises InputError for another word."""
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise InputError(f"unknown log level {level!r}; there are debug, info, warning, error")
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
