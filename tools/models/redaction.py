"""Removes API keys from error texts, in which servers and clients may repeat them."""

import os

_NAMES = ("_KEY", "_TOKEN")
_SHORTEST = 8
"""Minimum length of a key found by its variable's name; a shorter value may be a word."""


def without_keys(text: str, key: str = "") -> str:
    """Return `text` with `key`, and all keys in environment variables, replaced by `[key]`.

    Providers' clients read their keys themselves, so every variable that is named like a key is
    taken for one.
    """
    named = (value.strip() for name, value in os.environ.items() if name.upper().endswith(_NAMES))
    keys = {key, *(value for value in named if len(value) >= _SHORTEST)} - {""}
    # One key may be a prefix of another.
    for found in sorted(keys, key=len, reverse=True):
        text = text.replace(found, "[key]")
    return text
