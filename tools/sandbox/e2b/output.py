"""What code in an E2B sandbox put out, made plain and bounded."""

import json
from typing import Any

from opencodeinterpreter.tools.execution import ExecutionError, Result
from opencodeinterpreter.tools.sandbox.protocol import OnStdout

_TEXT = 8000
"""Most characters of an error's text and of its traceback."""
_FORMS = ("text", "html", "markdown", "latex", "svg", "png", "jpeg", "pdf", "javascript")


class Kept:
    """The beginning of a text, as much as fits into `most` bytes; the rest is counted."""

    def __init__(self, most: int, tell: OnStdout | None = None) -> None:
        """Keep `most` bytes; `tell` is told each piece that is kept."""
        self._tell = tell
        self.dropped = 0
        self._room = most
        self._pieces: list[bytes] = []

    def take(self, text: str) -> None:
        """Take a piece."""
        data = text.encode("utf-8", "replace")
        kept = data[: self._room]
        self._room -= len(kept)
        self.dropped += len(data) - len(kept)
        self._pieces.append(kept)
        if self._tell:
            self._tell(kept.decode("utf-8", "replace"))

    def text(self) -> str:
        """What was kept."""
        return b"".join(self._pieces).decode("utf-8", "replace")


def clean(value: object) -> str:
    """Return a claimed text without lone surrogates, empty if it is no text."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def error_told(name: object, value: object, traceback: object) -> ExecutionError:
    """Return an exception as the code's own process told it, its texts cut."""
    told = clean(traceback)
    if len(told) > _TEXT:
        told = told[: _TEXT // 2] + "\n...\n" + told[-_TEXT // 2 :]
    return ExecutionError(name=clean(name)[:200], value=clean(value)[:_TEXT], traceback=told)


def result_told(shown: Any) -> Result:
    """Return one of the SDK's results as ours; charts and tables' data are left out."""
    forms = {form: clean(text) for form in _FORMS if (text := getattr(shown, form)) is not None}
    return Result(
        is_main_result=bool(shown.is_main_result),
        json_value=_plain(shown.json),
        extra=_plain(shown.extra or {}),
        **forms,
    )


def _plain(value: Any) -> Any:
    """Return a JSON value without what other readers refuse: NaN and lone surrogates."""
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()
    return json.loads(text, parse_constant=lambda _: None)
