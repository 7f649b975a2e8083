"""Separate a model's thinking from its answer.

Reasoning models mark their thinking with tags such as `<think>`. Some templates put the opening tag
into the prompt, so the answer has the closing one only; an answer cut at its token limit may lack
the closing one.
"""

import re
from typing import NamedTuple

_TAGS = (
    "think",
    "thinking",
    "thought",
    "thoughts",
    "reasoning",
    "reflection",
    "analysis",
    "seed:think",
)
_OPEN = re.compile(
    rf"[ \t]*(?:<(?P<tag>{'|'.join(_TAGS)})>|<\|(?P<token>begin_of_thought|start_of_thinking)\|>"
    r"|(?P<box>◁think▷)|(?P<bracket>\[THINK\]))",
    re.IGNORECASE,
)
_CLOSE = re.compile(
    rf"(?:</(?:{'|'.join(_TAGS)})>|<\|(?:end_of_thought|end_of_thinking)\|>|◁/think▷|\[/THINK\])",
    re.IGNORECASE,
)
_FINAL = re.compile(r"<\|channel\|>\s*final\s*(?:<\|constrain\|>\w*)?<\|message\|>")
"""The harmony format: everything before the final channel is thinking."""
_CHANNEL = re.compile(r"<\|channel\|>\s*(?:analysis|commentary)\b")
_FENCE = re.compile(r"[ \t]*(?:`{3,}|~{3,})")


class Spoken(NamedTuple):
    """A model's text, in two parts."""

    thinking: str
    """The thinking; may be empty."""
    answer: str
    """The answer."""


def split_thinking(text: str) -> Spoken:
    """Split a model's text into thinking and answer; never raises.

    Tags count at the start of a line outside fenced code. A closing tag without an opening one
    ends thinking that started with the text. If the thinking never ends, the answer is empty.
    """
    if "<" not in text and "◁" not in text and "[" not in text:
        return Spoken("", text)
    if channels := _split_channels(text):
        return channels
    thoughts: list[str] = []
    rest = _cut_headless(text, thoughts)
    answer: list[str] = []
    while opening := _next_opening(rest):
        answer.append(rest[: opening.start()])
        closing = _matching_close(rest, opening)
        if closing is None:
            thoughts.append(rest[opening.end() :])
            rest = ""
            break
        thoughts.append(rest[opening.end() : closing[0]])
        rest = rest[closing[1] :]
    answer.append(rest)
    if not thoughts:
        return Spoken("", text)
    return Spoken("\n".join(thought.strip() for thought in thoughts), "".join(answer).lstrip("\n"))


def _split_channels(text: str) -> Spoken | None:
    final = list(_FINAL.finditer(text))
    if final:
        return Spoken(text[: final[-1].start()].strip(), text[final[-1].end() :])
    if _CHANNEL.match(text.lstrip()):
        return Spoken(text.strip(), "")
    return None


def _cut_headless(text: str, thoughts: list[str]) -> str:
    """Return the text without thinking whose opening tag was in the prompt."""
    closing = _CLOSE.search(text)
    if closing is None:
        return text
    before = text[: closing.start()]
    if any(_OPEN.match(line) for line in before.split("\n")):
        return text
    line = before.rpartition("\n")[2]
    if any(quote in line for quote in "\"'`"):
        return text  # The tag is part of a program.
    thoughts.append(before)
    return text[closing.end() :]


def _next_opening(text: str) -> re.Match[str] | None:
    """Return the next opening tag at the start of a line that is not inside a fenced block."""
    fenced = False
    at = 0
    for line in text.splitlines(keepends=True):
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced and (found := _OPEN.match(text, at)):
            return found
        at += len(line)
    return None


def _matching_close(text: str, opening: re.Match[str]) -> tuple[int, int] | None:
    """Return start and end of the closing tag of the thinking; nested tags are skipped."""
    depth = 1
    at = opening.end()
    while closing := _CLOSE.search(text, at):
        depth += sum(bool(_OPEN.match(line)) for line in text[at : closing.start()].split("\n")[1:])
        depth -= 1
        if depth == 0:
            return closing.span()
        at = closing.end()
    # The thinking mentions a tag that is never closed: the last closing tag ends the thinking.
    ends = list(_CLOSE.finditer(text, opening.end()))
    return ends[-1].span() if ends else None
