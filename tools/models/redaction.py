"""API keys kept out of texts: servers repeat them in refusals, clients in complaints."""

import os

_NAMES = ("_KEY", "_TOKEN")
_SHORTEST = 8
"""Characters of a key that is known by its variable's name alone; a short one may be a word."""


def without_keys(text: str, key: str = "") -> str:
    """Return `text` without `key`, and without any that stands in an environment variable.

    Providers' clients read their keys themselves, so that any variable named as one counts.
    """
    named = (value.strip() for name, value in os.environ.items() if name.upper().endswith(_NAMES))
    keys = {key, *(value for value in named if len(value) >= _SHORTEST)} - {""}
    # A key may begin another one.
    for found in sorted(keys, key=len, reverse=True):
        text = text.replace(found, "[key]")
    return text
