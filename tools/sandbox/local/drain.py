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
_IDLE = 1 << 20
"""Number of bytes that are read, and dropped, between two cells."""
_QUOTES = 20_000
_STRUCTURE = 64 << 10
"""Maximum number of quotation marks in a frame, and of bytes outside of its strings."""
_Decoder = codecs.getincrementaldecoder("utf-8")


class Drain:
    """Reads a pipe to its end; keeps or passes on the beginning and counts the rest."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._keep = 0
        self._taken = 0
        self._heard: Callable[[Drain], None] | None = None
        self._idle_room = _IDLE
        self._paused = False
        self._decoder = _Decoder("replace")
        self.tell: OnStdout | None = None
        """Called with each piece of text, which is then not kept; `begin` resets it."""
        self.kept = bytearray()
        self.dropped = 0
        self._loop.add_reader(descriptor, self._read)

    def begin(self, keep: int, heard: Callable[["Drain"], None]) -> None:
        """Start again: take up to `keep` bytes, and call `heard` after each read."""
        if self._paused:
            # What waits in the pipe came before.
            self.finish(_IDLE)
            self._loop.add_reader(self._descriptor, self._read)
            self._paused = False
        self.kept, self.dropped, self._taken = bytearray(), 0, 0
        self._decoder = _Decoder("replace")
        self.tell = None
        self._keep, self._heard = keep, heard

    def idle(self) -> None:
        """Drop what comes until `begin`, and read only a part of it.

        Untrusted code that prints between cells cannot occupy the host.
        """
        self.tell = self._heard = None
        self._keep, self._idle_room = 0, _IDLE

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
        taken = data[: max(0, self._keep - self._taken)]
        self._taken += len(taken)
        if self.tell:
            self.tell(self._decoder.decode(taken))
        else:
            self.kept += taken
        self.dropped += len(data) - len(taken)
        if self._heard:
            self._heard(self)
        else:
            self._spend(len(data))
        return True

    def _spend(self, size: int) -> None:
        self._idle_room -= size
        if self._idle_room <= 0 and not self._paused:
            self.stop()
            self._paused = True

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
    """Splits a stream of bytes, which may be hostile, into messages."""

    def __init__(self, most: int) -> None:
        self.most = most
        """Maximum size of a frame in bytes."""
        self._rest = bytearray()

    def add(self, data: bytes) -> None:
        """Add `data`, unless a frame is too long; nothing is read after that."""
        if not self.overrun:
            self._rest += data

    def clear(self) -> None:
        """Forget what was added and not taken."""
        self._rest.clear()

    @property
    def overrun(self) -> bool:
        """Whether more bytes came than a frame may hold, without one that is complete."""
        return len(self._rest) > self.most + HEADER and self._end() is None

    def take(self) -> dict[str, Any] | None:
        """Return the next message, or `None` if none is complete.

        A frame that is not a JSON object is returned as an empty message.
        """
        end = self._end()
        if end is None:
            return None
        with memoryview(self._rest) as view:
            body = bytes(view[HEADER:end])
        del self._rest[:end]
        return _message(body)

    def _end(self) -> int | None:
        if len(self._rest) < HEADER:
            return None
        size = int.from_bytes(self._rest[:HEADER], "big")
        return HEADER + size if size <= min(self.most, len(self._rest) - HEADER) else None


def _message(body: bytes) -> dict[str, Any]:
    if not _is_light(body):
        return {}
    try:
        message = strict_json.loads(body.decode())
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def _is_light(body: bytes) -> bool:
    """Return whether a JSON text has few strings, and little besides its strings.

    This bounds the time to read it: the event loop waits meanwhile.
    """
    unescaped = body.replace(rb"\\", b"").replace(rb"\"", b"")
    if unescaped.count(b'"') > _QUOTES:
        return False
    return sum(map(len, unescaped.split(b'"')[::2])) <= _STRUCTURE
