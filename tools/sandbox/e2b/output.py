"""Convert the output of code in an E2B sandbox into bounded, plain data."""

import json
from typing import Any

from opencodeinterpreter.tools.execution import ExecutionError, Result
from opencodeinterpreter.tools.sandbox.inside.display import plain
from opencodeinterpreter.tools.sandbox.protocol import OnStdout

_TEXT = 8000
"""Maximum number of characters of an error's message, and of its traceback."""
_FORMS = ("text", "html", "markdown", "latex", "svg", "png", "jpeg", "pdf", "javascript")


class Kept:
    """Keeps or passes on the first `most` bytes of a text and counts the rest."""

    def __init__(self, most: int, tell: OnStdout | None = None) -> None:
        """Take `most` bytes: keep them, or call `tell` with each piece."""
        self._tell = tell
        self.dropped = 0
        self._room = most
        self._pieces: list[bytes] = []

    def take(self, text: str) -> None:
        """Add a piece."""
        data = text.encode("utf-8", "replace")
        kept = data[: self._room]
        self._room -= len(kept)
        self.dropped += len(data) - len(kept)
        if self._tell:
            self._tell(kept.decode("utf-8", "replace"))
        else:
            self._pieces.append(kept)

    def text(self) -> str:
        """Return the kept text."""
        return b"".join(self._pieces).decode("utf-8", "replace")


def clean(value: object) -> str:
    """Return a claimed text without unpaired surrogates; empty if it is not a string."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def error_told(name: object, value: object, traceback: object) -> ExecutionError:
    """Return an exception as the code's own process claims it, with its texts cut."""
    told = clean(traceback)
    if len(told) > _TEXT:
        told = told[: _TEXT // 2] + "\n...\n" + told[-_TEXT // 2 :]
    return ExecutionError(name=clean(name)[:200], value=clean(value)[:_TEXT], traceback=told)


def result_told(shown: Any) -> Result:
    """Convert a result of the SDK to ours; data of charts and tables is left out."""
    forms = {form: clean(text) for form in _FORMS if (text := getattr(shown, form)) is not None}
    return Result(
        is_main_result=bool(shown.is_main_result),
        json_value=_plain(shown.json),
        extra=_plain(shown.extra or {}) or {},
        **forms,
    )


def _plain(value: Any) -> Any:
    """Return a JSON value; `None` if other readers refuse it. NaN is replaced."""
    try:
        return plain(json.loads(json.dumps(value), parse_constant=lambda _: None))
    except (ValueError, RecursionError):
        return None
