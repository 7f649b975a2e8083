"""Logs on stderr: readable lines, or JSON."""

import logging
import sys
from typing import Any

import structlog

from opencodeinterpreter.tools.errors import InputError


def configure_logs(level: str, as_json: bool) -> None:
    """Send log lines of `level` and above to stderr; raises InputError for an unknown level."""
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise InputError(f"unknown log level {level!r}; there are debug, info, warning, error")
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    # What psycopg warns of reaches us as exceptions, of which we tell once.
    drivers = logging.ERROR if number >= logging.WARNING else number
    for name, least in (("opencodeinterpreter", number), ("psycopg", drivers)):
        log = logging.getLogger(name)
        log.handlers = [handler]
        log.propagate = False
        log.setLevel(least)
