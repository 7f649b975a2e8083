"""Read what a process writes without blocking, and keep a bounded part of it."""

import asyncio
import codecs
import os
from collections.abc import Callable
from typing import Any

from opencodeinterpreter.tools import strict_json
from opencodeinterpreter.tools.sandbox.inside.frames import HEADER
from opencodeinterpreter.tools.sandbox.protocol import OnStdout

_CHUNK = 1 << 16
_Decoder = codecs.getincrementaldecoder("utf-8")


class Drain:
    """Reads a pipe to its end; keeps the beginning and counts the rest."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._keep = 0
        self._heard: Callable[[Drain], None] | None = None
        self._decoder = _Decoder("replace")
        self.tell: OnStdout | None = None
        """Called with each piece of text that is kept; `begin` resets it."""
        self.kept = bytearray()
        self.dropped = 0
        self._loop.add_reader(descriptor, self._read)

    def begin(self, keep: int, heard: Callable[["Drain"], None]) -> None:
        """Start again: keep up to `keep` bytes, and call `heard` after each read."""
        self.kept, self.dropped = bytearray(), 0
        self._decoder = _Decoder("replace")
        self.tell = None
        self._keep, self._heard = keep, heard

    def _read(self) -> bool:
        try:
            data = os.read(self._descriptor, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self.stop()
            return False
        room = self._keep - len(self.kept)
        self.kept += data[:room]
        if self.tell:
            self.tell(self._decoder.decode(data[:room]))
        self.dropped += max(0, len(data) - room)
        if self._heard:
            self._heard(self)
        return True

    def finish(self, most: int) -> None:
        """Read what is in the pipe now, about `most` bytes at most, since a writer may go on."""
        for _ in range(most // _CHUNK + 1):
            if not self._read():
                break

    def stop(self) -> None:
        """Stop reading."""
        self._loop.remove_reader(self._descriptor)

    def text(self) -> str:
        """Return the kept bytes as text, invalid UTF-8 replaced."""
        return self.kept.decode("utf-8", "replace")


class FrameReader:
    """Splits a stream of bytes, which may be hostile, into messages.

    A frame that is not a JSON object is returned as an empty message.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._rest = bytearray()
        self.overrun = False
        """Whether a frame was too long; nothing is read after that."""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Add `data`; return the messages that are complete."""
        if self.overrun:
            return []
        self._rest += data
        found = []
        while (end := self._end()) is not None:
            found.append(_message(bytes(self._rest[HEADER:end])))
            del self._rest[:end]
        self.overrun = len(self._rest) > self._most + HEADER
        return found

    def _end(self) -> int | None:
        if len(self._rest) < HEADER:
            return None
        end = HEADER + int.from_bytes(self._rest[:HEADER], "big")
        return end if len(self._rest) >= end else None


def _message(body: bytes) -> dict[str, Any]:
    try:
        message = strict_json.loads(body.decode())
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}
