"""Length-prefixed JSON messages between the host and a run. Both sides use this module."""

import json
import os
from collections.abc import Mapping

HEADER = 4
"""Size of the length prefix in bytes; big-endian."""
_CHUNK = 1 << 16


def pack(message: Mapping[str, object]) -> bytes:
    """Return `message` as one frame."""
    body = json.dumps(message).encode()
    return len(body).to_bytes(HEADER, "big") + body


def send(descriptor: int, message: Mapping[str, object]) -> None:
    """Write `message` to a blocking descriptor; raises OSError."""
    rest = memoryview(pack(message))
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def receive(descriptor: int) -> dict[str, object]:
    """Read one frame from a blocking descriptor and return its message.

    No bytes may follow before the answer. Raises EOFError, ValueError or OSError.
    """
    data = bytearray()
    end = HEADER
    while len(data) < end:
        part = os.read(descriptor, _CHUNK)
        if not part:
            raise EOFError("the other side closed the channel within a frame")
        data += part
        if len(data) >= HEADER:
            end = HEADER + int.from_bytes(data[:HEADER], "big")
    if len(data) > end:
        raise ValueError(f"{len(data) - end} bytes came after a frame")
    message = json.loads(data[HEADER:])
    if not isinstance(message, dict):
        raise ValueError(f"a frame must hold a JSON object, not {type(message).__name__}")
    return message
