"""A command on a pseudo-terminal: what it shows, as a person sees it, and a keyboard."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from typing import Self

from tests.command import PATIENCE, Command

COLUMNS, LINES = 160, 50

_PIECES = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b[=>]|(.)", re.DOTALL)


class Terminal:
    """Runs a command with a terminal for its stdin, stdout and stderr.

    with Terminal(command, "solve", ...) as terminal:
        terminal.wait_for("[s]top")
        terminal.type("a\\n")
        assert terminal.wait() == 0
    """

    def __init__(
        self, command: Command, *arguments: str, columns: int = COLUMNS, lines: int = LINES
    ) -> None:
        self._ours, theirs = pty.openpty()
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
        self._process = command.at(arguments, (theirs, theirs, theirs))
        os.close(theirs)
        self._text = ""
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._ended:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(PATIENCE)
        os.close(self._ours)

    @property
    def shown(self) -> str:
        """All that has been shown so far, without colours and what was drawn over."""
        return "\n".join(drawn(self._text))

    @property
    def raw(self) -> str:
        """The same with its colours."""
        return self._text

    def type(self, keys: str) -> None:
        """Type keys; `\\x03` is Ctrl-C."""
        os.write(self._ours, keys.encode())

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until `text` stands on the screen so often."""
        until = time.monotonic() + PATIENCE
        while self.shown.count(text) < times:
            if not self._read(until):
                raise AssertionError(f"{text!r} was not shown, but:\n{self.shown}")

    def wait(self) -> int:
        """Return the exit status."""
        until = time.monotonic() + PATIENCE
        while self._read(until):
            pass
        status = self._process.wait(PATIENCE)
        self._ended = True
        return status

    def _read(self, until: float) -> bool:
        """Take in what is shown next; return whether there was any."""
        if not select.select([self._ours], [], [], max(0.0, until - time.monotonic()))[0]:
            return False
        try:
            data = os.read(self._ours, 65_536)
        except OSError:  # the other end is closed
            return False
        self._text += data.decode("utf-8", "replace")
        return bool(data)


def drawn(text: str) -> list[str]:
    """Return the lines that a terminal shows after `text`; knows what a live line needs."""
    lines = [""]
    row = column = 0
    for given, order, letter in _PIECES.findall(text):
        if order == "A":
            row = max(0, row - int(given or 1))
        elif order == "K":
            lines[row] = "" if given == "2" else lines[row][:column]
        elif letter == "\r":
            column = 0
        elif letter == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif letter and letter.isprintable():
            line = lines[row].ljust(column)
            lines[row] = line[:column] + letter + line[column + 1 :]
            column += 1
    return [line.rstrip() for line in lines]
