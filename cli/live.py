"""Show a model's answer while it is being written."""

import time

from rich.status import Status
from rich.text import Text

from opencodeinterpreter.tools.printable import printable

SHOWN_LINES = 6
_REST_SECONDS = 0.05
_SILENT_SECONDS = 2.0
"""If no piece arrives for this long, the answer counts as abandoned and another one is shown."""


class LiveAnswer:
    """Shows the last lines of a coder's or critic's answer in a status line, while it grows.

    If several drafts are written at once, the first is shown. The text disappears at the end.
    """

    def __init__(self, status: Status) -> None:
        self._status = status
        self._answer: str | None = None
        self._text = ""
        self._drawn = self._heard = 0.0

    def hear(self, node: str, answer: str, piece: str) -> None:
        """Add a piece of the answer with this id."""
        if node not in ("coder", "critic"):
            return
        now = time.monotonic()
        if self._answer != answer:
            if self._answer is not None and now - self._heard < _SILENT_SECONDS:
                return  # another draft
            self._answer, self._text = answer, ""
        self._heard = now
        self._text += piece
        if now - self._drawn > _REST_SECONDS:
            self._draw(f"{node} writes …")

    def end(self, heading: str) -> None:
        """Remove the answer, which is recorded by now, and show the heading alone."""
        self._answer, self._text = None, ""
        self._draw(heading)

    def _draw(self, heading: str) -> None:
        self._drawn = time.monotonic()
        shown = Text(heading, no_wrap=True, overflow="ellipsis")
        width = max(self._status.console.width - 4, 1)
        for line in self._text.splitlines()[-SHOWN_LINES:]:
            shown.append(f"\n  {printable(line)[:width]}", style="dim")
        self._status.update(shown)
