"""Show a picture in a terminal that can: the protocols of kitty and of iTerm2."""

import base64
from collections.abc import Mapping

_CHUNK = 4096
_KITTY = ("kitty", "ghostty")
_ITERM = ("iTerm.app", "WezTerm", "mintty")


def drawing(picture: bytes, environment: Mapping[str, str]) -> str:
    """Return what draws a PNG picture on the terminal that the environment names.

    Empty if it cannot. A terminal multiplexer does not pass pictures on. The picture comes from
    hostile code: only its base64 is written, which holds no control character.
    """
    if not picture.startswith(b"\x89PNG") or environment.keys() & {"TMUX", "STY"}:
        return ""
    text = base64.b64encode(picture).decode()
    if any(name in environment.get("TERM", "") for name in _KITTY):
        return _kitty(text)
    if environment.get("TERM_PROGRAM") in _ITERM:
        return f"\x1b]1337;File=inline=1;size={len(picture)}:{text}\x07"
    return ""


def _kitty(text: str) -> str:
    chunks = [text[at : at + _CHUNK] for at in range(0, len(text), _CHUNK)]
    parts = []
    for number, chunk in enumerate(chunks, 1):
        control = "a=T,f=100," if number == 1 else ""
        parts.append(f"\x1b_G{control}m={int(number < len(chunks))};{chunk}\x1b\\")
    return "".join(parts)
