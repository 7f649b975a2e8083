"""Length-prefixed JSON between the host and a run; both sides speak through this file."""

import json
import os
from collections.abc import Mapping

HEADER = 4
"""Bytes of a frame's length, big-endian."""


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
    """Read one frame from a blocking descriptor; raises EOFError, ValueError or OSError."""
    length = int.from_bytes(_exactly(descriptor, HEADER), "big")
    message = json.loads(_exactly(descriptor, length))
    if not isinstance(message, dict):
        raise ValueError(f"a frame holds an object, not {type(message).__name__}")
    return message


def _exactly(descriptor: int, count: int) -> bytes:
    parts = []
    while count:
        part = os.read(descriptor, min(count, 1 << 20))
        if not part:
            raise EOFError("the other side closed the channel within a frame")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
