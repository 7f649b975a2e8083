"""Make untrusted text (of models, programs, traces) safe to show on a terminal or a page."""

import re

_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    r"\U000e0000-\U000e007f]"
)


def printable(text: str) -> str:
    """Return `text` with its control characters escaped, except tab and line end.

    A terminal obeys escape sequences: they could overwrite the screen or simulate typing.
    Characters that reverse the direction of text could disguise code.
    """
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text.replace("\r\n", "\n"))
