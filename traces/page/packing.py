"""Events: the parts of a page's data, compressed one by one and unpacked when they are shown."""

import base64
import gzip
import json
from collections.abc import Mapping

Events = dict[str, str]
"""Compressed JSON in base64, by name. Base64 has no character that means anything in HTML."""


def packed(value: object) -> str:
    """Return a value as compressed JSON in base64; equal values give equal texts."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    raw = gzip.compress(text.encode("utf-8", "replace"), compresslevel=6, mtime=0)
    return base64.b64encode(raw).decode()


def size(events: Mapping[str, str]) -> int:
    """Return how many characters events take in a page."""
    return sum(map(len, events.values()))
