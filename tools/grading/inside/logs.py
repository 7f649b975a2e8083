"""Runs in the sandbox, on both sides of the boundary: what the candidate logs reaches the tests.

The tests' side tells the levels that tests have set; the candidate's side collects records.
"""

import logging
from collections.abc import Mapping
from typing import Any

_MOST = 1000
"""The most records of a call; later ones are lost."""
_TRAITS = ("name", "levelno", "levelname", "msg", "args", "lineno", "funcName")

Levels = dict[str, int]
"""Levels of loggers by name; the root logger's name is empty, and `*` is what is disabled."""


def levels() -> Levels:
    """Return the levels that are set at present."""
    found = {
        name: logger.level
        for name, logger in logging.root.manager.loggerDict.items()
        if isinstance(logger, logging.Logger) and logger.level
    }
    return {**found, "": logging.root.level, "*": logging.root.manager.disable}


def changed(now: Levels, before: Levels) -> Levels:
    """Return the levels that differ from those before; 0 is the level of what is no longer set."""
    unset = {name: 0 for name in before if name not in now}
    return {**unset, **{name: level for name, level in now.items() if before.get(name) != level}}


def apply(new: Mapping[str, int]) -> None:
    """Set levels."""
    for name, level in new.items():
        if name == "*":
            logging.disable(level)
        else:
            logging.getLogger(name or None).setLevel(level)


class Records(logging.Handler):
    """Collects what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self._found: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        if len(self._found) < _MOST:
            self._found.append(record)

    def taken(self) -> tuple[Any, ...]:
        """Return the records since the last time: traits and exception of each."""
        found, self._found = self._found, []
        return tuple(
            (
                tuple(getattr(record, name) for name in _TRAITS),
                record.exc_info[1] if record.exc_info else None,
            )
            for record in found
        )


def log(told: tuple[Any, ...]) -> None:
    """Log what the candidate logged; raises ValueError and TypeError for what is no record."""
    for traits, error in told:
        record = logging.makeLogRecord(dict(zip(_TRAITS, traits, strict=True)))
        record.name, record.levelno = str(record.name), int(record.levelno)
        record.levelname = str(record.levelname)
        if isinstance(error, BaseException):
            record.exc_info = type(error), error, None
        logging.getLogger(record.name if record.name != "root" else None).handle(record)
