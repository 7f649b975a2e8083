"""Long output goes through a pager, on a terminal only."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress

WIDTH = 80
"""Columns for which text is laid out where the terminal does not say."""


def columns() -> int:
    """Return the columns of the terminal."""
    return shutil.get_terminal_size((WIDTH, 24)).columns


def print_paged(lines: Iterable[str]) -> None:
    """Print lines; through `PAGER` (`less`) if a terminal has fewer rows.

    `PAGER=cat` or an empty one prints them as they are.
    """
    if not sys.stdout.isatty():
        for line in lines:
            print(line)
        return
    text = "\n".join(lines)
    pager = _pager() if text.count("\n") + 2 > shutil.get_terminal_size().lines else []
    if not (pager and _shown_by(pager, text)) and text:
        print(text)


def _pager() -> list[str]:
    try:
        named = shlex.split(os.environ.get("PAGER", "less"))
    except ValueError:
        return []
    return named if named != ["cat"] and named and shutil.which(named[0]) else []


def _shown_by(pager: list[str], text: str) -> bool:
    """Show text with a pager; return whether it could be started."""
    try:
        process = subprocess.Popen(
            pager, stdin=subprocess.PIPE, env={"LESS": "R", **os.environ}, text=True
        )
    except OSError:
        return False
    with suppress(BrokenPipeError, KeyboardInterrupt), process:
        process.communicate(text)
    while process.poll() is None:  # Ctrl-C belongs to the pager.
        with suppress(KeyboardInterrupt):
            process.wait()
    return True
