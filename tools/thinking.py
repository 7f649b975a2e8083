"""Thinking that a model wrote into its answer, told apart from the answer itself.

Reasoning models mark their thinking with tags such as `<think>`. Some templates put the opening tag
into the prompt, so that only the closing one stands in the answer; an answer cut at its token limit
may lack the closing one.
"""

import re
from typing import NamedTuple

_TAGS = ("think", "thinking", "thought", "thoughts", "reasoning", "reflection", "analysis")
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
"""The harmony format: what stands before the final channel is thinking."""
_CHANNEL = re.compile(r"<\|channel\|>\s*(?:analysis|commentary)\b")
_FENCE = re.compile(r"[ \t]*(?:`{3,}|~{3,})")


class Spoken(NamedTuple):
    """A model's text, in two parts."""

    thinking: str
    """What it said to itself; empty where there is none."""
    answer: str
    """What it said to its reader."""


def split_thinking(text: str) -> Spoken:
    """Split a model's text into its thinking and its answer; never raises.

    Tags count at the start of a line outside of fenced code, and a closing tag without an opening
    one ends thinking that began with the text. Thinking that never ends leaves no answer.
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
    """Cut off thinking whose opening tag stood in the prompt; return the rest."""
    closing = _CLOSE.search(text)
    if closing is None:
        return text
    before = text[: closing.start()]
    if any(_OPEN.match(line) for line in before.split("\n")):
        return text
    line = before.rpartition("\n")[2]
    if any(quote in line for quote in "\"'`"):
        return text  # A program that works with such tags.
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
    """Return where the closing tag of the thinking begins and ends; nested tags are skipped."""
    depth = 1
    at = opening.end()
    while closing := _CLOSE.search(text, at):
        depth += sum(bool(_OPEN.match(line)) for line in text[at : closing.start()].split("\n")[1:])
        depth -= 1
        if depth == 0:
            return closing.span()
        at = closing.end()
    # A tag that was named within the thinking and never closed: the last closing one ends it.
    ends = list(_CLOSE.finditer(text, opening.end()))
    return ends[-1].span() if ends else None
