"""Removes API keys from what servers and clients send back, where they may be repeated."""

import base64
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import quote

_NAMES = ("_KEY", "_TOKEN")
SHORTEST_KEY = 8
"""Minimum length of a key that is found in other forms, by its variable's name or in an answer; a
shorter one may be a word."""
_BETWEEN = r"(?:\\[nrt]|[\s\"'`+,\\\u00ad\u200b-\u200d\u2060\ufeff])*"
"""What may stand between the characters of a key that was broken over lines or strings."""


def without_keys(text: str, key: str = "") -> str:
    """Return `text` with `key`, and all keys in environment variables, replaced by `[key]`.

    Providers' clients read their keys themselves, so every variable that is named like a key is
    taken for one. For an error's text alone: in an answer, the value of some other variable may
    be a word.
    """
    keys = {key, *known_keys()} - {""}
    # One key may be a prefix of another.
    for found in sorted(keys, key=len, reverse=True):
        text = without_key(text, found)
    return text


def known_keys() -> set[str]:
    """Return the values of all environment variables that are named like a key."""
    named = (value.strip() for name, value in os.environ.items() if name.upper().endswith(_NAMES))
    return {value for value in named if len(value) >= SHORTEST_KEY}


def without_key(text: str, key: str) -> str:
    """Return `text` with one key replaced by `[key]`, an empty one by nothing.

    Found are the key as it is, reversed, URL-quoted, in base64 and as hexadecimal digits, each also
    in other case or broken by white space, quotes and characters that are not seen. A key
    under 8 characters is found as it is alone.
    """
    return _pattern(key).sub("[key]", text) if key else text


@lru_cache(maxsize=64)
def _pattern(key: str) -> re.Pattern[str]:
    if len(key) < SHORTEST_KEY:
        return re.compile(re.escape(key))
    forms = sorted(set(_forms(key)), key=len, reverse=True)
    return re.compile("|".join(_BETWEEN.join(map(re.escape, form)) for form in forms), re.I)


def _forms(key: str) -> Iterator[str]:
    yield from (key, key[::-1], quote(key, safe=""), quote(key))
    yield from (key.encode().hex(), "%" + key.encode().hex("%"))
    for before in range(3):
        # The characters that depend on what stands before and after the key are left out.
        encoded = base64.b64encode(b"\0" * before + key.encode()).decode()
        whole = encoded[-(-before * 8 // 6) : (before + len(key.encode())) * 8 // 6]
        yield from (whole, whole.replace("+", "-").replace("/", "_"))
