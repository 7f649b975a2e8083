"""Colours on a terminal, unless `NO_COLOR` is set or the terminal is dumb."""

import os
import sys

_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}


def colours_shown() -> bool:
    """Return whether standard output shows colours."""
    return (
        sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


def paint(text: str, colour: str) -> str:
    """Return `text` in a colour; as it is without one, or where none is shown."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if colour and text and colours_shown() else text
