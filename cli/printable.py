"""Text of models, programs and strangers' traces, made fit for a terminal."""

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Return `text` with its control characters written out, save tab and line end.

    A terminal obeys escape sequences: they could repaint what was shown, or type for the reader.
    Marks that reverse the direction of text could hide code in plain sight.
    """
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text.replace("\r\n", "\n"))
