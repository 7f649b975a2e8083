"""Standard streams that accept any text, and whose loss does not end a run."""

import io
import os
import sys
from typing import Any, TextIO

from opencodeinterpreter.tools.errors import OutputError


def prepare_streams() -> None:
    """Make the standard streams usable with any terminal, pipe or file.

    A closed descriptor is opened on the null device: otherwise one of our files could get its
    number, and printed text would be written into that file. Files and pipes get UTF-8; a terminal
    gets its own encoding, with unknown characters escaped.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = _stream(_Output(1, "w", closefd=False), sys.stdout)
    sys.stderr = _stream(_Messages(2, "w", closefd=False), sys.stderr)


class _Output(io.FileIO):
    """Standard output: a closed pipe is not an error, a full disk is."""

    def write(self, data: Any, /) -> Any:
        try:
            return super().write(data)
        except BrokenPipeError:
            return _discarded(self, data)
        except OSError as error:
            _discarded(self, data)  # otherwise the rest is written again at the end
            raise OutputError(f"cannot write to standard output: {error.strerror}") from error


class _Messages(io.FileIO):
    """Standard error: text that cannot be written is dropped."""

    def write(self, data: Any, /) -> Any:
        try:
            return super().write(data)
        except OSError:
            return _discarded(self, data)


def _discarded(stream: io.FileIO, data: Any) -> int:
    """Point the stream to the null device, and count `data` as written."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
    return memoryview(data).nbytes


def _stream(raw: io.FileIO, before: TextIO | None) -> TextIO:
    terminal = raw.isatty()
    encoding = before.encoding if before and terminal else "utf-8"
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=encoding,
        errors="backslashreplace",
        line_buffering=terminal or raw.fileno() == 2,
    )
